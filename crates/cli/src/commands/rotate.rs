use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use tower_api_keys::{
    KeyId, Scope, TeamId, Timestamp,
    manage::{
        Effect, EndRotation, EndedRotation, ManageErrorKind, RotateKey, Rotation, RotationStage, RotationVerdict,
    },
    record::Labels,
    usage::{Source, UsageCount},
};

use super::{
    create::{deliver, networks, scopes},
    key_rows::about,
    revoke::{ask_for, last_use},
    soon,
};
use crate::{
    arguments::{Global, values},
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Column, Now, Place, Screen, Table, listed, minute, source},
};

/// How often a rotation is looked at with `--watch`.
const WATCH: Duration = Duration::from_secs(5);

/// Replace a key without an outage
#[derive(Args)]
pub(crate) struct Rotate {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    Begin(Begin),
    Status(Status),
    Finish(Finish),
    Abort(Abort),
}

/// Create the new key, and print its text once; both keys work from then on
#[derive(Args)]
struct Begin {
    /// The id of the old key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// Make the new key a key of this team
    #[arg(long, value_name = "ID")]
    into_team: Option<TeamId>,
    /// Another name for the new key
    #[arg(long)]
    name: Option<String>,
    /// Labels of the new key instead of those of the old one; may be repeated
    #[arg(long, value_name = "LABEL=VALUE", value_parser = values::label)]
    label: Vec<(String, String)>,
    /// Scopes of the new key instead of those of the old one; may be repeated
    #[arg(long, value_name = "SCOPE", value_parser = values::scope)]
    scope: Vec<Scope>,
    /// Networks of the new key instead of those of the old one; may be repeated
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// When the new key ends [default: as the old one]
    #[arg(long, value_name = "TIME", value_parser = values::later)]
    expires: Option<Timestamp>,
    /// When the old key ends by itself [default: when you finish the rotation]
    #[arg(long, value_name = "TIME", value_parser = values::later)]
    old_key_ends: Option<Timestamp>,
    /// Makes a repeated call an error instead of a second key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Write the text of the new key into a new file that only you can read
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Say what still uses the old key
#[derive(Args)]
struct Status {
    /// The id of either key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// Look again until the rotation can be finished
    #[arg(long)]
    watch: bool,
}

/// Revoke the old key
#[derive(Args)]
struct Finish {
    /// The id of either key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// Even if something seems to use the old key
    #[arg(long)]
    anyway: bool,
}

/// Revoke the new key, and keep the old one
#[derive(Args)]
struct Abort {
    /// The id of either key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
}

impl Rotate {
    pub(super) async fn run(&self, session: &Session, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        match &self.step {
            Step::Begin(begin) => begin.run(session, screen).await,
            Step::Status(status) => status.run(session, screen).await,
            Step::Finish(finish) => finish.run(session, global, screen).await,
            Step::Abort(abort) => abort.run(session, screen).await,
        }
    }

    /// Whether it may change something.
    pub(crate) const fn changes(&self) -> bool {
        !matches!(self.step, Step::Status(_))
    }

    /// Whether it runs until it is interrupted.
    pub(crate) const fn is_long(&self) -> bool {
        matches!(self.step, Step::Status(Status { watch: true, .. }))
    }
}

impl Begin {
    async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let request = self.request()?;
        let (manager, actor) = (&session.manager, &session.actor);
        let old = manager.find(&self.id, actor).await.map_err(|error| Failure::from(error).not("rotated"))?;
        let place = Place::prepare(self.output.as_deref())?;
        match manager.begin_rotation(request, actor).await {
            Ok(issued) => {
                // With the state from after the call, in which it has a successor.
                let old = manager.find(&self.id, actor).await.unwrap_or(old);
                deliver(&issued, Some(&old), place, session, screen).await?;
                screen.note(format!("Created {}.", about(issued.info())));
                screen.note(format!(
                    "Both keys work now. Put the new one where the old one is, then see what is left: apikeys rotate \
                     status {}",
                    issued.info().id
                ));
                Ok(Exit::Done)
            }
            Err(error) => {
                place.discard();
                Err(Failure::from(error).not("rotated"))
            }
        }
    }

    fn request(&self) -> Result<RotateKey, Failure> {
        let mut request = RotateKey::of(self.id);
        if let Some(team) = &self.into_team {
            request = request.into_team(team.clone());
        }
        if let Some(name) = &self.name {
            request = request.named(name);
        }
        if !self.label.is_empty() {
            let labels = Labels::new(self.label.iter().cloned());
            request = request.labels(labels.map_err(|error| Failure::usage(error.sentence().to_string()))?);
        }
        if let Some(scopes) = scopes(&self.scope) {
            request = request.scopes(scopes);
        }
        if let Some(networks) = networks(&self.network)? {
            request = request.networks(networks);
        }
        if let Some(end) = self.expires {
            request = request.expires_at(end);
        }
        if let Some(end) = self.old_key_ends {
            request = request.old_key_ends_at(end);
        }
        if let Some(key) = &self.idempotency_key {
            request = request.idempotency_key(key);
        }
        Ok(request)
    }
}

impl Status {
    async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let mut last = None;
        loop {
            let rotation = session.manager.rotation(&self.id, &session.actor).await?;
            let is_over =
                rotation.stage != RotationStage::UnderWay || rotation.verdict == RotationVerdict::SafeToFinish;
            let seen = (rotation.stage, rotation.verdict, rotation.still_on_old.len());
            if last.replace(seen) != Some(seen) {
                show(&rotation, screen)?;
                screen.flush()?;
            }
            if !self.watch || is_over {
                return Ok(Exit::Done);
            }
            tokio::time::sleep(WATCH).await;
        }
    }
}

impl Finish {
    async fn run(&self, session: &Session, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let request = EndRotation::of(self.id);
        let ended = if self.anyway {
            let rotation = manager.rotation(&self.id, actor).await.map_err(not_finished)?;
            if !global.yes {
                screen.note(last_use(&rotation.old, session).await?);
            }
            let asked = ask_for(&rotation.old, "revoke the old key", global, screen).await;
            asked.map_err(|failure| failure.not("finished"))?;
            manager.finish_rotation_anyway(request, actor).await.map_err(not_finished)?
        } else {
            match manager.finish_rotation(request, actor).await {
                Err(error) if matches!(error.kind(), ManageErrorKind::NotSafeToFinish(_)) => {
                    let rotation = manager.rotation(&self.id, actor).await.map_err(not_finished)?;
                    let sources: Vec<_> = rotation.still_on_old.iter().map(|count| source(&count.source)).collect();
                    let from = if sources.is_empty() {
                        String::new()
                    } else {
                        format!(" It was used from {}.", listed(sources))
                    };
                    return Err(not_finished(error).with(format!("{from} To finish anyway, repeat with --anyway.")));
                }
                ended => ended.map_err(not_finished)?,
            }
        };
        let done = format!("Finished: the old key {} is revoked. {}", ended.old.id, soon(session));
        tell(&ended, &done, "The rotation was finished already.", screen)
    }
}

impl Abort {
    async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let aborted = session.manager.abort_rotation(EndRotation::of(self.id), &session.actor).await;
        let ended = aborted.map_err(|error| Failure::from(error).not("aborted"))?;
        let done =
            format!("Aborted: the new key {} is revoked, and the old one stays. {}", ended.new.id, soon(session));
        tell(&ended, &done, "The rotation was aborted already.", screen)
    }
}

fn not_finished(error: tower_api_keys::manage::ManageError) -> Failure {
    Failure::from(error).not("finished")
}

fn tell(ended: &EndedRotation, done: &str, already: &str, screen: &mut Screen) -> Result<Exit, Failure> {
    if screen.is_json() {
        screen.document(ended)?;
    } else {
        screen.line(if ended.effect == Effect::Changed { done } else { already })?;
    }
    Ok(Exit::Done)
}

fn show(rotation: &Rotation, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.document(rotation);
    }
    let now = Now(rotation.asked_at);
    screen.line(format!(
        "{}: {} → {}, begun {} by {}",
        rotation.old.name,
        rotation.old.id,
        rotation.new.id,
        minute(rotation.begun_at),
        rotation.new.created_by
    ))?;
    let mut sources: Vec<&Source> =
        rotation.on_old.successes().chain(rotation.on_new.successes()).map(|count| &count.source).collect();
    sources.sort();
    sources.dedup();
    let used = |counts: Vec<&UsageCount>| match counts.into_iter().max_by_key(|count| count.last_at) {
        Some(count) => format!("{}, last {}", count.count, now.ago(count.last_at)),
        None => "-".to_owned(),
    };
    let rows = sources.into_iter().map(|of| {
        let on = |detail: &tower_api_keys::usage::UsageDetail| {
            used(detail.successes().filter(|count| count.source == *of).collect())
        };
        [source(of), on(&rotation.on_old), on(&rotation.on_new)]
    });
    let columns = ["SOURCE", "OLD KEY", "NEW KEY"].map(Column::new);
    Table::new(columns).page(&rows.collect::<Vec<_>>(), screen)?;
    if rotation.stage != RotationStage::UnderWay {
        return screen.line(rotation.stage_sentence.to_string());
    }
    if let Some(end) = rotation.ends_at {
        screen.line(format!("The old key ends by itself at {}.", minute(end)))?;
    }
    screen.line(rotation.verdict.sentence().to_string())
}
