use serde::Serialize;

use super::KeyManager;
use crate::{
    key::KeyId,
    manage::{
        access::Access, actor::Actor, counted::CountedUntil, error::ManageError, invalid::InvalidInput,
        policy::KeyAction,
    },
    store::KeyQuery,
    time::{Day, Timestamp},
    usage::{DAYS, UsageDayRow, UsageDetail, UsageTotals},
};

/// How a key was used: in sums, by outcome and source, and by day.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let id = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
/// let usage = manager.usage(&id, 30, &admin).await?;
/// for day in &usage.days {
///     println!("{}: {} accepted, {} refused", day.day, day.successes, day.failures);
/// }
/// assert_eq!((usage.days.len(), usage.totals.successes), (30, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct KeyUsage {
    /// The time of the question, by the clock of the service.
    pub asked_at: Timestamp,
    /// The totals since the key was made.
    pub totals: UsageTotals,
    /// By outcome and source, since the key was made.
    pub detail: UsageDetail,
    /// The requested days, each once, the earliest first; the last one is today. Counts by day are written less often
    /// than the others: see [`days_until`](CountedUntil::days_until).
    pub days: Vec<UsageDay>,
    /// The totals of all keys of its chain of rotations.
    pub lineage: LineageUsage,
    /// Until when usage is counted.
    pub counted: CountedUntil,
}

/// How all keys of a chain of rotations were used together: the requested key, those before it and those after, dead
/// ones too.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let old = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
/// # let id = manager.begin_rotation(tower_api_keys::manage::RotateKey::of(old), &admin).await?.info().id;
/// let lineage = manager.usage(&id, 0, &admin).await?.lineage;
/// assert_eq!((lineage.id, lineage.keys, lineage.totals.successes), (old, 2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LineageUsage {
    /// The id of the first key of the chain, which names it.
    pub id: KeyId,
    /// How many keys are counted: those whose usage the actor may see. A chain can begin with a person's key that was
    /// rotated into a team.
    pub keys: u64,
    /// How many keys are left out because their stored records cannot be read.
    pub unreadable: u64,
    /// The totals of these keys since they were made.
    pub totals: UsageTotals,
}

/// How often a key was used on one day in UTC.
///
/// ```
/// use tower_api_keys::manage::UsageDay;
///
/// let requests = |day: &UsageDay| day.successes + day.failures;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UsageDay {
    /// The day.
    pub day: Day,
    /// Requests that were accepted.
    pub successes: i64,
    /// Requests that were refused, or that were let in and then refused by the service; the latter are counted among
    /// the successes, too.
    pub failures: i64,
}

/// Refusals that name no existing key: by reason and source.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// let refusals = manager.refusals_without_key(&tower_api_keys::Actor::system("report")?).await?;
/// for refused in &refusals.detail.counts {
///     println!("{} from {}: {} times", refused.outcome, refused.source, refused.count);
/// }
/// assert!(refusals.detail.counts.is_empty() && refusals.counted.until.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RefusalsWithoutKey {
    /// By outcome and source, of all time.
    pub detail: UsageDetail,
    /// Until when usage is counted.
    pub counted: CountedUntil,
}

impl KeyManager {
    /// How a key was used, by outcome and source, and on each of the last `days` days in UTC including today: 0 to 400,
    /// limited by how long days [are kept](crate::ApiKeysBuilder::keep_usage_days).
    ///
    /// Each node writes its counts at an interval, by default 10 seconds, and its counts by day every ten minutes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
    /// use tower_api_keys::{Actor, usage::CallHistory};
    ///
    /// let usage = manager.usage(&issued.info().id, 0, &Actor::system("report")?).await?;
    /// // The service did not call, so nothing was refused either.
    /// assert_eq!(usage.detail.call_history(), CallHistory::Never);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (an actor that sees the key but not how
    /// it is used; a key without `keys:read`, an actor that is suspended or closed), invalid (more than 400 days),
    /// corrupt record, store unavailable.
    pub async fn usage(&self, id: &KeyId, days: u16, actor: &Actor) -> Result<KeyUsage, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let days = i32::from(days);
        if days > DAYS {
            return Err(ManageError::invalid(InvalidInput::Days));
        }
        let (record, _) = access.key(id, KeyAction::SeeUsage).await?;
        let detail = access.usage_of_one(id).await?;
        let asked_at = access.parts.clock.now();
        let today = Day::of(asked_at).number();
        // There are no days before 1970.
        let asked = (today - days + 1).max(0)..=today;
        let days = access.days_of(id, asked).await?;
        let lineage = access.usage_of_lineage(record.lineage).await?;
        Ok(KeyUsage { asked_at, totals: detail.totals(), detail, days, lineage, counted: access.counted })
    }

    /// Refusals that name no existing key, by reason and source: a pasted blank, a truncated key, a forgotten header. A
    /// service that called and failed is visible here when it is not under its key.
    ///
    /// For actors that may see the usage of all keys of the organization. In a service with one organization, these are
    /// all such refusals. In one with [several](crate::ApiKeysBuilder::several_organizations), they are those that
    /// concern this one:
    ///
    /// - any refusal by a layer [for it](crate::ApiKeyLayer::for_organization);
    /// - in any layer, a text that is not a key but contains the id of a key of this organization: a key whose end was
    ///   cut off, say, or one in quotes. This needs a node that has accepted the key before and remembers it: a refusal
    ///   never asks the store. Such a text is never counted under the key, since anyone who knows an id can write it.
    ///
    /// A refusal that concerns two organizations is counted for both. One that concerns none is in
    /// [`refusals_without_organization`](crate::ApiKeys::refusals_without_organization).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_api_keys::{Actor, ApiKeys, OrganizationId, RefusalCode, store::MemoryStore};
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new()).several_organizations().build().await?;
    /// let acme = OrganizationId::new("acme")?;
    /// let inner = service_fn(async |_| Ok::<_, std::convert::Infallible>(http::Response::new(String::new())));
    /// keys.layer_for(acme.clone()).layer(inner).oneshot(http::Request::new(())).await?;
    /// keys.flush_usage().await?;
    ///
    /// let report = Actor::system("report")?;
    /// let refused = keys.manager_for(acme).refusals_without_key(&report).await?;
    /// assert_eq!(refused.detail.with_outcome(RefusalCode::MissingCredentials), 1);
    /// assert!(keys.refusals_without_organization(&report).await?.detail.counts.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (an actor of another organization), denied,
    /// corrupt record, store unavailable.
    pub async fn refusals_without_key(&self, actor: &Actor) -> Result<RefusalsWithoutKey, ManageError> {
        self.acting(actor, &[KeyAction::SeeUsage]).await?.usage_without_key().await
    }

    /// Refusals that concern no organization.
    pub(crate) async fn refusals_without_organization(&self, actor: &Actor) -> Result<RefusalsWithoutKey, ManageError> {
        let home = self.across(actor, KeyAction::SeeUsage).await?;
        home.acting(actor, &[KeyAction::SeeUsage]).await?.usage_without_organization().await
    }
}

impl Access<'_> {
    /// The usage of all keys of this chain of rotations whose usage the actor may see.
    async fn usage_of_lineage(&self, id: KeyId) -> Result<LineageUsage, ManageError> {
        let query = KeyQuery { lineage: Some(id), ..KeyQuery::all(self.parts.organization.clone()) };
        let (mut sum, mut unreadable) =
            (LineageUsage { id, keys: 0, unreadable: 0, totals: UsageTotals::default() }, Vec::new());
        for row in self.all(query).await? {
            if let Some(usage) = self.shown(&row, &mut unreadable).and_then(|shown| shown.usage) {
                sum.keys += 1;
                sum.totals = sum.totals.and(&usage);
            }
        }
        sum.unreadable = unreadable.len() as u64;
        Ok(sum)
    }
}

impl UsageDay {
    /// The counts of one day; zeros if the store has none.
    pub(in crate::manage) fn of(day: i32, row: Option<&UsageDayRow>) -> Self {
        let (successes, failures) = row.map_or((0, 0), |row| (row.accepted, row.refused));
        Self { day: Day::numbered(day), successes, failures }
    }
}
