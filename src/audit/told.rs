//! Events in JSON: a change is an object, no matter what text the row has for it.

use serde_json::{Map, Value};

use super::{
    action::Action,
    event::{Audience, Event, Subject},
};
use crate::{
    json::json_form,
    key::KeyId,
    owner::{OrganizationId, Owner},
    record::ActorId,
    scope::Scopes,
    time::Timestamp,
};

json_form! {
    Subject<'a>, |subject| _ => {
        #[cfg_attr(feature = "schemars", schemars(extend("enum" = ["key", "organization", "owner"])))]
        kind: &'static str = match subject {
            Subject::Key(..) => "key",
            Subject::Organization => "organization",
            Subject::Owner(_) => "owner",
        },
        key: Option<KeyId> = match subject {
            Subject::Key(id, _) => Some(*id),
            Subject::Organization | Subject::Owner(_) => None,
        },
        /// The owner of the key, or the owner the event is about; null if it is about the organization.
        owner: Option<&'a Owner> = subject.owner(),
    }
}

json_form! {
    Event<'a>, |event| Event {
        sequence, organization, at, actor, action, subject, before, after, source, audience
    } => {
        sequence: i64 = *sequence,
        organization: &'a OrganizationId = organization,
        at: Timestamp = *at,
        actor: &'a ActorId = actor,
        action: &'a Action = action,
        subject: &'a Subject = subject,
        before: Option<Map<String, Value>> = before.as_deref().map(|text| event.told(text)),
        after: Option<Map<String, Value>> = after.as_deref().map(|text| event.told(text)),
        source: Option<&'a str> = source.as_deref(),
        audience: Audience = *audience,
    }
}

impl Event {
    /// What changed, by name.
    fn told(&self, text: &str) -> Map<String, Value> {
        let named = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        let plain = |name| named(name, text.into());
        match name_of(&self.action) {
            Told::Object => match serde_json::from_str::<Value>(text) {
                Ok(Value::Object(mut told)) => {
                    // In a row, scopes are one text.
                    if let Some(Value::String(scopes)) = told.get("scopes") {
                        let scopes = list(scopes);
                        told.insert("scopes".to_owned(), scopes);
                    }
                    told
                }
                // The id of a key, where other actions have an object.
                _ if KeyId::new(text).is_ok() => plain("key"),
                _ => plain("text"),
            },
            Told::Labels => match serde_json::from_str::<Value>(text) {
                Ok(labels @ Value::Object(_)) => named("labels", labels),
                _ => plain("text"),
            },
            Told::Or(name) => match serde_json::from_str::<Value>(text) {
                Ok(Value::Object(told)) => told,
                _ => plain(name),
            },
            Told::Networks => named("networks", text.split(' ').collect::<Vec<_>>().into()),
            Told::Scopes => named("scopes", list(text)),
            Told::Text(name) => plain(name),
        }
    }
}

/// The form of an action's texts.
enum Told {
    Labels,
    Networks,
    /// An object, or the id of a key.
    Object,
    /// An object, or a text of this name.
    Or(&'static str),
    Scopes,
    /// A text of this name.
    Text(&'static str),
}

fn name_of(action: &Action) -> Told {
    let known = [
        (Action::ATTEMPT_DROPPED, Told::Object),
        (Action::ATTEMPT_REFUSED, Told::Or("code")),
        (Action::ATTEMPT_REPEATED, Told::Object),
        (Action::INVENTORY_EXPORTED, Told::Object),
        (Action::KEY_ENDS_SOON, Told::Object),
        (Action::KEY_EXPIRED, Told::Object),
        (Action::KEY_EXPIRY_SET, Told::Text("expires_at")),
        (Action::KEY_ISSUED, Told::Object),
        (Action::KEY_NARROWED, Told::Scopes),
        (Action::KEY_NETWORKS_SET, Told::Networks),
        (Action::KEY_PAUSED, Told::Text("reason")),
        (Action::KEY_RELABELLED, Told::Labels),
        (Action::KEY_RENAMED, Told::Text("name")),
        (Action::KEY_RESPONSIBLE_SET, Told::Text("responsible")),
        (Action::KEY_RESUMED, Told::Text("reason")),
        (Action::KEY_REVOKED, Told::Text("reason")),
        (Action::KEY_ROTATION_ABORTED, Told::Text("key")),
        (Action::KEY_ROTATION_BEGUN, Told::Object),
        (Action::KEY_ROTATION_FINISHED, Told::Text("key")),
        (Action::KEY_SUCCESSOR_MADE, Told::Text("key")),
        (Action::MANAGE_DENIED, Told::Object),
        (Action::ORGANIZATION_CLOSED, Told::Text("reason")),
        (Action::ORGANIZATION_REINSTATED, Told::Or("suspension")),
        (Action::ORGANIZATION_SUSPENDED, Told::Or("suspension")),
        (Action::OWNER_CLOSED, Told::Text("reason")),
        (Action::OWNER_REINSTATED, Told::Or("suspension")),
        (Action::OWNER_SUSPENDED, Told::Or("suspension")),
        (Action::TRAIL_EXPORTED, Told::Object),
    ];
    known.into_iter().find(|(known, _)| known == action).map_or(Told::Text("text"), |(_, told)| told)
}

/// Scopes in the usual JSON form; unreadable ones stay one text.
fn list(scopes: &str) -> Value {
    match scopes.parse::<Scopes>() {
        Ok(scopes) => Vec::<String>::from(scopes).into(),
        Err(_) => vec![scopes].into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::EventRow;

    fn told(action: &Action, text: &str) -> Value {
        let row = EventRow { action: action.as_str().into(), after: Some(text.into()), ..EventRow::example() };
        serde_json::to_value(Event::try_from(&row).unwrap()).unwrap()["after"].clone()
    }

    #[test]
    fn what_changed_is_an_object() {
        for (action, text, expected) in [
            (Action::ATTEMPT_REFUSED, "key_revoked", json!({"code": "key_revoked"})),
            (
                Action::ATTEMPT_REPEATED,
                r#"{"code":"key_revoked","count":2}"#,
                json!({"code": "key_revoked", "count": 2}),
            ),
            (
                Action::KEY_ENDS_SOON,
                r#"{"before_ms":86400000,"expires_at":"2027-01-01T00:00:00Z"}"#,
                json!({"before_ms": 86_400_000, "expires_at": "2027-01-01T00:00:00Z"}),
            ),
            (
                Action::KEY_EXPIRED,
                r#"{"expires_at":"2027-01-01T00:00:00Z","responsible":null}"#,
                json!({"expires_at": "2027-01-01T00:00:00Z", "responsible": null}),
            ),
            (Action::KEY_RESPONSIBLE_SET, "user:bob", json!({"responsible": "user:bob"})),
            (Action::KEY_EXPIRY_SET, "2027-01-01T00:00:00Z", json!({"expires_at": "2027-01-01T00:00:00Z"})),
            (
                Action::KEY_ISSUED,
                r#"{"name":"ci","scopes":"* keys:read"}"#,
                json!({"name": "ci", "scopes": ["*", "keys:read"]}),
            ),
            (Action::KEY_NARROWED, "a b", json!({"scopes": ["a", "b"]})),
            (Action::KEY_NARROWED, "", json!({"scopes": []})),
            (Action::KEY_RELABELLED, r#"{"ticket":"OPS-1"}"#, json!({"labels": {"ticket": "OPS-1"}})),
            (Action::KEY_RENAMED, "ci", json!({"name": "ci"})),
            (Action::KEY_RENAMED, r#"{"a":1}"#, json!({"name": r#"{"a":1}"#})),
            (Action::KEY_REVOKED, "leaked", json!({"reason": "leaked"})),
            (Action::KEY_ROTATION_BEGUN, "AAAAAAAAAAAAAAAAAAAA", json!({"key": "AAAAAAAAAAAAAAAAAAAA"})),
            (Action::KEY_ROTATION_FINISHED, "AAAAAAAAAAAAAAAAAAAA", json!({"key": "AAAAAAAAAAAAAAAAAAAA"})),
            (Action::OWNER_SUSPENDED, "admin", json!({"suspension": "admin"})),
            (
                Action::OWNER_SUSPENDED,
                r#"{"suspension":"admin","reason":"laptop stolen"}"#,
                json!({"suspension": "admin", "reason": "laptop stolen"}),
            ),
            (Action::OWNER_REINSTATED, r#"{"reason":"found again"}"#, json!({"reason": "found again"})),
            (Action::ORGANIZATION_CLOSED, "contract ended", json!({"reason": "contract ended"})),
            (Action::from("key.of_tomorrow"), "anything", json!({"text": "anything"})),
            // Written with plain SQL.
            (Action::KEY_ISSUED, "not JSON", json!({"text": "not JSON"})),
            (Action::KEY_RELABELLED, "[1]", json!({"text": "[1]"})),
            (Action::KEY_NARROWED, "a\"b", json!({"scopes": ["a\"b"]})),
        ] {
            assert_eq!(told(&action, text), expected, "{action} {text}");
        }
    }

    #[test]
    fn a_subject_has_one_shape() {
        let row = EventRow::example();
        let subject = |row: &EventRow| serde_json::to_value(Event::try_from(row).unwrap()).unwrap()["subject"].clone();
        let owner = json!({"kind": "team", "id": "engineering"});
        assert_eq!(subject(&row), json!({"kind": "key", "key": row.key, "owner": owner}));
        assert_eq!(
            subject(&EventRow { key: None, ..row.clone() }),
            json!({"kind": "owner", "key": null, "owner": owner})
        );
        let all = EventRow { key: None, owner_kind: "organization".into(), owner: String::new(), ..row };
        assert_eq!(subject(&all), json!({"kind": "organization", "key": null, "owner": null}));
        // Only an organization has no owner, and no key belongs to all of it.
        for wrong in [
            EventRow { owner: "x".into(), ..all.clone() },
            EventRow { key: Some("A".repeat(20)), ..all.clone() },
            EventRow { owner_kind: "team".into(), ..all },
        ] {
            Event::try_from(&wrong).unwrap_err();
        }
    }
}
