use clap::{ArgGroup, Args};
use tower_api_keys::{
    KeyId,
    manage::{Advice, InventoryQuery, ListKeys, NextStep},
    store::Liveness,
};

use super::{inventory::each_page, key_rows::about, list::all_read};
use crate::{
    arguments::values,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Screen, counted},
};

/// Say whether a key should be a personal or a team key
#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub(crate) struct Advise {
    /// The id of the key
    #[arg(value_name = "ID", value_parser = values::key_id, group = "which")]
    id: Option<KeyId>,
    /// All live keys about which something should be done
    #[arg(long, group = "which")]
    all: bool,
}

impl Advise {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let Some(id) = self.id else { return all(session, screen).await };
        let advice = session.manager.advise(&id, &session.actor).await?;
        if screen.is_json() {
            screen.document(&advice)?;
        } else {
            show(&advice, screen)?;
        }
        Ok(Exit::Done)
    }
}

async fn all(session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
    let query = InventoryQuery::matching(ListKeys::all().liveness(Liveness::Live));
    let mut found = 0_u64;
    let unreadable = each_page(query, session, screen, |page, screen| {
        for entry in &page.entries {
            let advice = entry.advice();
            if matches!(advice.next, NextStep::Nothing | NextStep::WaitForUse) {
                continue;
            }
            found += 1;
            if screen.is_json() {
                screen.document(&advice)?;
            } else {
                screen.line(format!("{}:", about(&entry.key)))?;
                show(&advice, screen)?;
                screen.line("")?;
            }
        }
        Ok(())
    })
    .await?;
    if !screen.is_json() {
        screen.line(format!("{} to do something about", counted(found, "key", "keys")))?;
    }
    all_read(&unreadable)
}

fn show(advice: &Advice, screen: &mut Screen) -> Result<(), Failure> {
    screen.line(advice.recommendation_sentence.to_string())?;
    for evidence in &advice.evidence {
        screen.line(format!("  {}", evidence.sentence))?;
    }
    if let Some(cadence) = &advice.cadence {
        screen.line(format!("  {}", cadence.sentence()))?;
    }
    advice.notes.iter().try_for_each(|note| screen.line(format!("  {note}")))?;
    screen.line(advice.next_sentence.to_string())
}
