use super::{bench, call, entries};
use crate::{
    Actor, IssueKey,
    manage::{
        Advice, InventoryQuery, KeyFlag, NextStep, NoteKind, Recommendation, Rights, TeamRole,
        fixture::{system, team_id, user_id},
    },
    record::KeyRow,
};

/// For every kind of key, name, label, creator and expiry, with every usage: the advice of an entry is the same as that
/// for the key.
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
    // The system has every plan, so one recommendation never appears.
    assert_eq!(told.len(), Recommendation::ALL.len() - 1, "{told:?}");
}

#[tokio::test]
async fn a_personal_key_that_looks_shared_points_to_what_the_plan_has() {
    let bench = bench();
    let row = KeyRow { kind: "user".into(), owner: "alice".into(), name: "Laptop of Alice".into(), ..super::row('A') };
    let id = bench.plant_row(row).await;
    for days_ago in [1, 2, 3, 4] {
        call(&bench, &id, "success", "api/github-actions", days_ago).await;
    }
    let blue = team_id("blue");
    let with = Rights::none().team_keys_included_for(blue.clone());
    let team = (Recommendation::MakeTeamKey, NextStep::RotateIntoTeam, "Replace it with a team key.");
    let service = (
        Recommendation::MakeServiceUserKey,
        NextStep::IssueForServiceUser,
        "Create a separate user for the service, and a key for that user.",
    );
    for (actor, expected) in [
        (system(), team),
        (Actor::user(user_id("alice"), Rights::none().team_keys_included()), team),
        (Actor::user(user_id("alice"), with.clone()), team),
        (Actor::user(user_id("olga"), with.org_admin()), team),
        (Actor::user(user_id("alice"), Rights::none().team(blue, TeamRole::Owner)), service),
        (Actor::user(user_id("olga"), Rights::none().org_admin()), service),
        (Actor::user(user_id("ada"), Rights::none().auditor()), service),
    ] {
        let (recommendation, next, said) = expected;
        let advice = bench.manager.advise(&id, &actor).await.unwrap();
        assert_eq!((advice.recommendation, advice.next), (recommendation, next), "{actor:?}");
        let page = bench.manager.inventory(InventoryQuery::all(), &actor).await.unwrap();
        let entry = &page.entries[0];
        assert_eq!(entry.flags, [KeyFlag::LooksShared]);
        assert!(entry.flag_sentence(KeyFlag::LooksShared).to_string().ends_with(said), "{actor:?}");
        assert_eq!(entry.advice(), Advice { counted: None, ..advice });
        let told = serde_json::to_value(entry).unwrap()["flags"][0]["sentence"]["text"].clone();
        assert!(told.as_str().unwrap().ends_with(said), "{told}");
        // The form gives the same advice, before the key exists.
        let request = IssueKey::user(user_id("alice")).named("GitHub Actions - production");
        if actor.user_id() == Some(&user_id("alice")) {
            let preview = bench.manager.preview(&request, &actor).await.unwrap();
            assert_eq!(preview.has(NoteKind::ShouldBeTeamKey), expected == team);
            assert_eq!(preview.has(NoteKind::ShouldBeServiceUserKey), expected == service);
        }
    }
}
