use super::{bench, call, entries};
use crate::{
    manage::{Advice, InventoryQuery, Recommendation, fixture::system},
    record::KeyRow,
};

/// Every kind of key, name, label, maker and end, with every use: the advice of an entry is that of the key.
#[tokio::test]
async fn advice_of_an_entry_is_that_of_the_manager() {
    let bench = bench();
    let uses: [&[(&str, u32)]; 7] = [
        &[],
        &[("api/curl", 3)],
        &[("api/github-actions", 1)],
        &[("api/claude-code", 1), ("api/claude-code", 2), ("api/claude-code", 3), ("api/claude-code", 4)],
        &[("intake/stripe", 1), ("intake/stripe", 5), ("intake/stripe", 9)],
        &[("api/python-requests", 10), ("api/python-requests", 20), ("api/python-requests", 30)],
        &[("api/a", 1), ("api/b", 1), ("api/c", 1), ("api/d", 1), ("api/e", 2), ("api/other", 3)],
    ];
    let mut number = 0;
    for (kind, owner) in [("user", "alice"), ("team", "blue")] {
        for (name, labels) in [("laptop", "{}"), ("CI pipeline", "{\"host\":\"cron server\"}"), ("", "{}")] {
            for maker in [None, Some("MMMMMMMMMMMMMMMMMMMM".to_owned())] {
                for (expires_at, revoked_at) in
                    [(None, None), (Some(1_773_000_000_000), None), (None, Some(1_773_000_000_000))]
                {
                    for sources in uses {
                        number += 1;
                        let row = KeyRow {
                            id: format!("{number:020}"),
                            kind: kind.into(),
                            owner: owner.into(),
                            name: name.into(),
                            labels: labels.into(),
                            created_via_key: maker.clone(),
                            expires_at,
                            revoked_at,
                            ..KeyRow::example()
                        };
                        let id = bench.plant_row(row).await;
                        for (source, days) in sources {
                            call(&bench, &id, "success", source, *days).await;
                        }
                        call(&bench, &id, "wrong_team", "api/curl", 2).await;
                    }
                }
            }
        }
    }
    let mut told = std::collections::BTreeSet::new();
    let all = entries(&bench, InventoryQuery::all().limit(1_000)).await;
    assert_eq!(all.len(), number);
    let before = bench.store.reads();
    let advice: Vec<_> = all.iter().map(|entry| entry.advice()).collect();
    assert_eq!(bench.store.reads(), before, "it reads nothing");
    for advice in advice {
        told.insert(advice.recommendation.as_str());
        let counted = Some(Default::default());
        assert_eq!(bench.manager.advise(&advice.key, &system()).await.unwrap(), Advice { counted, ..advice });
    }
    assert_eq!(told.len(), Recommendation::ALL.len(), "{told:?}");
}
