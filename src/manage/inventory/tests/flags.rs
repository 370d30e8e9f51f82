use super::{DAY, bench, call, entries, entry, flags_of, id, row};
use crate::{
    Clock,
    hash::{Argon2Params, Hasher, HasherConfig},
    manage::{
        FlagSettings, InventoryQuery, KeyFlag,
        fixture::{Bench, team, user},
    },
    record::{KeyRow, Suspension},
    store::OwnerChange,
};

/// The flags of one key with these calls: outcome, source, days ago.
async fn flags(row: KeyRow, calls: &[(&str, &str, u32)]) -> Vec<KeyFlag> {
    flags_with(FlagSettings::new(), row, calls).await
}

async fn flags_with(settings: FlagSettings, row: KeyRow, calls: &[(&str, &str, u32)]) -> Vec<KeyFlag> {
    let bench = bench();
    let id = bench.plant_row(row).await;
    for (outcome, source, days_ago) in calls {
        call(&bench, &id, outcome, source, *days_ago).await;
    }
    entries(&bench, InventoryQuery::all().flag_settings(settings)).await.remove(0).flags
}

const USED: (&str, &str, u32) = ("success", "api/acme", 1);

fn personal(letter: char) -> KeyRow {
    KeyRow { kind: "user".into(), owner: "alice".into(), ..row(letter) }
}

/// A key that was created this number of days before the inventory.
fn aged(days: u32) -> KeyRow {
    KeyRow { created_at: bench().clock.now().saturating_sub(DAY * days).as_millis(), ..row('A') }
}

#[tokio::test]
async fn a_key_that_is_named_and_used_in_one_place_has_no_flag() {
    assert_eq!(flags(row('A'), &[USED]).await, []);
    assert_eq!(flags(personal('A'), &[USED]).await, []);
}

#[tokio::test]
async fn never_used_is_for_keys_that_are_a_day_old() {
    assert_eq!(flags(aged(0), &[]).await, []);
    assert_eq!(flags(aged(1), &[]).await, [KeyFlag::NeverUsed]);
    assert_eq!(flags(aged(1), &[("key_revoked", "", 0)]).await, [KeyFlag::NeverUsed]);
    assert_eq!(flags_with(FlagSettings::new().with_grace(DAY * 2), aged(1), &[]).await, []);
    assert_eq!(
        flags_with(FlagSettings::new().with_grace(std::time::Duration::ZERO), aged(0), &[]).await,
        [KeyFlag::NeverUsed]
    );
}

#[tokio::test]
async fn unused_is_for_keys_that_were_used_90_days_ago_or_longer() {
    assert_eq!(flags(row('A'), &[("success", "api", 89)]).await, []);
    assert_eq!(flags(row('A'), &[("success", "api", 90)]).await, [KeyFlag::Unused]);
    assert_eq!(flags(row('A'), &[("success", "api", 90), ("insufficient_scope", "api", 1)]).await, [KeyFlag::Unused]);
    let longer = FlagSettings::new().with_unused_after(DAY * 91);
    assert_eq!(flags_with(longer, row('A'), &[("success", "api", 90)]).await, []);
}

#[tokio::test]
async fn a_key_ends_soon_within_a_week_of_its_end() {
    let ends_in = |days: u32| KeyRow {
        expires_at: Some((bench().clock.now().saturating_add(DAY * days)).as_millis()),
        ..row('A')
    };
    assert_eq!(flags(ends_in(1), &[USED]).await, [KeyFlag::EndsSoon]);
    assert_eq!(flags(ends_in(7), &[USED]).await, [KeyFlag::EndsSoon]);
    assert_eq!(flags(ends_in(8), &[USED]).await, []);
    assert_eq!(flags(ends_in(0), &[USED]).await, [], "it has ended");
    assert_eq!(flags(KeyRow { revoked_at: Some(1_772_366_400_000), ..ends_in(1) }, &[USED]).await, []);
    let month = FlagSettings::new().with_ends_within(DAY * 30);
    assert_eq!(flags_with(month, ends_in(30), &[USED]).await, [KeyFlag::EndsSoon]);
    assert_eq!(flags_with(month, ends_in(31), &[USED]).await, []);
    let never = FlagSettings::new().with_ends_within(std::time::Duration::ZERO);
    assert_eq!(flags_with(never, ends_in(1), &[USED]).await, []);
}

#[tokio::test]
async fn a_key_that_is_being_replaced_does_not_end_soon_and_its_successor_may() {
    let bench = bench();
    let end = Some(bench.clock.now().saturating_add(DAY).as_millis());
    for row in [row('A'), KeyRow { replaces: Some(id('A').to_string()), ..row('B') }] {
        let id = bench.plant_row(KeyRow { expires_at: end, ..row }).await;
        call(&bench, &id, "success", "api/acme", 1).await;
    }
    assert_eq!(flags_of(&bench, 'A').await, [KeyFlag::RotationUnfinished]);
    assert_eq!(flags_of(&bench, 'B').await, [KeyFlag::EndsSoon, KeyFlag::RotationUnfinished]);
    let entries = entries(&bench, InventoryQuery::all().flagged([KeyFlag::EndsSoon])).await;
    assert_eq!(entries.len(), 1);
    let (said, told) = (entries[0].flag_sentence(KeyFlag::EndsSoon), serde_json::to_value(&entries[0]).unwrap());
    let date = entries[0].key.expires_at.unwrap().to_string();
    assert!(said.to_string().contains(&date), "{said}");
    assert_eq!(told["flags"][0]["sentence"], serde_json::to_value(&said).unwrap());
    let other = entries[0].flag_sentence(KeyFlag::RotationUnfinished);
    assert_eq!(other, KeyFlag::RotationUnfinished.sentence());
}

#[tokio::test]
async fn names_are_linted() {
    assert_eq!(flags(KeyRow { name: String::new(), ..row('A') }, &[USED]).await, [KeyFlag::Unnamed]);
    assert_eq!(flags(KeyRow { name: "key1".into(), ..row('A') }, &[USED]).await, [KeyFlag::VagueName]);
}

#[tokio::test]
async fn keys_manage_is_flagged_and_all_scopes_are_not() {
    assert_eq!(flags(KeyRow { scopes: "* keys:manage".into(), ..row('A') }, &[USED]).await, [KeyFlag::ManagesKeys]);
    assert_eq!(flags(KeyRow { scopes: "*".into(), ..row('A') }, &[USED]).await, []);
}

#[tokio::test]
async fn several_programs_are_flagged_and_labels_hand_tools_and_what_is_long_ago_are_not() {
    let with = |more: &'static [(&str, &str, u32)]| async move {
        let calls: Vec<_> = [USED].iter().chain(more).copied().collect();
        flags(row('A'), &calls).await
    };
    assert_eq!(with(&[("success", "intake/other-acme", 30)]).await, [KeyFlag::SeveralSources]);
    assert_eq!(with(&[("success", "intake/other-acme", 31)]).await, []);
    assert_eq!(with(&[("success", "intake/acme", 1), ("success", "acme", 2)]).await, []);
    assert_eq!(with(&[("success", "acme@203.0.113.0/24", 1), ("success", "api/acme@2001:db8:7::/48", 2)]).await, []);
    assert_eq!(with(&[("success", "curl@203.0.113.0/24", 1), ("success", "curl@2001:db8:7::/48", 2)]).await, []);
    assert_eq!(with(&[("success", "api/@203.0.113.0/24", 1)]).await, [KeyFlag::SeveralSources]);
    assert_eq!(with(&[("success", "api/curl", 1), ("success", "api/PostmanRuntime", 2), ("success", "", 1)]).await, []);
    assert_eq!(with(&[("insufficient_scope", "intake/other-acme", 1)]).await, []);
    assert_eq!(flags(row('A'), &[("success", "api/other", 1)]).await, [KeyFlag::SeveralSources]);
}

#[tokio::test]
async fn how_many_are_several_and_how_long_is_recent_can_be_set() {
    let calls = [USED, ("success", "api/b", 40)];
    let long = FlagSettings::new().with_recent(DAY * 40);
    assert_eq!(flags_with(long, row('A'), &calls).await, [KeyFlag::SeveralSources]);
    assert_eq!(flags_with(long.with_several(3), row('A'), &calls).await, []);
}

#[tokio::test]
async fn a_personal_key_that_others_depend_on_looks_shared_while_that_is_recent() {
    let shared = [KeyFlag::LooksShared];
    let three = [3, 4, 9].map(|days_ago| ("success", "api/GitHub-Hookshot", days_ago));
    assert_eq!(flags(personal('A'), &three).await, shared);
    assert_eq!(flags(personal('A'), &three[..2]).await, [], "somebody tried something");
    assert_eq!(flags(row('A'), &three).await, []);
    let long_ago = three.map(|(outcome, source, days_ago)| (outcome, source, days_ago + 28));
    assert_eq!(flags(personal('A'), &long_ago).await, []);
    let editor = [("success", "api/vscode", 1), ("success", "api/vscode", 2), ("success", "api/vscode", 9)];
    assert_eq!(flags(personal('A'), &editor).await, []);
}

#[tokio::test]
async fn a_team_key_that_one_person_uses_by_hand_looks_personal_while_that_is_recent() {
    let personal_flag = [KeyFlag::LooksPersonal];
    for client in ["api/vscode", "api/claude-code", "api/Mozilla"] {
        let editor = [1, 2, 9].map(|days_ago| ("success", client, days_ago));
        assert_eq!(flags(row('A'), &editor).await, personal_flag, "{client}");
        assert_eq!(flags(personal('A'), &editor).await, [], "{client}");
        assert_eq!(flags(row('A'), &editor[..2]).await, [], "somebody tried something: {client}");
        let long_ago = editor.map(|(outcome, source, days_ago)| (outcome, source, days_ago + 31));
        assert_eq!(flags(row('A'), &long_ago).await, [], "{client}");
        // A pipeline stays a pipeline, even if a person also uses its key at a desk.
        let both = [editor.as_slice(), &[("success", "api/GitHub-Hookshot", 3)]].concat();
        assert_eq!(flags(row('A'), &both).await, [], "{client}");
    }
    let script = [1, 2, 9].map(|days_ago| ("success", "api/curl", days_ago));
    assert_eq!(flags(row('A'), &script).await, [], "a tool for the hand may be in a script");
    let dead = KeyRow { revoked_at: Some(1), ..row('A') };
    assert_eq!(flags(dead, &[1, 2, 9].map(|days_ago| ("success", "api/vscode", days_ago))).await, []);
}

#[tokio::test]
async fn another_teams_door_is_flagged_while_it_is_recent() {
    assert_eq!(flags(row('A'), &[USED, ("wrong_team", "api/acme", 30)]).await, [KeyFlag::TriedAtOtherTeam]);
    assert_eq!(flags(row('A'), &[USED, ("wrong_team", "api/acme", 31)]).await, []);
    assert_eq!(flags(row('A'), &[USED, ("wrong_key_kind", "api/acme", 1)]).await, []);
}

#[tokio::test]
async fn a_dead_key_has_no_flag_but_that_somebody_still_tries_it() {
    let days_ago = |days: u32| Some(bench().clock.now().saturating_sub(DAY * days).as_millis());
    let bad = KeyRow { name: String::new(), scopes: "keys:manage".into(), ..row('A') };
    for dead in [KeyRow { revoked_at: days_ago(60), ..bad.clone() }, KeyRow { expires_at: days_ago(60), ..bad.clone() }]
    {
        assert_eq!(flags(dead.clone(), &[("wrong_team", "", 1)]).await, []);
        assert_eq!(flags(dead.clone(), &[("key_revoked", "", 30)]).await, [KeyFlag::TriedSinceDeath]);
        assert_eq!(flags(dead.clone(), &[("key_expired", "", 30)]).await, [KeyFlag::TriedSinceDeath]);
        assert_eq!(flags(dead, &[("key_revoked", "", 31)]).await, []);
    }
    let revoked_after = KeyRow { revoked_at: days_ago(3), ..bad };
    assert_eq!(flags(revoked_after, &[("owner_suspended", "", 5)]).await, [], "its owner was suspended then");
}

#[tokio::test]
async fn attempts_since_death_are_told_with_the_last_of_them() {
    let bench = bench();
    let id = bench.plant_row(KeyRow { revoked_at: Some(1_772_366_400_000), ..row('A') }).await;
    for (outcome, days_ago) in [("key_revoked", 9), ("key_expired", 8), ("owner_suspended", 7), ("invalid_key", 1)] {
        call(&bench, &id, outcome, "api/acme", days_ago).await;
    }
    let entry = entry(&bench).await;
    assert_eq!(entry.attempts_since_death.count, 3);
    assert_eq!(entry.attempts_since_death.last_at, Some(bench.clock.now().saturating_sub(DAY * 7)));
    assert!(!entry.is_live);
}

#[tokio::test]
async fn suspended_owner_and_suspended_creator_are_told_apart() {
    let bench = bench();
    for (letter, row) in [('A', row('A')), ('B', personal('B')), ('C', KeyRow { owner: "red".into(), ..row('C') })] {
        let id = bench.plant_row(row).await;
        assert_eq!(id, super::id(letter));
        call(&bench, &id, "success", "api/acme", 1).await;
    }
    // alice created all three keys: for herself, and for two teams.
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await;
    bench.change_owner(&team("red"), OwnerChange::Close).await;
    assert_eq!(flags_of(&bench, 'A').await, [KeyFlag::CreatorInactive]);
    assert_eq!(flags_of(&bench, 'B').await, [KeyFlag::OwnerInactive]);
    assert_eq!(flags_of(&bench, 'C').await, [KeyFlag::CreatorInactive, KeyFlag::OwnerInactive]);
}

#[tokio::test]
async fn a_key_of_a_closed_team_that_is_tried_is_a_dead_key_that_is_tried() {
    for (change, outcome, expected) in [
        (OwnerChange::Close, "owner_closed", vec![KeyFlag::OwnerInactive, KeyFlag::TriedSinceDeath]),
        (OwnerChange::Suspend(Suspension::Plan), "owner_plan_suspended", vec![KeyFlag::OwnerInactive]),
    ] {
        let bench = bench();
        let id = bench.plant_row(row('A')).await;
        call(&bench, &id, "success", "api/acme", 2).await;
        call(&bench, &id, outcome, "api/acme", 1).await;
        bench.change_owner(&team("engineering"), change).await;
        assert_eq!(flags_of(&bench, 'A').await, expected);
    }
}

#[tokio::test]
async fn a_rotation_is_unfinished_while_both_keys_are_live() {
    let replaced_by = |revoked_old, revoked_new| async move {
        let bench = bench();
        for (row, revoked) in
            [(row('A'), revoked_old), (KeyRow { replaces: Some(id('A').to_string()), ..row('B') }, revoked_new)]
        {
            let id = bench.plant_row(KeyRow { revoked_at: revoked, ..row }).await;
            call(&bench, &id, "success", "api/acme", 1).await;
        }
        let entries = entries(&bench, InventoryQuery::all()).await;
        assert_eq!(entries[0].key.successor, revoked_new.is_none().then(|| id('B')));
        assert_eq!(entries[1].key.predecessor_is_live, Some(revoked_old.is_none()));
        (entries[0].flags.clone(), entries[1].flags.clone())
    };
    let unfinished = vec![KeyFlag::RotationUnfinished];
    assert_eq!(replaced_by(None, None).await, (unfinished.clone(), unfinished));
    assert_eq!(replaced_by(Some(1_772_366_400_000), None).await, (vec![], vec![]));
    assert_eq!(replaced_by(None, Some(1_772_366_400_000)).await, (vec![], vec![]));
}

#[tokio::test]
async fn a_hash_that_is_weaker_than_those_of_new_keys_is_old() {
    let strong = HasherConfig::new().with_params(Argon2Params::LOW_MEMORY).with_threads(1);
    let bench = Bench::with_hasher(Hasher::new(strong).unwrap());
    let key = bench.plant_row(row('A')).await;
    call(&bench, &key, "success", "api/acme", 0).await;
    assert_eq!(flags_of(&bench, 'A').await, [KeyFlag::OldHash]);
}
