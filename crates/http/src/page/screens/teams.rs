//! The teams to choose from in a form, and a search for them if they are too many for a list.

use serde::Serialize;
use tower_api_keys::{TeamId, manage::NamedTeam, record::NamePart};

use super::create::Choice;
use crate::page::{answer::Stop, request::Call};

/// The most teams in a list without a search.
const MOST: usize = 100;

/// The teams that the caller may create keys for.
pub(super) struct Teams {
    pub(super) choices: Vec<NamedTeam>,
    /// The search, if there is one.
    pub(super) search: Option<TeamSearch>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TeamSearch {
    find: String,
    /// How many teams are not in the list.
    left: usize,
    error: Option<String>,
}

impl Teams {
    /// All teams, or those that are searched for. The team that the form names stays in the list.
    pub(super) async fn of(call: &Call, chosen: Option<&TeamId>) -> Result<Self, Stop> {
        let all = call.manager.teams_to_issue_for(&call.actor).await?;
        if all.len() <= MOST {
            return Ok(Self { choices: all, search: None });
        }
        let mut error = None;
        let found = match call.fields.some("find").map(NamePart::new).transpose() {
            Ok(None) => all.clone(),
            Ok(Some(part)) => call.manager.find_teams_to_issue_for(&part, &call.actor).await?,
            Err(wrong) => {
                error = Some(call.site.words().sentence(&wrong.sentence()));
                all.clone()
            }
        };
        let left = found.len().saturating_sub(MOST);
        let named = all.into_iter().filter(|team| chosen == Some(team.id()));
        let mut choices: Vec<_> = named.collect();
        let others = found.into_iter().filter(|team| chosen != Some(team.id()));
        choices.extend(others.take(MOST));
        Ok(Self { choices, search: Some(TeamSearch { find: call.fields.echo("find"), left, error }) })
    }

    pub(super) fn list(&self, chosen: Option<&TeamId>) -> Vec<Choice> {
        let choice = |team: &NamedTeam| Choice {
            value: team.id().to_string(),
            text: team.label().to_owned(),
            chosen: chosen == Some(team.id()),
        };
        self.choices.iter().map(choice).collect()
    }
}
