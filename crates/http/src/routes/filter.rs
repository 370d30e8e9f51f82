//! The filters of lists of keys, for keys and inventory alike.

use tower_api_keys::{
    KeyKind,
    manage::ListKeys,
    record::NamePart,
    store::{KeyOrder, Liveness},
};

use crate::{
    problem::Problem,
    query::{Query, owner},
    table::{Form, Param},
};

const KEY_ID: Form = Form::Pattern("^[A-Za-z0-9_-]{20}$");
const ACTOR: Form = Form::Pattern("^(user|key|system):.");
pub(super) const OWNER: Form = Form::Pattern("^(user|team):.");

const OWNERS: Param =
    Param::any("owner", OWNER, "Only keys of one of these users and teams, such as `team:engineering`.");
const KIND: Param = Param::one("kind", Form::Words(&["user", "team"]), "Only personal keys, or only team keys.");
const NAMED: Param = Param::one("named", Form::Text, "Only keys with this in their names.");
const CREATOR: Param = Param::one("creator", ACTOR, "Only keys that this user, key or part of the service made.");
const MADE_VIA: Param = Param::one("created_via_key", KEY_ID, "Only keys that were made with this key.");
const LINEAGE: Param = Param::one("lineage", KEY_ID, "Only keys of the chain of rotations that began with this key.");
const LIVENESS: Param =
    Param::one("liveness", Form::Words(&["live", "dead"]), "Only live keys, or only revoked and expired ones.");
const UNUSED: Param = Param::one("unused_since", Form::Time, "Only keys without a successful use since this time.");
const EXPIRES: Param = Param::one("expires_before", Form::Time, "Only keys that end before this time.");
const ORDER: Param =
    Param::one("order", Form::Words(&["oldest", "newest", "soonest_end"]), "Which come first. Default: `oldest`.");
pub(super) const LIMIT: Param =
    Param::one("limit", Form::Number { least: 1, most: 1000 }, "At most this many. Default: 100.");
pub(super) const AFTER: Param = Param::one("after", Form::Text, "The `next` of the page before, as it is.");
pub(super) const KEY: Param = Param::one("key", KEY_ID, "Only those about this key.");
pub(super) const LINEAGE_OF: Param =
    Param::one("lineage", KEY_ID, "Only those about the chain of rotations that began with this key.");
pub(super) const BY: Param = Param::one("actor", ACTOR, "Only those by this user, key or part of the service.");
pub(super) const LABEL_OF_SOURCE: Param =
    Param::one("source_label", Form::Text, "Only from the source with this label.");
pub(super) const CLIENT_OF_SOURCE: Param =
    Param::one("source_client", Form::Text, "Only from the source with this client.");
pub(super) const NETWORK_OF_SOURCE: Param =
    Param::one("source_network", Form::Text, "Only from the source with this network.");

/// The filters of a list of keys.
pub(super) const LIST: [Param; 12] =
    [OWNERS, KIND, NAMED, CREATOR, MADE_VIA, LINEAGE, LIVENESS, UNUSED, EXPIRES, ORDER, LIMIT, AFTER];

/// The list that a query asks for.
pub(super) fn list(query: &Query) -> Result<ListKeys, Problem> {
    let owners = query.all_with("owner", owner)?;
    let mut list = if owners.is_empty() { ListKeys::all() } else { ListKeys::of_any(owners) };
    if let Some(kind) = query.read_one::<KeyKind>("kind")? {
        list = list.kind(kind);
    }
    if let Some(part) = query.one_with("named", |text| NamePart::new(text).ok())? {
        list = list.named_like(part);
    }
    if let Some(creator) = query.read_one("creator")? {
        list = list.created_by(creator);
    }
    if let Some(maker) = query.read_one("created_via_key")? {
        list = list.created_via_key(maker);
    }
    if let Some(first) = query.read_one("lineage")? {
        list = list.lineage(first);
    }
    if let Some(liveness) = query.one_with("liveness", liveness)? {
        list = list.liveness(liveness);
    }
    if let Some(time) = query.read_one("unused_since")? {
        list = list.unused_since(time);
    }
    if let Some(time) = query.read_one("expires_before")? {
        list = list.expires_before(time);
    }
    list = match query.one_with("order", order)?.unwrap_or_default() {
        KeyOrder::NewestFirst => list.newest_first(),
        KeyOrder::OldestFirst => list,
        KeyOrder::SoonestEndFirst => list.soonest_end_first(),
    };
    if let Some(cursor) = query.read_one("after")? {
        list = list.after(cursor);
    }
    if let Some(limit) = query.read_one("limit")? {
        list = list.limit(limit);
    }
    Ok(list)
}

fn liveness(word: &str) -> Option<Liveness> {
    match word {
        "dead" => Some(Liveness::Dead),
        "live" => Some(Liveness::Live),
        _ => None,
    }
}

fn order(word: &str) -> Option<KeyOrder> {
    match word {
        "newest" => Some(KeyOrder::NewestFirst),
        "oldest" => Some(KeyOrder::OldestFirst),
        "soonest_end" => Some(KeyOrder::SoonestEndFirst),
        _ => None,
    }
}
