//! JSON Schemas of the types that all answers share. The schemas of the answers are derived beside them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    audit::Action,
    key::KeyId,
    networks::Networks,
    outcome::Outcome,
    owner::{OrganizationId, TeamId, UserId},
    record::{ActorId, KeyName, Labels, Responsible},
    scope::{Scope, Scopes},
    store::{KeyCursor, Pseudonym},
    time::{Day, Timestamp},
    usage::Source,
};

macro_rules! schemas {
    ($($type:ident: $about:literal, $schema:tt;)+) => {
        $(
            impl JsonSchema for $type {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($type).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema = json_schema!($schema);
                    schema.insert("description".to_owned(), $about.into());
                    schema
                }
            }
        )+
    };
}

schemas! {
    Action: "What was done, in two words. An open set.", { "type": "string", "examples": ["key.issued"] };
    ActorId: "Who did something: a person, a key or a part of the service.",
        { "type": "string", "pattern": "^(user|key|system):", "examples": ["user:alice"] };
    Day: "A day in UTC.", { "type": "string", "format": "date" };
    KeyCursor: "Where the next page of a list begins. Give it back as it is.", { "type": "string" };
    KeyId: "The public middle part of a key's text.", { "type": "string", "pattern": "^[A-Za-z0-9_-]{20}$" };
    KeyName: "What people call a key; may be empty.", { "type": "string", "maxLength": 100 };
    Labels: "Short pairs that say what a name cannot.",
        { "type": "object", "maxProperties": 16, "additionalProperties": { "type": "string", "maxLength": 128 } };
    Networks: "Where a key may be used from: addresses with prefix lengths.",
        { "type": "array", "minItems": 1, "maxItems": 32, "items": { "type": "string" }, "examples": [["203.0.113.0/24"]] };
    OrganizationId: "The id of an organization.", { "type": "string", "minLength": 1, "maxLength": 128 };
    Outcome: "How a request ended: `success`, or the code of the refusal, with the reason behind a dot where there is one.",
        { "type": "string", "examples": ["success", "key_revoked", "malformed_key.truncated"] };
    Pseudonym: "What an owner or an organization is called in the trail once it is erased.",
        { "type": "string", "pattern": "^erased-[A-Za-z0-9_-]{22}$" };
    Responsible: "Who is told about a key.", { "type": "string", "minLength": 1, "maxLength": 128 };
    Scope: "A permission of a key, in the service's own words.", { "type": "string", "minLength": 1, "maxLength": 64 };
    Scopes: "What a key may do: scopes, and `*` for everything that its owner may except managing keys.",
        { "type": "array", "items": { "type": "string" }, "examples": [["*"]] };
    Source: "From where requests came. Each part is empty where it is not known.", {
        "type": "object",
        "properties": {
            "label": { "description": "What the layer is called that was asked.", "type": "string" },
            "client": { "description": "The program that called.", "type": "string" },
            "network": { "description": "The address it called from, or its network.", "type": "string" },
        },
        "required": ["label", "client", "network"],
    };
    TeamId: "The id of a team.", { "type": "string", "minLength": 1, "maxLength": 128 };
    Timestamp: "A moment in UTC (RFC 3339).", { "type": "string", "format": "date-time" };
    UserId: "The id of a person.", { "type": "string", "minLength": 1, "maxLength": 128 };
}
