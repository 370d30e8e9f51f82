use std::path::PathBuf;

use clap::{ArgGroup, Args};
use tower_api_keys::{
    IssueKey, Networks, Scope, Scopes, TeamId, Timestamp, UserId,
    manage::{IssuedKey, KeyInfo},
};

use super::key_rows::about;
use crate::{
    arguments::values,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{NewSecret, Place, Screen},
};

/// Create a key, and print its text once
#[derive(Args)]
#[command(group = ArgGroup::new("owner").required(true))]
pub(crate) struct Create {
    /// A personal key of this user
    #[arg(long, value_name = "ID", group = "owner")]
    user: Option<UserId>,
    /// A key of this team
    #[arg(long, value_name = "ID", group = "owner")]
    team: Option<TeamId>,
    /// Who uses the key, and where: "GitHub Actions - production"
    #[arg(long)]
    name: String,
    /// What the key may do; may be repeated [default: everything]
    #[arg(long, value_name = "SCOPE", value_parser = values::scope)]
    scope: Vec<Scope>,
    /// A label with its value; may be repeated
    #[arg(long, value_name = "LABEL=VALUE", value_parser = values::label)]
    label: Vec<(String, String)>,
    /// A network that the key may be used from; may be repeated [default: everywhere]
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// The limits of your service for this key, in its own words
    #[arg(long)]
    limits: Option<String>,
    /// Who is responsible for the key
    #[arg(long, value_name = "PERSON|CHANNEL")]
    responsible: Option<String>,
    /// When the key ends: a date, a time, or a length of time such as 90d [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::later)]
    expires: Option<Timestamp>,
    /// Makes a repeated call an error instead of a second key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Write the text of the key into a new file that only you can read
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Create {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let request = self.request()?;
        let place = Place::prepare(self.output.as_deref())?;
        match session.manager.issue(request, &session.actor).await {
            Ok(issued) => {
                deliver(&issued, None, place, session, screen).await?;
                screen.note(format!("Created {}.", about(issued.info())));
                screen.note("Nobody can show its text again.");
                if let Some(soon) = issued.ends_soon() {
                    screen.note(soon.to_string());
                }
                Ok(Exit::Done)
            }
            Err(error) => {
                place.discard();
                let before = error.replayed().map(|key| format!(" It is the {}.", about(key)));
                Err(Failure::from(error).not("created").with(before.unwrap_or_default()))
            }
        }
    }

    fn request(&self) -> Result<IssueKey, Failure> {
        let mut request = match (&self.user, &self.team) {
            (Some(user), _) => IssueKey::user(user.clone()),
            (None, Some(team)) => IssueKey::team(team.clone()),
            (None, None) => return Err(Failure::usage("Whose key? Give --user or --team.")),
        };
        request = request.named(&self.name);
        for (label, value) in &self.label {
            request = request.labelled(label, value);
        }
        if let Some(scopes) = scopes(&self.scope) {
            request = request.scopes(scopes);
        }
        if let Some(networks) = networks(&self.network)? {
            request = request.networks(networks);
        }
        if let Some(limits) = &self.limits {
            request = request.limits(limits);
        }
        if let Some(responsible) = &self.responsible {
            request = request.responsible(responsible);
        }
        if let Some(end) = self.expires {
            request = request.expires_at(end);
        }
        if let Some(key) = &self.idempotency_key {
            request = request.idempotency_key(key);
        }
        Ok(request)
    }
}

/// The scopes that were given, if any were.
pub(super) fn scopes(given: &[Scope]) -> Option<Scopes> {
    (!given.is_empty()).then(|| given.iter().cloned().fold(Scopes::none(), Scopes::with))
}

/// The networks that were given, if any were.
pub(super) fn networks(texts: &[String]) -> Result<Option<Networks>, Failure> {
    if texts.is_empty() {
        return Ok(None);
    }
    Networks::new(texts).map(Some).map_err(|error| Failure::usage(error.sentence().to_string()))
}

/// Writes the text of a new key, and revokes the key if that is not possible: nobody could ever use it.
pub(super) async fn deliver(
    issued: &IssuedKey,
    old: Option<&KeyInfo>,
    mut place: Place,
    session: &Session,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let key = issued.info();
    let secret = NewSecret { old, key, plaintext: issued.plaintext(), ends_soon: issued.ends_soon() };
    let Err(error) = place.write(&secret, screen.is_json()) else {
        screen.note(place.name());
        return Ok(());
    };
    let revoked = session.manager.revoke(&key.id, &session.actor).await;
    let what = format!("The key {} was made, and its text could not be written", key.id);
    Err(match revoked {
        Ok(_) => {
            Failure::unavailable(format!("{what}. So it was revoked again, and nobody can use it.")).because_of(&error)
        }
        Err(not_revoked) => {
            let text = format!(
                "{what}. It is NOT revoked: revoke it with `apikeys revoke {}`, because a part of its text may have been \
                 read.",
                key.id
            );
            Failure::unavailable(text).because_of(&error).because_of(&not_revoked)
        }
    })
}
