use clap::Args;
use tower_api_keys::{
    KeyId,
    manage::{CallVerdict, CheckResult},
};

use crate::{
    arguments::values,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Column, Now, Screen, Table},
};

/// Say whether a request with a key would be accepted now, and why not
#[derive(Args)]
pub(crate) struct Explain {
    /// The id of the key
    #[arg(value_name = "ID", value_parser = values::key_id)]
    id: KeyId,
    /// Exit with 1 if the request would be refused
    #[arg(long)]
    check: bool,
}

impl Explain {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let explanation = session.manager.explain(&self.id, &session.actor).await?;
        let is_refused = explanation.verdict != CallVerdict::Accepted;
        if screen.is_json() {
            screen.document(&explanation)?;
            return Ok(Exit::found(self.check && is_refused));
        }
        screen.line(explanation.verdict_sentence.to_string())?;
        for check in &explanation.checks {
            let mark = match check.result {
                CheckResult::Passed => "ok",
                CheckResult::Failed => "NO",
                CheckResult::Assumed => "if",
                CheckResult::Unknown => "?",
            };
            screen.line(format!("  {mark:<4}{}", check.sentence))?;
            if let Some(remedy) = &check.remedy {
                screen.line(format!("      {remedy}"))?;
            }
        }
        explanation.notes.iter().try_for_each(|note| screen.line(note.to_string()))?;
        screen.line(explanation.call_history_sentence.to_string())?;
        let now = Now(explanation.asked_at);
        let rows: Vec<_> = explanation
            .seen
            .iter()
            .map(|seen| {
                [seen.outcome.to_string(), seen.count.to_string(), now.ago(seen.last_at), seen.meaning.to_string()]
            })
            .collect();
        let columns =
            [Column::new("OUTCOME"), Column::new("COUNT"), Column::new("LAST"), Column::at_most("MEANING", usize::MAX)];
        Table::new(columns).page(&rows, screen)?;
        Ok(Exit::found(self.check && is_refused))
    }
}
