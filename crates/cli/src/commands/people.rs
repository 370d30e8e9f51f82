use clap::Args;
use tower_api_keys::UserId;

use super::{
    key_rows::{COLUMNS, row},
    list::all_read,
    revoke::say,
};
use crate::{
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Column, Now, Screen, Table, listed, source},
};

/// Say what stops if a user leaves
#[derive(Args)]
pub(crate) struct BlastRadius {
    /// The id of the user
    #[arg(value_name = "USER")]
    user: UserId,
}

/// Say which keys a user has seen
#[derive(Args)]
pub(crate) struct Exposure {
    /// The id of the user
    #[arg(value_name = "USER")]
    user: UserId,
}

impl BlastRadius {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let radius = session.manager.blast_radius(&self.user, &session.actor).await?;
        if screen.is_json() {
            screen.document(&radius)?;
            return all_read(&radius.unreadable);
        }
        say(&radius.sentences(), screen)?;
        let now = Now(radius.asked_at);
        if !radius.stops.is_empty() {
            screen.line("These stop:")?;
        }
        let stops: Vec<_> = radius
            .stops
            .iter()
            .map(|stop| {
                let from = listed(stop.sources.iter().map(|count| source(&count.source)));
                let last = stop.sources.iter().map(|count| count.last_at).max();
                [stop.key.id.to_string(), stop.key.name.to_string(), now.ago_or_never(last), from]
            })
            .collect();
        Table::new(["ID", "NAME", "LAST USED", "FROM"].map(Column::new)).page(&stops, screen)?;
        if !radius.goes_on.is_empty() {
            screen.line("These still work:")?;
        }
        let others: Vec<_> = radius.goes_on.iter().map(|key| row(key, now)).collect();
        Table::new(COLUMNS).page(&others, screen)?;
        all_read(&radius.unreadable)
    }
}

impl Exposure {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let exposure = session.manager.exposure(&self.user, &session.actor).await?;
        if screen.is_json() {
            screen.document(&exposure)?;
            return all_read(&exposure.unreadable);
        }
        screen.line(exposure.sentence().to_string())?;
        let rows: Vec<_> = exposure
            .keys
            .iter()
            .map(|exposed| {
                let key = &exposed.key;
                let state = super::key_rows::state(key);
                [
                    key.id.to_string(),
                    key.name.to_string(),
                    key.owner.to_string(),
                    state,
                    exposed.reason.sentence().to_string(),
                ]
            })
            .collect();
        Table::new(["ID", "NAME", "OWNER", "STATE", "WHY"].map(|title| Column::at_most(title, 60)))
            .page(&rows, screen)?;
        all_read(&exposure.unreadable)
    }
}
