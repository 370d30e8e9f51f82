//! The contact responsible for a key: set when it is issued, changed later, kept by a rotation.

use crate::{
    IssueKey,
    manage::{
        DenialReason, EditKey, InvalidInput, ManageErrorKind, NoteKind, RotateKey,
        fixture::{Bench, person, system, team, user},
    },
    record::Responsible,
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

fn bob() -> Responsible {
    Responsible::new("user:bob").unwrap()
}

#[tokio::test]
async fn it_is_said_at_issue_and_kept_by_a_rotation() {
    let bench = Bench::new();
    let issued = bench.manager.issue(IssueKey::of(user("alice")).responsible("user:bob"), &system()).await.unwrap();
    let id = issued.info().id;
    assert_eq!(issued.info().responsible, Some(bob()));
    assert_eq!(bench.manager.find(&id, &system()).await.unwrap().responsible, Some(bob()));
    let told = bench.events().await.pop().unwrap();
    assert!(told.after.unwrap().contains(r#""responsible":"user:bob""#));
    let rotated = bench.manager.begin_rotation(RotateKey::of(id), &system()).await.unwrap();
    assert_eq!(rotated.info().responsible, Some(bob()));
    let nobody = bench.manager.issue(IssueKey::of(team("blue")), &system()).await.unwrap();
    assert_eq!(nobody.info().responsible, None);
    assert!(bench.events().await.pop().unwrap().after.unwrap().contains(r#""responsible":null"#));
}

#[tokio::test]
async fn it_is_set_changed_and_removed_with_an_event_each() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    for (text, version) in [("user:bob", 2), ("#ops", 3), ("#ops", 3), ("", 4), ("", 4)] {
        let edited = bench.manager.edit(EditKey::of(id).responsible(text), &person("alice")).await.unwrap();
        let told = edited.responsible.as_ref().map(Responsible::as_str);
        assert_eq!((told.unwrap_or_default(), edited.version), (text, version));
        assert_eq!(bench.row(&id).await.responsible.unwrap_or_default(), text);
    }
    let events = bench.events().await;
    let told: Vec<_> = events.iter().map(|e| (&*e.action, e.before.as_deref(), e.after.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("key.responsible_set", None, Some("user:bob")),
            ("key.responsible_set", Some("user:bob"), Some("#ops")),
            ("key.responsible_set", Some("#ops"), None),
        ]
    );
    // Another edit does not change it.
    bench.manager.edit(EditKey::of(id).responsible("#ops"), &system()).await.unwrap();
    assert_eq!(
        bench.manager.rename(&id, "cron", &system()).await.unwrap().responsible.map(String::from),
        Some("#ops".into())
    );
    assert_eq!(bench.row(&id).await.responsible.as_deref(), Some("#ops"));
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let invalid = ManageErrorKind::Invalid(InvalidInput::Responsible);
    let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
    let secret = key.expose_secret().to_owned();
    for text in [" ".to_owned(), "a\nb".into(), "r".repeat(129), secret.clone()] {
        let request = IssueKey::of(user("alice")).responsible(&text);
        let preview = bench.manager.preview(&request, &person("alice")).await.unwrap();
        assert!(preview.has(NoteKind::InvalidResponsible));
        assert_eq!(bench.manager.issue(request, &person("alice")).await.unwrap_err().kind(), invalid);
        let edit = EditKey::of(id).named("cron").responsible(&text);
        assert!(!format!("{edit:?}").contains(&secret));
        assert_eq!(bench.manager.edit(edit, &person("alice")).await.unwrap_err().kind(), invalid);
    }
    let fine = IssueKey::of(user("alice")).responsible("#ops");
    assert!(!bench.manager.preview(&fine, &person("alice")).await.unwrap().has(NoteKind::InvalidResponsible));
    assert!(bench.events().await.is_empty() && bench.row(&id).await.version == 1);
}

/// The right to relabel the key decides.
#[tokio::test]
async fn who_may_not_relabel_may_not_say_either() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let edit = || EditKey::of(id).responsible("user:bob");
    assert_eq!(bench.manager.edit(edit(), &person("bob")).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    let olga = crate::Actor::user("olga".parse().unwrap(), crate::Rights::none().org_admin());
    let denied = ManageErrorKind::Denied(DenialReason::NotYourKey.into());
    assert_eq!(bench.manager.edit(edit(), &olga).await.unwrap_err().kind(), denied);
    assert_eq!(bench.row(&id).await.responsible, None);
}
