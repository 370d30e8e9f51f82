use clap::Args;
use tower_api_keys::{
    KeyId, Owner, Timestamp,
    manage::{Effect, KeyInfo, RevokeKey, RevokeMany},
    record::ActorId,
};

use super::{soon, working};
use crate::{
    arguments::{Global, values},
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Asked, Now, Screen, confirm, counted, quoted, source},
};

/// Revoke a key, or many
#[derive(Args)]
pub(crate) struct Revoke {
    /// The ids of the keys
    #[arg(value_name = "ID", value_parser = values::key_id)]
    ids: Vec<KeyId>,
    /// The key, and all keys that were made with it
    #[arg(long, value_name = "ID", value_parser = values::key_id, conflicts_with = "ids")]
    made_with: Option<KeyId>,
    /// All keys of this owner
    #[arg(long, value_name = "user:ID|team:ID", value_parser = values::owner)]
    owner: Option<Owner>,
    /// All keys that this actor made: user:ID, key:ID or system:LABEL
    #[arg(long, value_name = "ACTOR")]
    created_by: Option<ActorId>,
    /// Keys that were made at this time or later
    #[arg(long, value_name = "TIME", value_parser = values::earlier)]
    created_since: Option<Timestamp>,
    /// Keys that were made before this time
    #[arg(long, value_name = "TIME", value_parser = values::earlier)]
    created_until: Option<Timestamp>,
    /// The reason, for the audit trail; needed for more than one key
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
    /// Only say what would be revoked
    #[arg(long)]
    dry_run: bool,
}

impl Revoke {
    pub(super) async fn run(&self, session: &Session, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        match (self.ids.as_slice(), self.many()) {
            ([id], None) if !self.dry_run => self.one(*id, session, global, screen).await,
            ([], None) => {
                Err(Failure::usage("Which keys? Give ids, or say which with --owner, --created-by or --made-with."))
            }
            (_, many) => {
                let many = many.unwrap_or_else(|| RevokeMany::keys(self.ids.iter().copied()));
                self.all(many, session, global, screen).await
            }
        }
    }

    async fn one(&self, id: KeyId, session: &Session, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let not_revoked = |error| Failure::from(error).not("revoked");
        let (manager, actor) = (&session.manager, &session.actor);
        let key = manager.find(&id, actor).await.map_err(not_revoked)?;
        if key.revoked_at.is_none() {
            if !global.yes {
                screen.note(last_use(&key, session).await?);
            }
            ask_for(&key, "revoke it", global, screen).await.map_err(|failure| failure.not("revoked"))?;
        }
        let mut request = RevokeKey::of(id);
        if let Some(reason) = &self.because {
            request = request.because(reason);
        }
        let revoked = manager.revoke(request, actor).await.map_err(not_revoked)?;
        if screen.is_json() {
            screen.document(&revoked)?;
        } else if revoked.effect() == Effect::Changed {
            screen.line(format!("Revoked. {}", soon(session)))?;
        } else {
            screen.line("It was revoked already.")?;
        }
        Ok(Exit::Done)
    }

    async fn all(
        &self,
        many: RevokeMany,
        session: &Session,
        global: &Global,
        screen: &mut Screen,
    ) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let found = working("Counting the keys", manager.revoke_many(many.clone().dry_run(), actor), screen).await?;
        if self.dry_run {
            return if screen.is_json() { screen.document(&found) } else { say(&found.sentences(), screen) }
                .map(|()| Exit::Done);
        }
        let Some(reason) = &self.because else {
            return Err(Failure::usage("Say why with --because: the audit trail of each key will have it."));
        };
        let live = found.revoked + found.left;
        let number = live.to_string();
        let to = format!("revoke {}", counted(live, "key", "keys"));
        let asked = Asked { to: &to, what: "the number", text: &number };
        confirm(asked, global.yes || live == 0, screen).await.map_err(|failure| failure.not("revoked"))?;
        let revoked = working("Revoking keys", manager.revoke_many(many.because(reason), actor), screen).await;
        let revoked = revoked.map_err(|error| Failure::from(error).not("all revoked"))?;
        if screen.is_json() {
            screen.document(&revoked)?;
        } else {
            say(&revoked.sentences(), screen)?;
            if revoked.revoked > 0 {
                screen.line(soon(session))?;
            }
        }
        if revoked.is_complete() {
            return Ok(Exit::Done);
        }
        Err(Failure::refused(
            "Some of the keys are NOT revoked: run the command again, or look at them with `apikeys list`.",
        ))
    }

    /// The keys that ids and options describe together: each option narrows what is before it. None if there are only ids,
    /// or nothing.
    fn many(&self) -> Option<RevokeMany> {
        let window = match (self.created_since, self.created_until) {
            (None, None) => None,
            (from, until) => Some((from.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX))),
        };
        let (mut owner, mut creator, mut between) = (self.owner.clone(), self.created_by.clone(), window);
        let mut many = if let Some(id) = self.made_with {
            RevokeMany::key_and_made(id)
        } else if owner.is_none() && creator.is_none() && between.is_none() {
            return None;
        } else if !self.ids.is_empty() {
            RevokeMany::keys(self.ids.iter().copied())
        } else if let Some(owner) = owner.take() {
            RevokeMany::of(owner)
        } else if let Some(creator) = creator.take() {
            RevokeMany::created_by(creator)
        } else {
            let (from, until) = between.take()?;
            RevokeMany::created_between(from, until)
        };
        if let Some(owner) = owner {
            many = many.and_of(owner);
        }
        if let Some(creator) = creator {
            many = many.and_created_by(creator);
        }
        if let Some((from, until)) = between {
            many = many.and_created_between(from, until);
        }
        Some(many)
    }
}

/// Asks for the name of a key, or for its id if it has none.
pub(super) async fn ask_for(key: &KeyInfo, to: &str, global: &Global, screen: &mut Screen) -> Result<(), Failure> {
    let (name, id) = (key.name.as_str(), key.id.to_string());
    let (what, text) = if name.is_empty() { ("its id", id.as_str()) } else { ("its name", name) };
    confirm(Asked { to, what, text }, global.yes, screen).await
}

/// When a key was used last, and from where.
pub(super) async fn last_use(key: &KeyInfo, session: &Session) -> Result<String, Failure> {
    let usage = session.manager.usage(&key.id, 0, &session.actor).await?;
    let key_and_name = format!("{} {}", key.id, quoted(key.name.as_str()));
    Ok(match usage.detail.successes().max_by_key(|count| count.last_at) {
        Some(last) => {
            format!("{key_and_name} was used {} from {}.", Now::read().ago(last.last_at), source(&last.source))
        }
        None => format!("{key_and_name} was never used."),
    })
}

/// Sentences of the core, one a line.
pub(super) fn say(sentences: &[tower_api_keys::sentence::Sentence], screen: &mut Screen) -> Result<(), Failure> {
    sentences.iter().try_for_each(|sentence| screen.line(sentence.to_string()))
}
