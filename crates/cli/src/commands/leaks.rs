use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use tower_api_keys::{
    KeyId, OrganizationId, Timestamp,
    manage::{CallVerdict, Explanation, MatchConfidence, RevokeMany, Traced},
};
use zeroize::Zeroizing;

use super::{
    key_rows::{COLUMNS, about, row, state},
    revoke::{ask_for, say},
    soon, working,
};
use crate::{
    arguments::{Global, values},
    exit::Exit,
    failure::{Failure, sentence},
    open::Session,
    output::{Column, Now, Screen, Table, counted, source},
};

/// The most that is read of a text with keys in it.
const MOST: u64 = 64 * 1024;

/// Find the keys that a text is about: a log line, a header, a part of a key
#[derive(Args)]
pub(crate) struct Identify {
    /// A file with the text; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Say whether a text is a whole key, and whether it would be accepted
#[derive(Args)]
pub(crate) struct Verify {
    /// A file with the key; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Say who used a key since it leaked, and what it made
#[derive(Args)]
pub(crate) struct Leak {
    /// The id of the key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// When it leaked [default: when it was created]
    #[arg(long, value_name = "TIME", value_parser = values::earlier)]
    since: Option<Timestamp>,
    /// Revoke it first, and the keys that were made with it
    #[arg(long)]
    revoke: bool,
    /// The reason, for the audit trail [default: leaked]
    #[arg(long, value_name = "TEXT", requires = "revoke")]
    because: Option<String>,
}

/// What a text is.
#[derive(Serialize)]
struct Verified<'a> {
    is_whole_key: bool,
    /// Why the text is not a key.
    malformed: Option<&'static str>,
    traced: Option<&'a Traced>,
    explanation: Option<&'a Explanation>,
}

/// A text that may be a key.
fn secret_text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024 + 1));
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|opened| opened.take(MOST + 1).read_to_end(&mut bytes))
    };
    if let Err(error) = read {
        let text = format!("The text cannot be read from `{}`.", file.display());
        return Err(Failure::usage(text).because_of(&error));
    }
    if bytes.len() as u64 > MOST {
        return Err(Failure::usage("The text is too long: give at most 64 KiB at a time."));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::usage("The text is not UTF-8.")),
    }
}

impl Identify {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let text = secret_text(&self.file)?;
        let found = session.manager.identify(&text, &session.actor).await?;
        if screen.is_json() {
            screen.document(&found)?;
            return Ok(Exit::found(found.keys.is_empty()));
        }
        say(&found.sentences(), screen)?;
        let rows: Vec<_> = found
            .keys
            .iter()
            .map(|found| {
                let key = &found.key;
                [
                    key.id.to_string(),
                    key.name.to_string(),
                    key.owner.to_string(),
                    state(key),
                    found.evidence.to_string(),
                ]
            })
            .collect();
        Table::new(["ID", "NAME", "OWNER", "STATE", "EVIDENCE"].map(Column::new)).page(&rows, screen)?;
        Ok(Exit::found(found.keys.is_empty()))
    }
}

impl Verify {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let text = secret_text(&self.file)?;
        // What an editor or `echo` adds is no part of a key; what is left is judged as a request would be.
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        let malformed = session.keys.format().parse(text.as_bytes()).err();
        let traced = match &malformed {
            Some(_) => None,
            None => session.keys.trace(text, &session.actor).await?,
        };
        let whole = traced.as_ref().filter(|traced| traced.evidence == MatchConfidence::WholeKey);
        let explanation = match whole {
            Some(whole) => {
                let manager = session.keys.manager_for(whole.organization.clone());
                Some(manager.explain(&whole.key.id, &session.actor).await?)
            }
            None => None,
        };
        let is_accepted = explanation.as_ref().is_some_and(|known| known.verdict == CallVerdict::Accepted);
        if screen.is_json() {
            screen.document(&Verified {
                is_whole_key: whole.is_some(),
                malformed: malformed.as_ref().map(|error| error.reason().as_str()),
                traced: traced.as_ref(),
                explanation: explanation.as_ref(),
            })?;
            return Ok(Exit::found(!is_accepted));
        }
        match (&malformed, &traced, &explanation) {
            (Some(error), ..) => {
                screen.line(sentence(error))?;
                screen.line(error.advice())?;
            }
            (None, Some(traced), explanation) => {
                let organization = if traced.organization == OrganizationId::single() {
                    String::new()
                } else {
                    format!(", in organization {}", traced.organization)
                };
                screen.line(format!("{}{organization}: {}.", about(&traced.key), state(&traced.key)))?;
                screen.line(traced.evidence_sentence.to_string())?;
                if let Some(explanation) = explanation {
                    screen.line(explanation.verdict_sentence.to_string())?;
                }
            }
            (None, None, _) => {
                screen.line("The text has the form of a key, but it is none of the keys in this store.")?;
            }
        }
        Ok(Exit::found(!is_accepted))
    }
}

impl Leak {
    /// Whether it may change something.
    pub(crate) const fn changes(&self) -> bool {
        self.revoke
    }

    pub(super) async fn run(&self, session: &Session, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let key = manager.find(&self.id, actor).await?;
        let revoked = if self.revoke {
            let asked = ask_for(&key, "revoke it, and the keys that were made with it", global, screen).await;
            asked.map_err(|failure| failure.not("revoked"))?;
            let many = RevokeMany::key_and_made(self.id).because(self.because.as_deref().unwrap_or("leaked"));
            let revoked = working("Revoking keys", manager.revoke_many(many, actor), screen).await;
            Some(revoked.map_err(|error| Failure::from(error).not("all revoked"))?)
        } else {
            None
        };
        let report = manager.leak_report(&self.id, self.since.unwrap_or(key.created_at), actor).await?;
        if screen.is_json() {
            screen.document(&report)?;
        } else {
            if let Some(revoked) = &revoked {
                say(&revoked.sentences(), screen)?;
                screen.line(soon(session))?;
            }
            say(&report.sentences(), screen)?;
            let now = Now::read();
            let rows: Vec<_> = report
                .sources
                .iter()
                .map(|used| {
                    let new = if used.is_new { "new" } else { "" };
                    let times = [used.accepted, used.refused].map(|count| count.to_string());
                    let [accepted, refused] = times;
                    [
                        source(&used.source),
                        accepted,
                        refused,
                        now.ago(used.first_at),
                        now.ago(used.last_at),
                        new.to_owned(),
                    ]
                })
                .collect();
            Table::new(["SOURCE", "ACCEPTED", "REFUSED", "FIRST", "LAST", ""].map(Column::new)).page(&rows, screen)?;
            if !report.made.is_empty() {
                screen.line(format!("It made {}:", counted(report.made.len() as u64, "key", "keys")))?;
            }
            let made: Vec<_> = report.made.iter().map(|key| row(key, now)).collect();
            Table::new(COLUMNS).page(&made, screen)?;
        }
        match revoked {
            Some(revoked) if !revoked.is_complete() => {
                Err(Failure::refused("Some of the keys are NOT revoked: run the command again."))
            }
            _ => Ok(Exit::Done),
        }
    }
}
