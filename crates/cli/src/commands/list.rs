use clap::Args;
use tower_api_keys::{
    KeyId, KeyKind, Owner, TeamId, Timestamp, UserId,
    manage::ListKeys,
    record::{ActorId, NamePart},
    store::Liveness,
};

use super::{
    key_rows::{COLUMNS, row},
    sizes,
};
use crate::{
    arguments::values,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Now, Screen, Table, counted, listed},
};

/// List keys
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
}

/// Which keys.
#[derive(Args)]
pub(crate) struct Filter {
    /// Keys of this user; may be repeated
    #[arg(long, value_name = "ID")]
    user: Vec<UserId>,
    /// Keys of this team; may be repeated
    #[arg(long, value_name = "ID")]
    team: Vec<TeamId>,
    /// Only personal keys (user) or only team keys (team)
    #[arg(long, value_name = "KIND")]
    kind: Option<KeyKind>,
    /// Dead keys, too: revoked and expired ones
    #[arg(long)]
    revoked: bool,
    /// Keys that were not used since this time
    #[arg(long, value_name = "TIME", value_parser = values::earlier)]
    unused_since: Option<Timestamp>,
    /// Keys that end before this time
    #[arg(long, value_name = "TIME", value_parser = values::later)]
    ends_before: Option<Timestamp>,
    /// Keys with this text in their names
    #[arg(long, value_name = "TEXT")]
    named: Option<String>,
    /// Keys that this actor made: user:ID, key:ID or system:LABEL
    #[arg(long, value_name = "ACTOR")]
    created_by: Option<ActorId>,
    /// Keys that were made with this key
    #[arg(long, value_name = "ID", value_parser = values::key_id)]
    made_with: Option<KeyId>,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
}

impl Filter {
    /// As a query.
    ///
    /// # Errors
    /// If a part of a name cannot be searched for.
    pub(super) fn query(&self) -> Result<ListKeys, Failure> {
        let users = self.user.iter().cloned().map(Owner::from);
        let owners: Vec<Owner> = users.chain(self.team.iter().cloned().map(Owner::from)).collect();
        let mut query = if owners.is_empty() { ListKeys::all() } else { ListKeys::of_any(owners) };
        if !self.revoked {
            query = query.liveness(Liveness::Live);
        }
        if !self.oldest_first {
            query = query.newest_first();
        }
        if let Some(kind) = self.kind {
            query = query.kind(kind);
        }
        if let Some(time) = self.unused_since {
            query = query.unused_since(time);
        }
        if let Some(time) = self.ends_before {
            query = query.expires_before(time);
        }
        if let Some(part) = &self.named {
            let part = NamePart::new(part).map_err(|error| Failure::usage(error.sentence().to_string()))?;
            query = query.named_like(part);
        }
        if let Some(creator) = &self.created_by {
            query = query.created_by(creator.clone());
        }
        if let Some(key) = self.made_with {
            query = query.created_via_key(key);
        }
        Ok(query)
    }
}

impl List {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let (query, now) = (self.filter.query()?, Now::read());
        let (mut table, mut unreadable) = (Table::new(COLUMNS), Vec::new());
        let (mut size, mut after) = (sizes(), None);
        loop {
            let mut page = query.clone().limit(size());
            if let Some(cursor) = after {
                page = page.after(cursor);
            }
            let page = session.manager.list(page, &session.actor).await?;
            if screen.is_json() {
                page.keys.iter().try_for_each(|key| screen.document(key))?;
            } else {
                let rows: Vec<_> = page.keys.iter().map(|key| row(key, now)).collect();
                table.page(&rows, screen)?;
            }
            screen.flush()?;
            unreadable.extend(page.unreadable);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !screen.is_json() {
            screen.line(counted(table.rows(), "key", "keys"))?;
        }
        all_read(&unreadable)
    }
}

/// An error if some keys could not be read.
pub(super) fn all_read(unreadable: &[KeyId]) -> Result<Exit, Failure> {
    if unreadable.is_empty() {
        return Ok(Exit::Done);
    }
    let number = u64::try_from(unreadable.len()).unwrap_or(u64::MAX);
    let which = listed(unreadable.iter().map(KeyId::to_string));
    Err(Failure::unavailable(format!(
        "{} cannot be read and {} missing here, because the stored data is damaged: {which}. Requests with such a key get \
         503.",
        counted(number, "key", "keys"),
        if number == 1 { "is" } else { "are" },
    )))
}
