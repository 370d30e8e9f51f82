use std::{fmt, mem};

use super::{KeyManager, issue::checked_responsible};
use crate::{
    audit::{Action, Subject},
    key::{KeyId, redact},
    manage::{
        access::{Access, Wanted, WantedWrite, is_wider},
        actor::Actor,
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        policy::{KeyAction, Target},
    },
    networks::Networks,
    record::{KeyName, KeyRecord, KeyRow, Labels, Responsible, labels_text},
    scope::Scopes,
    store::{KeyUpdate, Write},
    time::{ClockReading, Timestamp},
};

/// What to change about one key, all of it or nothing. Fields that are not named stay as they are. [`KeyManager::edit`]
/// checks the values.
///
/// ```
/// use tower_api_keys::{key::KeyId, manage::EditKey, record::Labels};
///
/// let id = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// let edit = EditKey::of(id)
///     .named("GitHub Actions - production")
///     .labels(Labels::new([("ticket", "OPS-1234")])?)
///     .expires_at("2027-01-01T00:00:00Z".parse()?)
///     .expecting(3);
/// # let _ = edit;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is changed before `KeyManager::edit`"]
pub struct EditKey {
    id: KeyId,
    name: Option<String>,
    labels: Option<Labels>,
    scopes: Option<Scopes>,
    networks: Option<Option<Networks>>,
    responsible: Option<String>,
    expires_at: Option<Timestamp>,
    expected_version: Option<i64>,
}

impl EditKey {
    /// An edit of this key that changes nothing yet.
    pub const fn of(id: KeyId) -> Self {
        Self {
            id,
            name: None,
            labels: None,
            scopes: None,
            networks: None,
            responsible: None,
            expires_at: None,
            expected_version: None,
        }
    }

    /// Sets another name: see [`KeyName`] for the rules. Needs the right to [rename](KeyAction::Rename).
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Replaces all labels of the key. Needs the right to [relabel](KeyAction::Relabel).
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Replaces the contact that is told about the key: see [`Responsible`] for the rules. An empty text removes it.
    /// Needs the right to [relabel](KeyAction::Relabel).
    pub fn responsible(mut self, responsible: impl Into<String>) -> Self {
        self.responsible = Some(responsible.into());
        self
    }

    /// Keeps only these of its scopes, effective with the next request. For more scopes,
    /// [rotate](KeyManager::begin_rotation) the key. Needs the right to [narrow](KeyAction::Narrow).
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Replaces the only networks that the key may be used from; `None` for anywhere. Effective with the next request.
    /// Its streams end unless everything is still allowed that was allowed when they began. Needs the right to
    /// [narrow](KeyAction::Narrow).
    ///
    /// Allowing more networks than before, to correct a mistake, also needs the right to [issue](KeyAction::Issue) such
    /// a key. A key that acts cannot do it.
    pub fn networks(mut self, networks: impl Into<Option<Networks>>) -> Self {
        self.networks = Some(networks.into());
        self
    }

    /// Sets an end that is in the future, and earlier than the current one. For a later end,
    /// [rotate](KeyManager::begin_rotation) the key. To end it now, [revoke](KeyManager::revoke) it: a revocation
    /// records who did it. Needs the right to [expire](KeyAction::Expire).
    pub const fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Makes the edit only if this is the [version](KeyInfo::version) of the key: what an `If-Match` asks for. Default:
    /// any version; the named fields are changed whatever else changed meanwhile.
    pub const fn expecting(mut self, version: i64) -> Self {
        self.expected_version = Some(version);
        self
    }

    /// The rights that this edit needs.
    fn actions(&self) -> Vec<KeyAction> {
        let Self { name, labels, scopes, networks, responsible, expires_at, .. } = self;
        let named = [
            (name.is_some(), KeyAction::Rename),
            (labels.is_some() || responsible.is_some(), KeyAction::Relabel),
            (scopes.is_some() || networks.is_some(), KeyAction::Narrow),
            (expires_at.is_some(), KeyAction::Expire),
        ];
        let actions: Vec<_> = named.into_iter().filter_map(|(is_named, action)| is_named.then_some(action)).collect();
        if actions.is_empty() { vec![KeyAction::See] } else { actions }
    }
}

/// People paste keys into the wrong field: the output has secrets taken out.
impl fmt::Debug for EditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditKey")
            .field("id", &self.id)
            .field("name", &self.name.as_deref().map(redact))
            .field("scopes", &self.scopes)
            .field("networks", &self.networks)
            .field("responsible", &self.responsible.as_deref().map(redact))
            .field("expires_at", &self.expires_at)
            .field("expected_version", &self.expected_version)
            .finish_non_exhaustive()
    }
}

/// An edit whose values can be stored.
struct Checked {
    actions: Vec<KeyAction>,
    name: Option<KeyName>,
    labels: Option<Labels>,
    scopes: Option<Scopes>,
    networks: Option<Option<Networks>>,
    responsible: Option<Option<Responsible>>,
    expires_at: Option<Timestamp>,
    expected_version: Option<i64>,
}

impl KeyManager {
    /// Changes name, labels, scopes, networks, responsible and expiry of a key, as far as the request names them: in
    /// one change, made as a whole or not at all. Each field needs the right to change it, and has its own event. A
    /// field that already has the value writes nothing. A request that names no field returns the key.
    ///
    /// If the key is changed at the same time, the part that still makes sense and is still allowed is done, unless the
    /// request [expects](EditKey::expecting) a version.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let key = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().clone();
    /// use tower_api_keys::manage::{EditKey, ManageErrorKind};
    ///
    /// let edit = EditKey::of(key.id).named("Monday cron").scopes("agents:read".parse()?).expecting(key.version);
    /// let edited = manager.edit(edit.clone(), &admin).await?;
    /// assert_eq!(edited.name.as_str(), "Monday cron");
    ///
    /// let error = manager.edit(edit, &admin).await.unwrap_err(); // it has another version by now
    /// assert_eq!(error.kind(), ManageErrorKind::VersionDiffers { current: edited.version });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, invalid (an invalid name or invalid scopes, scopes that are not within
    /// those the key has, an end that is now, past, or later than the current one), version differs, key revoked,
    /// conflict, clock unsure, corrupt record, store unavailable, outcome unknown.
    pub async fn edit(&self, request: EditKey, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let actions = request.actions();
        let access = self.acting(actor, &actions).await?;
        access.require_each_scope(&actions)?;
        let EditKey { id, name, labels, scopes, networks, responsible, expires_at, expected_version } = request;
        access.require_addresses(networks.as_ref().and_then(Option::as_ref))?;
        let name = name.map(KeyName::new).transpose();
        let name = name.map_err(|error| ManageError::invalid(InvalidInput::Name).with_source(error))?;
        let scopes = scopes.map(|scopes| access.parts.known_scopes(&scopes)).transpose()?;
        let responsible = responsible.as_deref().map(checked_responsible).transpose()?;
        let edit = Checked { actions, name, labels, scopes, networks, responsible, expires_at, expected_version };
        match access.edit_once(&id, &edit).await {
            // The key was changed between the read and the write: do what still makes sense and is still allowed.
            Err(error) if error.kind() == ManageErrorKind::Conflict => access.edit_once(&id, &edit).await,
            done => done,
        }
    }

    /// Renames a key: an [`edit`](Self::edit) of that alone.
    ///
    /// # Errors
    /// As for [`edit`](Self::edit).
    pub async fn rename(&self, id: &KeyId, name: &str, actor: &Actor) -> Result<KeyInfo, ManageError> {
        self.edit(EditKey::of(*id).named(name), actor).await
    }

    /// Replaces all labels of a key: an [`edit`](Self::edit) of that alone.
    ///
    /// # Errors
    /// As for [`edit`](Self::edit).
    pub async fn relabel(&self, id: &KeyId, labels: Labels, actor: &Actor) -> Result<KeyInfo, ManageError> {
        self.edit(EditKey::of(*id).labels(labels), actor).await
    }

    /// Keeps only these of a key's scopes, effective with the next request: an [`edit`](Self::edit) of that alone.
    ///
    /// # Errors
    /// As for [`edit`](Self::edit).
    pub async fn narrow_scopes(&self, id: &KeyId, scopes: Scopes, actor: &Actor) -> Result<KeyInfo, ManageError> {
        self.edit(EditKey::of(*id).scopes(scopes), actor).await
    }

    /// Sets an end of a key, in the future and earlier than the current one: an [`edit`](Self::edit) of that alone.
    ///
    /// # Errors
    /// As for [`edit`](Self::edit).
    pub async fn expire_at(&self, id: &KeyId, at: Timestamp, actor: &Actor) -> Result<KeyInfo, ManageError> {
        self.edit(EditKey::of(*id).expires_at(at), actor).await
    }
}

impl Access<'_> {
    async fn edit_once(&self, id: &KeyId, edit: &Checked) -> Result<KeyInfo, ManageError> {
        let first = edit.actions.first().copied().unwrap_or(KeyAction::See);
        let (mut record, status) = self.key(id, first).await?;
        for action in edit.actions.iter().skip(1) {
            self.require(*action, &Target::key(&record)).await?;
        }
        if record.revoked.is_some() {
            return Err(ManageError::new(ManageErrorKind::KeyRevoked));
        }
        self.require_networks(&record, edit).await?;
        let guards = self.same_version(&record, edit.expected_version)?;
        let now = self.parts.clock.reading();
        let writes = self.steps(&mut record, edit, now)?;
        if !writes.is_empty() {
            self.apply(Wanted { guards, ..Wanted::all(first, now.now(), writes) }).await?;
        }
        Ok(KeyInfo::new(record, status, None, now))
    }

    /// A wider list needs the right to make a key with it. A key that acts never has that right.
    async fn require_networks(&self, record: &KeyRecord, edit: &Checked) -> Result<(), ManageError> {
        let Some(networks) = edit.networks.as_ref() else { return Ok(()) };
        let target = Target::NewKey { owner: &record.owner, scopes: &record.scopes, expires_at: record.expires_at };
        if !is_wider(networks.as_ref(), record.networks.as_ref()) {
            return Ok(());
        }
        if self.actor.key_id().is_some() {
            return Err(self.deny(KeyAction::Narrow, DenialReason::NetworksTooWide, &Target::key(record)));
        }
        self.require(KeyAction::Issue, &target).await
    }

    /// Applies an edit to a record. Each field that changes is one write, under the version that the write before
    /// leaves, so that each field has its own event.
    fn steps(
        &self,
        record: &mut KeyRecord,
        edit: &Checked,
        now: ClockReading,
    ) -> Result<Vec<WantedWrite>, ManageError> {
        let mut writes = Vec::new();
        if let Some(name) = edit.name.as_ref().filter(|name| **name != record.name) {
            let before = mem::replace(&mut record.name, name.clone());
            let (before, after) = (before.as_str().to_owned(), name.as_str().to_owned());
            writes.push(self.step(record, Action::KEY_RENAMED, Some(before), after));
        }
        if let Some(labels) = edit.labels.as_ref().filter(|labels| **labels != record.labels) {
            let before = mem::replace(&mut record.labels, labels.clone());
            writes.push(self.step(record, Action::KEY_RELABELLED, Some(labels_text(&before)), labels_text(labels)));
        }
        if let Some(scopes) = edit.scopes.as_ref().filter(|scopes| **scopes != record.scopes) {
            if !scopes.is_within(&record.scopes) {
                return Err(ManageError::invalid(InvalidInput::ScopesWider));
            }
            let before = mem::replace(&mut record.scopes, scopes.clone());
            writes.push(self.step(record, Action::KEY_NARROWED, Some(before.to_string()), scopes.to_string()));
        }
        if let Some(networks) = edit.networks.as_ref().filter(|networks| **networks != record.networks) {
            let before = mem::replace(&mut record.networks, networks.clone());
            let [before, after] = [&before, networks].map(|list| list.as_ref().map(ToString::to_string));
            writes.push(self.step(record, Action::KEY_NETWORKS_SET, before, after));
        }
        if let Some(responsible) = edit.responsible.as_ref().filter(|responsible| **responsible != record.responsible) {
            let before = mem::replace(&mut record.responsible, responsible.clone());
            let [before, after] = [&before, responsible].map(|told| told.as_ref().map(ToString::to_string));
            writes.push(self.step(record, Action::KEY_RESPONSIBLE_SET, before, after));
        }
        if let Some(at) = edit.expires_at {
            if now.has_passed(at)? {
                return Err(ManageError::invalid(InvalidInput::ExpiryPast));
            }
            if record.expires_at.is_some_and(|end| at > end) {
                return Err(ManageError::invalid(InvalidInput::ExpiryLater));
            }
            let before = record.expires_at.replace(at);
            if before != Some(at) {
                let before = before.map(|end| end.to_string());
                writes.push(self.step(record, Action::KEY_EXPIRY_SET, before, at.to_string()));
            }
        }
        Ok(writes)
    }

    fn step(
        &self,
        record: &mut KeyRecord,
        action: Action,
        before: Option<String>,
        after: impl Into<Option<String>>,
    ) -> WantedWrite {
        let write = self.update_to(record);
        record.version += 1;
        WantedWrite {
            write,
            action,
            subject: Subject::Key(record.id, record.owner.clone()),
            before,
            after: after.into(),
        }
    }

    /// The write of all editable fields of this record, under the record's version.
    pub(in crate::manage) fn update_to(&self, record: &KeyRecord) -> Write {
        let row = KeyRow::from(record);
        Write::Update(KeyUpdate {
            organization: self.parts.organization.clone(),
            id: record.id,
            expected_version: record.version,
            name: row.name,
            labels: row.labels,
            scopes: row.scopes,
            allowed_networks: row.allowed_networks,
            responsible: row.responsible,
            expires_at: row.expires_at,
        })
    }
}
