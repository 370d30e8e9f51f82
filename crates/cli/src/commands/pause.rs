use clap::Args;
use tower_api_keys::{
    KeyId,
    manage::{Effect, PauseKey, ResumeKey},
};

use super::{key_rows::about, soon};
use crate::{arguments::values, exit::Exit, failure::Failure, open::Session, output::Screen};

/// Let a key be refused until it is resumed
#[derive(Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    which: Which,
}

/// Let a paused key work again
#[derive(Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Which {
    /// The id of the key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// The reason, for the audit trail
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

impl Pause {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let mut request = PauseKey::of(self.which.id);
        if let Some(reason) = &self.which.because {
            request = request.because(reason);
        }
        let paused = session.manager.pause(request, &session.actor).await;
        let paused = paused.map_err(|error| Failure::from(error).not("paused"))?;
        if screen.is_json() {
            screen.document(&paused)?;
        } else if paused.effect() == Effect::Changed {
            screen.line(format!("Paused: {}. {}", about(paused.info()), soon(session)))?;
        } else {
            screen.line(format!("It was paused already: {}.", about(paused.info())))?;
        }
        Ok(Exit::Done)
    }
}

impl Resume {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let mut request = ResumeKey::of(self.which.id);
        if let Some(reason) = &self.which.because {
            request = request.because(reason);
        }
        let resumed = session.manager.resume(request, &session.actor).await;
        let resumed = resumed.map_err(|error| Failure::from(error).not("resumed"))?;
        if screen.is_json() {
            screen.document(&resumed)?;
        } else if resumed.effect() == Effect::Changed {
            screen.line(format!("Resumed: {}.", about(resumed.info())))?;
        } else {
            screen.line(format!("It was not paused: {}.", about(resumed.info())))?;
        }
        Ok(Exit::Done)
    }
}
