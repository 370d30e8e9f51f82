use clap::Args;
use serde::Serialize;
use tower_api_keys::{
    KeyId, Timestamp,
    manage::{KeyInfo, KeyUsage, UsageDay},
    record::ActorId,
};

use super::{
    key_rows::{about, state},
    usage_table,
};
use crate::{
    arguments::values,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Screen, counted, minute},
};

/// Show a key, and from where it was used
#[derive(Args)]
pub(crate) struct Show {
    /// The id of the key: the middle part of its text
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// Count the last days, too
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = values::days)]
    days: u16,
}

/// A key and its use.
#[derive(Serialize)]
struct Shown<'a> {
    key: &'a KeyInfo,
    usage: &'a KeyUsage,
}

impl Show {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let key = manager.find(&self.id, actor).await?;
        let usage = manager.usage(&self.id, self.days, actor).await?;
        if screen.is_json() {
            screen.document(&Shown { key: &key, usage: &usage })?;
            return Ok(Exit::Done);
        }
        let mut head = about(&key);
        if let Some(first) = head.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        screen.line(head)?;
        for (title, value) in facts(&key) {
            screen.line(format!("  {title:<12}{value}"))?;
        }
        screen.line("")?;
        if self.days > 0 {
            let sum = |of: fn(&UsageDay) -> i64| usage.days.iter().map(of).sum::<i64>();
            let [accepted, refused] = [sum(|day| day.successes), sum(|day| day.failures)];
            let days = counted(self.days.into(), "day", "days");
            screen.line(format!("In the last {days}: {accepted} accepted, {refused} refused"))?;
        }
        if usage.detail.counts.is_empty() {
            screen.line("No request with this key has arrived.")?;
        }
        usage_table(&usage.detail, screen)?;
        Ok(Exit::Done)
    }
}

/// What there is to say about a key, with titles.
fn facts(key: &KeyInfo) -> Vec<(&'static str, String)> {
    let when = |time: Timestamp| minute(time);
    let by = |time: Option<Timestamp>, actor: &Option<ActorId>| {
        let time = time.map(when)?;
        Some(match actor {
            Some(actor) => format!("{time} by {actor}"),
            None => time,
        })
    };
    let via = key.created_via_key.map(|via| format!(", with key {via}")).unwrap_or_default();
    let labels = key.labels.iter().map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>().join(", ");
    let networks = key.networks.as_ref().map(|networks| networks.iter().collect::<Vec<_>>().join(", "));
    let all = [
        ("state", Some(state(key))),
        ("text", Some(key.redacted.clone())),
        ("scopes", Some(key.scopes.to_string())),
        ("networks", networks),
        ("labels", Some(labels).filter(|labels| !labels.is_empty())),
        ("responsible", key.responsible.as_ref().map(ToString::to_string)),
        ("created", Some(format!("{} by {}{via}", when(key.created_at), key.created_by))),
        ("ends", Some(key.expires_at.map_or_else(|| "never".to_owned(), when))),
        ("paused", by(key.paused_at, &key.paused_by)),
        ("revoked", by(key.revoked_at, &key.revoked_by)),
        ("replaces", key.replaces.map(|id| id.to_string())),
        ("replaced by", key.successor.map(|id| id.to_string())),
    ];
    all.into_iter().filter_map(|(title, value)| Some((title, value?))).collect()
}
