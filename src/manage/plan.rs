use std::{collections::HashMap, fmt};

use super::{
    access::{Access, Walk},
    actor::Actor,
    error::{ManageError, ManageErrorKind},
    manager::KeyManager,
    policy::{KeyAction, Target},
    rules::OnDowngrade,
};
use crate::{
    json::json_form,
    owner::{KeyKind, Owner, OwnerRef, TeamId},
    record::{CorruptRow, OwnerStatus, OwnerStatusRow, Suspension},
    sentence::{Sentence, joined, sentences},
    store::{Effect, FoundOwner, KeyQuery, ListedKey, OwnerChange},
};

/// What a change of plan means for team keys: now included, or no longer.
///
/// Plans are the embedder's: this says which teams are affected, and what follows for their keys.
///
/// ```
/// use tower_api_keys::{TeamId, manage::PlanChange};
///
/// let upgraded = PlanChange::team_keys_included(); // for the whole organization
/// let downgraded = PlanChange::team_keys_not_included().for_team(TeamId::new("blue")?).dry_run();
/// assert_ne!(upgraded, downgraded);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PlanChange {
    includes_team_keys: bool,
    team: Option<TeamId>,
    dry_run: bool,
}

impl PlanChange {
    /// The plan includes team keys now: [`Suspension::Plan`] ends.
    pub const fn team_keys_included() -> Self {
        Self { includes_team_keys: true, team: None, dry_run: false }
    }

    /// The plan no longer includes team keys: they still work or are suspended, depending on [`OnDowngrade`].
    pub const fn team_keys_not_included() -> Self {
        Self { includes_team_keys: false, team: None, dry_run: false }
    }

    /// Only for this team. Default: for all teams of the organization that have a key, dead or alive.
    pub fn for_team(mut self, team: TeamId) -> Self {
        self.team = Some(team);
        self
    }

    /// Changes nothing: the answer says what would have changed.
    pub const fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

/// What a change of plan did or, in a dry run, would do. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, manage::PlanChange};
///
/// let billing = Actor::system("billing")?;
/// let would_stop = manager.plan_changed(PlanChange::team_keys_not_included().dry_run(), &billing).await?;
/// println!("{} keys of {} teams", would_stop.live_keys, would_stop.teams);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanChanged {
    /// Teams that were suspended or reinstated, each with an event. The others needed no change.
    pub teams: u64,
    /// Live keys of these teams that are now refused, or accepted again. Keys are not counted if an admin suspended
    /// their team as well, or if their organization is suspended or closed: nothing changes for them.
    pub live_keys: u64,
    /// Teams whose stored status cannot be read. They are unchanged: their keys are refused until it is repaired. Then
    /// call this again.
    pub unreadable: u64,
    /// Whether this was a dry run.
    pub dry_run: bool,
}

sentences! {
    pub(super) fn all;

    fn changed(teams: u64, keys: u64) = "plan.changed":
        "{teams} {teams:team was|teams were} suspended or reinstated by this change of plan, with {keys} active \
         {keys:key|keys}.";
    fn would_change(teams: u64, keys: u64) = "plan.would_change":
        "{teams} {teams:team|teams} would be suspended or reinstated by this change of plan, with {keys} active \
         {keys:key|keys}.";
    fn teams_unreadable(teams: u64) = "plan.teams_unreadable":
        "The status of {teams} {teams:team|teams} cannot be read, so {teams:it was|they were} not changed: tell the \
         operator of the service.";
}

impl PlanChanged {
    /// The result as sentences for people.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        let say = if self.dry_run { would_change } else { changed };
        let unreadable = (self.unreadable > 0).then(|| teams_unreadable(self.unreadable));
        [say(self.teams, self.live_keys)].into_iter().chain(unreadable).collect()
    }
}

impl fmt::Display for PlanChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.sentences()))
    }
}

json_form! {
    PlanChanged, |plan| PlanChanged { teams, live_keys, unreadable, dry_run } => {
        teams: u64 = *teams,
        live_keys: u64 = *live_keys,
        unreadable: u64 = *unreadable,
        dry_run: bool = *dry_run,
        sentences: Vec<Sentence> = plan.sentences(),
    }
}

impl KeyManager {
    /// Applies a change of plan to one team or to all. Call it again after an error; repeating does no harm: teams that
    /// need no change get no event.
    ///
    /// All teams are those that have a key, read a thousand keys at a time; one whose status cannot be read does not
    /// stop the others. For a team that was suspended and whose keys were all removed since, [name the
    /// team](PlanChange::for_team).
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed (the named team is closed),
    /// corrupt record, store unavailable, outcome unknown. What was done before the error stays done.
    pub async fn plan_changed(&self, change: PlanChange, actor: &Actor) -> Result<PlanChanged, ManageError> {
        let access = self.acting(actor, &[action(&change)]).await?;
        match &change.team {
            Some(team) => access.change_plan_of(team, &change).await,
            None => access.change_plan_of_all(&change).await,
        }
    }
}

impl Access<'_> {
    async fn change_plan_of(&self, team: &TeamId, change: &PlanChange) -> Result<PlanChanged, ManageError> {
        let owner = Owner::Team(team.clone());
        self.require(action(change), &Target::Owner(&owner)).await?;
        let mut changed = PlanChanged { dry_run: change.dry_run, ..PlanChanged::default() };
        let found = self.statuses_of(&owner).await?;
        let status = TeamStatus::of(&found).map_err(ManageError::corrupt)?;
        // The store refuses the change itself; a dry run does not reach the store.
        if change.dry_run && !self.leaves_as_is(change) && status.team.closed_at().is_some() {
            return Err(ManageError::new(ManageErrorKind::OwnerClosed));
        }
        let is_due = status.is_due(change);
        if !self.leaves_as_is(change) && self.suspend_for_plan(&owner, change).await?.unwrap_or(is_due) {
            changed.teams = 1;
            if status.counts() {
                changed.live_keys += self.count_live_keys(&owner).await?;
            }
        }
        Ok(changed)
    }

    async fn change_plan_of_all(&self, change: &PlanChange) -> Result<PlanChanged, ManageError> {
        // Before any team is looked at: otherwise the answer would reveal whether there are teams.
        self.require(KeyAction::See, &Target::Organization).await?;
        let mut changed = PlanChanged { dry_run: change.dry_run, ..PlanChanged::default() };
        let now = self.parts.clock.now();
        // Whether the keys of a team count.
        let mut teams: HashMap<TeamId, bool> = HashMap::new();
        let mut walk = Walk::new(KeyQuery {
            kind: Some(KeyKind::Team),
            with_usage: false,
            ..KeyQuery::all(self.parts.organization.clone())
        });
        while let Some(rows) = walk.next_page(self).await? {
            for row in rows {
                let listed = row.peek();
                let Some(OwnerRef { owner: Owner::Team(team), .. }) = OwnerRef::of(&listed.key) else { continue };
                let is_counted = match teams.get(&team) {
                    Some(is_counted) => *is_counted,
                    None => {
                        let is_counted = self.change_plan_of_first_met(&team, listed, change, &mut changed).await?;
                        teams.insert(team, is_counted);
                        is_counted
                    }
                };
                changed.live_keys += u64::from(is_counted && listed.key.is_live(now));
            }
        }
        Ok(changed)
    }

    /// Changes the plan of a team at its first listed key, and says whether its live keys count.
    async fn change_plan_of_first_met(
        &self,
        team: &TeamId,
        listed: &ListedKey,
        change: &PlanChange,
        changed: &mut PlanChanged,
    ) -> Result<bool, ManageError> {
        let owner = Owner::Team(team.clone());
        self.require(action(change), &Target::Owner(&owner)).await?;
        let found = FoundOwner { owner: listed.owner, organization: listed.organization };
        let Ok(status) = TeamStatus::of(&found) else {
            changed.unreadable += 1;
            return Ok(false);
        };
        let is_due = status.team.closed_at().is_none() && status.is_due(change) && !self.leaves_as_is(change);
        if !is_due || !self.suspend_for_plan(&owner, change).await?.unwrap_or(true) {
            return Ok(false);
        }
        changed.teams += 1;
        Ok(status.counts())
    }

    /// Whether keys still work without a plan that includes them.
    fn leaves_as_is(&self, change: &PlanChange) -> bool {
        !change.includes_team_keys && self.parts.rules.on_downgrade == OnDowngrade::Keep
    }

    /// Suspends or reinstates, and says whether that changed anything; `None` in a dry run.
    async fn suspend_for_plan(&self, owner: &Owner, change: &PlanChange) -> Result<Option<bool>, ManageError> {
        if change.dry_run {
            return Ok(None);
        }
        let write = if change.includes_team_keys {
            OwnerChange::Reinstate(Suspension::Plan)
        } else {
            OwnerChange::Suspend(Suspension::Plan)
        };
        Ok(Some(self.change_owner(owner, action(change), write).await? == Effect::Changed))
    }
}

const fn action(change: &PlanChange) -> KeyAction {
    if change.includes_team_keys { KeyAction::Reinstate } else { KeyAction::Suspend }
}

/// The status of a team, and that of its organization.
struct TeamStatus {
    team: OwnerStatus,
    organization: OwnerStatus,
}

impl TeamStatus {
    fn of(found: &FoundOwner) -> Result<Self, CorruptRow> {
        let of = |row: &OwnerStatusRow| OwnerStatus::try_from(row);
        Ok(Self { team: of(&found.owner)?, organization: of(&found.organization)? })
    }

    /// Whether the team's status does not follow the plan yet. A status of the whole organization does not count.
    const fn is_due(&self, change: &PlanChange) -> bool {
        self.team.has(Suspension::Plan) == change.includes_team_keys
    }

    /// Whether its keys are refused only because of the team's plan, or not at all.
    const fn counts(&self) -> bool {
        !self.team.has(Suspension::Admin) && self.team.closed_at().is_none() && self.organization.is_active()
    }
}
