use tower_api_keys::{
    Actor, IssueKey, KeyManager, Owner, Timestamp,
    audit::Subject,
    key::KeyId,
    manage::{
        AuditEntry, AuditQuery, Decision, DenialReason, EditKey, EventPage, ExportError, ExportFormat, InvalidInput,
        InventoryQuery, KeyAction, KeyInfo, KeyPage, ListKeys, ManageError, ManageErrorKind, RevokeMany,
        RevokeManyError, RotateKey, Target,
    },
    record::{Labels, Suspension},
    store::Ledger,
};

use super::{
    cells::Cell,
    world::{World, time},
};
use crate::support::{system, team, user};

/// The scope of keys with a short longest life.
pub const BRIEF: &str = "brief";

/// The answer that the actor gets.
pub async fn act<S: Ledger>(world: &World<'_, S>, manager: &KeyManager, cell: &Cell, actor: &Actor) -> String {
    let (id, owner) = (world.target(), cell.owner());
    let seen = |usage: Option<_>| if usage.is_some() { "usage" } else { "bare" };
    let told_of = |page: EventPage| {
        let is_of_it = |entry: &AuditEntry| matches!(&entry.event.subject, Subject::Key(of, _) if *of == id);
        if page.entries.iter().any(is_of_it) { "usage" } else { "nothing" }
    };
    let listed = |page: KeyPage| match page.keys.iter().find(|key| key.id == id) {
        Some(key) => seen(key.usage),
        None => "nothing",
    };
    match cell.action {
        "issue" => answer(manager.issue(IssueKey::of(owner), actor).await, |_| "yes"),
        "known" => {
            let text = manager.format().generate(owner.kind()).unwrap();
            answer(manager.issue_known(IssueKey::of(owner).with_text(text), actor).await, |_| "yes")
        }
        "late" => {
            let request = IssueKey::of(owner).scopes(BRIEF.parse().unwrap());
            answer(manager.issue(request.expires_at(time("2026-03-02T00:00:00Z")), actor).await, |_| "yes")
        }
        "rename" => answer(manager.rename(&id, "Monday cron", actor).await, |_| "yes"),
        "relabel" => {
            let labels = Labels::new([("ticket", "OPS-1")]).unwrap();
            answer(manager.relabel(&id, labels, actor).await, |_| "yes")
        }
        "narrow" => answer(manager.narrow_scopes(&id, "read".parse().unwrap(), actor).await, |_| "yes"),
        "expire" => answer(manager.expire_at(&id, time("2027-01-01T00:00:00Z"), actor).await, |_| "yes"),
        "edit" => {
            let edit = EditKey::of(id).named("Monday cron").labels(Labels::new([("ticket", "OPS-1")]).unwrap());
            let edit = edit.scopes("read".parse().unwrap()).expires_at(time("2027-01-01T00:00:00Z"));
            answer(manager.edit(edit, actor).await, |_| "yes")
        }
        "pause" => answer(manager.pause(&id, actor).await, |_| "yes"),
        "resume" => answer(manager.resume(&id, actor).await, |_| "yes"),
        "revoke" => answer(manager.revoke(&id, actor).await, |_| "yes"),
        "find" => answer(manager.find(&id, actor).await, |key| seen(key.usage)),
        "usage" => answer(manager.usage(&id, 30, actor).await, |_| "usage"),
        "list" => answer(manager.list(ListKeys::of(owner), actor).await, listed),
        "unused" => {
            let query = ListKeys::of(owner).unused_since(time("2027-01-01T00:00:00Z"));
            answer(manager.list(query, actor).await, listed)
        }
        "rotate" => answer(manager.begin_rotation(RotateKey::of(id), actor).await, |_| "yes"),
        "into" => answer(manager.begin_rotation(RotateKey::of(id).into_team(team("blue")), actor).await, |_| "yes"),
        "widen" => {
            let wider = RotateKey::of(id).scopes("read write".parse().unwrap());
            answer(manager.begin_rotation(wider, actor).await, |_| "yes")
        }
        "rotation" => answer(manager.rotation(&id, actor).await, |_| "usage"),
        "finish" => answer(manager.finish_rotation_anyway(&id, actor).await, |_| "yes"),
        "abort" => answer(manager.abort_rotation(&id, actor).await, |_| "yes"),
        "revokeall" => {
            let revoked = manager.revoke_many(RevokeMany::of(owner), actor).await;
            answer(revoked.map_err(RevokeManyError::into_error), |_| "yes")
        }
        "advise" => answer(manager.advise(&id, actor).await, |_| "usage"),
        "explain" => answer(manager.explain(&id, actor).await, |_| "usage"),
        "report" => answer(manager.leak_report(&id, Timestamp::MIN, actor).await, |_| "usage"),
        "audit" => answer(manager.events(AuditQuery::all().of_key(id), actor).await, told_of),
        "trail" => answer(manager.events(AuditQuery::all().of(owner), actor).await, told_of),
        "archive" => {
            let mut lines = Vec::new();
            let query = AuditQuery::all().of(owner);
            let exported = manager.export_trail(query, ExportFormat::JsonLines, &mut lines, actor).await;
            let exported = exported.map_err(read_error);
            let has_it = String::from_utf8(lines).unwrap().contains(id.as_str());
            answer(exported, |_| if has_it { "usage" } else { "nothing" })
        }
        "inventory" => {
            let page = manager.inventory(InventoryQuery::of(owner), actor).await;
            answer(page, |page| if page.entries.iter().any(|entry| entry.key.id == id) { "usage" } else { "nothing" })
        }
        "export" => {
            let mut sheet = Vec::new();
            let (query, format) = (InventoryQuery::of(owner), ExportFormat::Csv);
            let exported = manager.export_inventory(query, format, &mut sheet, actor).await;
            let exported = exported.map_err(read_error);
            let has_it = String::from_utf8(sheet).unwrap().contains(id.as_str());
            answer(exported, |_| if has_it { "usage" } else { "nothing" })
        }
        "blast" => {
            let radius = manager.blast_radius(&user("alice"), actor).await;
            answer(radius, |radius| if radius.stops.iter().any(|stop| stop.key.id == id) { "usage" } else { "nothing" })
        }
        "exposure" => {
            let exposure = manager.exposure(&user("alice"), actor).await;
            answer(exposure, |seen| if seen.keys.iter().any(|seen| seen.key.id == id) { "usage" } else { "nothing" })
        }
        "status" => answer(manager.owner(&owner, actor).await, |_| "yes"),
        "suspend" => answer(manager.suspend(&owner, Suspension::Plan, actor).await, |_| "yes"),
        "reinstate" => answer(manager.reinstate(&owner, Suspension::Admin, actor).await, |_| "yes"),
        "close" => answer(manager.close(&owner, actor).await, |_| "yes"),
        "erase" => answer(manager.erase(&owner, actor).await, |_| "yes"),
        "orgerase" => answer(manager.erase(manager.organization().clone(), actor).await, |_| "yes"),
        "orgclose" => answer(manager.close_organization(manager.organization().clone(), actor).await, |_| "yes"),
        "orgstart" => {
            let of = manager.organization().clone();
            answer(manager.reinstate_organization(of, Suspension::Admin, actor).await, |_| "yes")
        }
        "orgstop" => {
            let of = manager.organization().clone();
            answer(manager.suspend_organization(of, Suspension::Plan, actor).await, |_| "yes")
        }
        other => panic!("{other}"),
    }
}

/// The answer that a button for the action would get.
pub async fn ask<S: Ledger>(world: &World<'_, S>, manager: &KeyManager, cell: &Cell, actor: &Actor) -> String {
    let (owner, key) = (cell.owner(), found(world, &world.target()).await);
    let (of_key, of_owner, of_new) = (Target::listed(&key), Target::Owner(&owner), Target::new_key(&owner));
    agrees_with_can(manager, actor, &key).await;
    let (action, target) = match cell.action {
        "issue" | "known" | "late" => (KeyAction::Issue, of_new),
        // Everything that it needs.
        "edit" | "rename" => (KeyAction::Rename, of_key),
        "relabel" => (KeyAction::Relabel, of_key),
        "narrow" => (KeyAction::Narrow, of_key),
        "expire" => (KeyAction::Expire, of_key),
        "pause" => (KeyAction::Pause, of_key),
        "resume" => (KeyAction::Resume, of_key),
        "revoke" => (KeyAction::Revoke, of_key),
        "find" => (KeyAction::See, of_key),
        "list" | "status" => (KeyAction::See, of_owner),
        "usage" => (KeyAction::SeeUsage, of_key),
        "unused" => (KeyAction::SeeUsage, of_owner),
        "rotate" | "finish" | "abort" => (KeyAction::Rotate, of_key),
        "into" => return rotated_and_issued(manager, actor, &of_key, &team("blue").into()).await,
        "widen" => return rotated_and_issued(manager, actor, &of_key, &owner).await,
        "revokeall" => (KeyAction::Revoke, of_owner),
        // An actor that may rotate a key may see the status of its rotation.
        "rotation" if cell.actor == "rotate-blue" => (KeyAction::Rotate, of_key),
        "rotation" | "advise" | "explain" | "report" => (KeyAction::SeeUsage, of_key),
        "inventory" | "export" => (KeyAction::SeeUsage, of_owner),
        "audit" => (KeyAction::Audit, of_key),
        "archive" | "trail" => (KeyAction::Audit, of_owner),
        "blast" => (KeyAction::SeeBlastRadius, of_owner),
        "exposure" => (KeyAction::SeeExposure, of_owner),
        "suspend" => (KeyAction::Suspend, of_owner),
        "reinstate" => (KeyAction::Reinstate, of_owner),
        "close" => (KeyAction::Close, of_owner),
        "erase" => (KeyAction::Erase, of_owner),
        "orgerase" => (KeyAction::Erase, Target::Organization),
        "orgclose" => (KeyAction::Close, Target::Organization),
        "orgstart" => (KeyAction::Reinstate, Target::Organization),
        "orgstop" => (KeyAction::Suspend, Target::Organization),
        other => panic!("{other}"),
    };
    said(manager.can(actor, action, &target).await.unwrap())
}

/// A personal key becomes a team key, or a key gets more scopes, only if the actor may both rotate the key and issue a
/// key to the owner.
async fn rotated_and_issued(manager: &KeyManager, actor: &Actor, of_key: &Target<'_>, owner: &Owner) -> String {
    match manager.can(actor, KeyAction::Rotate, of_key).await.unwrap() {
        Decision::Allow => said(manager.can(actor, KeyAction::Issue, &Target::new_key(owner)).await.unwrap()),
        other => said(other),
    }
}

/// Asserts that the answer for all actions at once agrees with the answer for each.
async fn agrees_with_can(manager: &KeyManager, actor: &Actor, key: &KeyInfo) {
    let is_ours = key.organization == *manager.organization();
    let abilities = manager.abilities(key, actor).unwrap();
    for action in KeyAction::ALL {
        let one = manager.can(actor, action, &Target::listed(key)).await.unwrap();
        let expected = if is_ours { one } else { Decision::Hide };
        let Some(ability) = abilities.of(action) else {
            // Actions that no key can have as a target.
            assert!(one != Decision::Allow && !abilities.allows(action), "{action}");
            continue;
        };
        assert_eq!((ability.decision(), abilities.allows(action)), (expected, expected == Decision::Allow), "{action}");
        let told = serde_json::to_value(ability).unwrap();
        assert_eq!((&told["action"], &told["allowed"]), (&action.as_str().into(), &ability.is_allowed().into()));
        match expected {
            Decision::Allow => {
                assert!(told["code"].is_null() && told["sentence"].is_null() && told["remedy"].is_null())
            }
            Decision::Deny(reason) => {
                let denial = manager.denial(reason);
                assert_eq!(told["code"], reason.code().as_str());
                assert_eq!(told["sentence"], serde_json::json!(denial.sentence()));
                assert_eq!(told["remedy"], serde_json::json!(denial.remedy()));
            }
            Decision::Hide => {
                assert_eq!((&told["code"], &told["remedy"]), (&"not_found".into(), &serde_json::Value::Null));
                assert_eq!(told["sentence"], serde_json::json!(ManageErrorKind::NotFound.sentence()));
            }
        }
    }
}

fn said(decision: Decision) -> String {
    match decision {
        Decision::Allow => "yes".into(),
        Decision::Deny(reason) => word(reason),
        Decision::Hide => "-".into(),
    }
}

async fn found<S: Ledger>(world: &World<'_, S>, id: &KeyId) -> KeyInfo {
    world.manager_of(&world.home).find(id, &system()).await.unwrap()
}

fn answer<T>(result: Result<T, ManageError>, good: impl FnOnce(T) -> &'static str) -> String {
    match result.map_err(|error| error.kind()) {
        Ok(value) => good(value).into(),
        Err(ManageErrorKind::Invalid(InvalidInput::ExpiryTooLate)) => "late".into(),
        Err(ManageErrorKind::NotFound) => "-".into(),
        Err(ManageErrorKind::Denied(denial)) => word(denial.reason()),
        Err(other) => format!("{other:?}"),
    }
}

fn read_error(error: ExportError) -> ManageError {
    match error {
        ExportError::Read(error) => error,
        other => panic!("{other}"),
    }
}

fn word(reason: DenialReason) -> String {
    match reason {
        DenialReason::ActorClosed | DenialReason::ActorSuspended => "held".into(),
        DenialReason::InsufficientRole => "role".into(),
        DenialReason::InsufficientScope(_) => "scope".into(),
        DenialReason::NotForKeys => "people".into(),
        DenialReason::NotYourKey => "yours".into(),
        DenialReason::PlanRequired => "plan".into(),
        DenialReason::ScopesTooWide => "wide".into(),
        DenialReason::SystemOnly => "system".into(),
        other => format!("{other:?}"),
    }
}
