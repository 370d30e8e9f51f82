use clap::Args;

use super::usage_table;
use crate::{exit::Exit, failure::Failure, open::Session, output::Screen};

/// Show refused requests that named no key, and from where they came
#[derive(Args)]
pub(crate) struct Refusals {
    /// Those that belong to no organization, in a service with several
    #[arg(long)]
    without_organization: bool,
}

impl Refusals {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let refusals = if self.without_organization {
            session.keys.refusals_without_organization(&session.actor).await?
        } else {
            session.manager.refusals_without_key(&session.actor).await?
        };
        if screen.is_json() {
            screen.document(&refusals)?;
            return Ok(Exit::Done);
        }
        if refusals.detail.counts.is_empty() {
            screen.line("No request was refused without a key.")?;
        }
        usage_table(&refusals.detail, screen)?;
        for summary in refusals.detail.by_outcome() {
            screen.line(format!("{}: {}", summary.outcome, summary.meaning))?;
        }
        Ok(Exit::Done)
    }
}
