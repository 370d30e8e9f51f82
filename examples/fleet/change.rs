//! Changes to keys and owners that are in use.

use std::{
    error::Error,
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tower_api_keys::{
    Actor, IssueKey, IssuedKey, KeyManager, Owner, TeamId, UserId,
    key::KeyId,
    manage::{ManageError, ManageErrorKind, RotateKey},
    record::Suspension,
};

/// The limit for a change. Nothing here takes nearly that long, so a change that takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A change. The driver makes it, or sends it to a node as a line of text.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// Finish the rotation to this new key.
    Finish(KeyId),
    Suspend(u64),
    Reinstate(u64),
    Revoke(KeyId),
}

/// The owner with this number: a team if the number is even, a user if it is odd.
pub(crate) fn owner(number: u64) -> Owner {
    if number.is_multiple_of(2) { Owner::Team(TeamId::from(number)) } else { Owner::User(UserId::from(number)) }
}

impl Change {
    pub(crate) async fn make(self, manager: &KeyManager) -> Result<(), Box<dyn Error + Send + Sync>> {
        let actor = Actor::system("fleet")?;
        let (suspension, manager, actor) = (Suspension::Admin, manager, &actor);
        match self {
            Self::Finish(new) => drop(insist(|| manager.finish_rotation_anyway(&new, actor)).await?),
            Self::Suspend(of) => {
                let of = owner(of);
                insist(|| manager.suspend(&of, suspension, actor)).await?;
            }
            Self::Reinstate(of) => {
                let of = owner(of);
                insist(|| manager.reinstate(&of, suspension, actor)).await?;
            }
            Self::Revoke(id) => drop(insist(|| manager.revoke(&id, actor)).await?),
        }
        Ok(())
    }
}

pub(crate) async fn issue(manager: &KeyManager, to: u64) -> Result<IssuedKey, Box<dyn Error + Send + Sync>> {
    let actor = Actor::system("fleet")?;
    Ok(insist(|| manager.issue(IssueKey::of(owner(to)).named("fleet, on loopback"), &actor)).await?)
}

/// Issues a successor for this key. Both work until the rotation is finished.
pub(crate) async fn begin_rotation(
    manager: &KeyManager,
    old: KeyId,
) -> Result<IssuedKey, Box<dyn Error + Send + Sync>> {
    let actor = &Actor::system("fleet")?;
    let begin = async || {
        let begun = manager.begin_rotation(RotateKey::of(old), actor).await;
        if begun.as_ref().is_err_and(|error| error.kind() == ManageErrorKind::RotationUnderWay) {
            // An earlier attempt began it. Its answer was lost, and the text of the key with it.
            let lost = manager.rotation(&old, actor).await?.new.id;
            manager.abort_rotation(&lost, actor).await?;
            return manager.begin_rotation(RotateKey::of(old), actor).await;
        }
        begun
    };
    Ok(insist(begin).await?)
}

/// Tries again if the database or the hashing threads had no time, which happens on a busy machine.
async fn insist<T, F>(change: impl Fn() -> F) -> Result<T, ManageError>
where
    F: Future<Output = Result<T, ManageError>>,
{
    let begun = Instant::now();
    loop {
        match change().await {
            Err(error) if is_passing(error.kind()) && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
}

fn is_passing(kind: ManageErrorKind) -> bool {
    use ManageErrorKind::{ActorBusy, OutcomeUnknown, Overloaded, Starved, StoreUnavailable};
    matches!(kind, ActorBusy | OutcomeUnknown | Overloaded | Starved | StoreUnavailable)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finish(new) => write!(f, "finish {new}"),
            Self::Suspend(of) => write!(f, "suspend {of}"),
            Self::Reinstate(of) => write!(f, "reinstate {of}"),
            Self::Revoke(id) => write!(f, "revoke {id}"),
        }
    }
}

impl FromStr for Change {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(order: &str) -> Result<Self, Self::Err> {
        match order.split_once(' ') {
            Some(("finish", new)) => Ok(Self::Finish(KeyId::new(new)?)),
            Some(("suspend", of)) => Ok(Self::Suspend(of.parse()?)),
            Some(("reinstate", of)) => Ok(Self::Reinstate(of.parse()?)),
            Some(("revoke", id)) => Ok(Self::Revoke(KeyId::new(id)?)),
            _ => Err(format!("unknown order {order:?}").into()),
        }
    }
}
