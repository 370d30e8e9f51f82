use clap::Args;
use tower_api_keys::{
    Owner, Suspension,
    manage::{ChangeOrganization, ChangeOwner, Effect, OwnerStopped},
};

use super::{live_keys_are, soon};
use crate::{
    arguments::{Global, values},
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Asked, Screen, confirm},
};

/// Refuse all keys of a user, a team or the organization
#[derive(Args)]
pub(crate) struct Suspend {
    #[command(flatten)]
    whose: Whose,
    /// Why: `admin`, or `plan` if the plan does not include the keys
    #[arg(long, value_name = "REASON", default_value = "admin")]
    reason: Suspension,
}

/// Take a suspension back
#[derive(Args)]
pub(crate) struct Reinstate {
    #[command(flatten)]
    whose: Whose,
    /// Which suspension: `admin` or `plan`
    #[arg(long, value_name = "REASON", default_value = "admin")]
    reason: Suspension,
}

/// Refuse all keys of a user, a team or the organization permanently
#[derive(Args)]
pub(crate) struct Close {
    #[command(flatten)]
    whose: Whose,
}

#[derive(Args)]
struct Whose {
    /// Whose keys
    #[arg(value_name = "user:ID|team:ID|organization", value_parser = target)]
    owner: Target,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
}

/// Whose keys are stopped.
#[derive(Clone)]
enum Target {
    Organization,
    Owner(Owner),
}

fn target(text: &str) -> Result<Target, String> {
    if text == "organization" {
        return Ok(Target::Organization);
    }
    values::owner(text).map(Target::Owner).map_err(|_| "write user:ID, team:ID or organization".to_owned())
}

impl Whose {
    fn name(&self, session: &Session) -> String {
        match &self.owner {
            Target::Organization => format!("organization {}", session.manager.organization()),
            Target::Owner(owner) => owner.to_string(),
        }
    }

    fn of_owner(&self, owner: &Owner) -> ChangeOwner {
        let change = ChangeOwner::of(owner.clone());
        if self.dry_run { change.dry_run() } else { change }
    }

    fn of_organization(&self, session: &Session) -> ChangeOrganization {
        let change = ChangeOrganization::of(session.manager.organization().clone());
        if self.dry_run { change.dry_run() } else { change }
    }
}

impl Suspend {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let stopped = match &self.whose.owner {
            Target::Owner(owner) => manager.suspend(self.whose.of_owner(owner), self.reason, actor).await,
            Target::Organization => {
                manager.suspend_organization(self.whose.of_organization(session), self.reason, actor).await
            }
        };
        let stopped = stopped.map_err(|error| Failure::from(error).not("suspended"))?;
        tell(&stopped, &self.whose.name(session), ["suspended", "Would suspend"], session, screen)
    }
}

impl Close {
    pub(super) async fn run(&self, session: &Session, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let not_closed = |error| Failure::from(error).not("closed");
        if !self.whose.dry_run {
            let name = self.whose.name(session);
            let id = match &self.whose.owner {
                Target::Organization => session.manager.organization().to_string(),
                Target::Owner(owner) => owner.id().to_owned(),
            };
            let to = format!("close {name}, which cannot be undone");
            let asked = confirm(Asked { to: &to, what: "its id", text: &id }, global.yes, screen).await;
            asked.map_err(|failure| failure.not("closed"))?;
        }
        let stopped = match &self.whose.owner {
            Target::Owner(owner) => manager.close(self.whose.of_owner(owner), actor).await,
            Target::Organization => manager.close_organization(self.whose.of_organization(session), actor).await,
        };
        let stopped = stopped.map_err(not_closed)?;
        tell(&stopped, &self.whose.name(session), ["closed", "Would close"], session, screen)
    }
}

impl Reinstate {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let reinstated = match &self.whose.owner {
            Target::Owner(owner) => manager.reinstate(self.whose.of_owner(owner), self.reason, actor).await,
            Target::Organization => {
                manager.reinstate_organization(self.whose.of_organization(session), self.reason, actor).await
            }
        };
        let reinstated = reinstated.map_err(|error| Failure::from(error).not("reinstated"))?;
        if screen.is_json() {
            screen.document(&reinstated)?;
            return Ok(Exit::Done);
        }
        let (name, keys) = (self.whose.name(session), live_keys_are(reinstated.live_keys));
        screen.line(match (reinstated.effect, reinstated.dry_run) {
            (Effect::Changed, true) => format!("Would reinstate the {name}: {keys} then accepted again."),
            (Effect::Changed, false) => format!("The {name} is reinstated: {keys} accepted again."),
            (Effect::Unchanged, _) => format!("The {name} has no such suspension."),
        })?;
        Ok(Exit::Done)
    }
}

/// Says what was stopped. The words are what was done, and what would be done.
fn tell(
    stopped: &OwnerStopped,
    name: &str,
    [done, would]: [&str; 2],
    session: &Session,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    if screen.is_json() {
        screen.document(stopped)?;
        return Ok(Exit::Done);
    }
    let keys = live_keys_are(stopped.live_keys);
    screen.line(match (stopped.effect, stopped.dry_run) {
        (Effect::Changed, true) => format!("{would} the {name}: {keys} then refused."),
        (Effect::Changed, false) => format!("The {name} is {done}: {keys} refused. {}", soon(session)),
        (Effect::Unchanged, _) => format!("The {name} was {done} already."),
    })?;
    if stopped.is_unknown {
        screen.line("It has no keys, and made none: check the id.")?;
    }
    Ok(Exit::Done)
}
