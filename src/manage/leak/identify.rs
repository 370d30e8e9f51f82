use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use super::{
    matches::{KeyMatch, KeyMatches, MatchConfidence},
    scan::{Finding, Scan},
};
use crate::{
    hash::{KeyHash, TagErrorKind, VerifyErrorKind},
    key::KeyId,
    manage::{
        access::{Access, Row, Sight, Unseen, Walk},
        actor::Actor,
        error::ManageError,
        info::KeyInfo,
        invalid::InvalidInput,
        manager::KeyManager,
        names::Names,
        policy::KeyAction,
    },
    owner::KeyKind,
    store::KeyQuery,
    time::Timestamp,
};

/// The longest text that is searched, in bytes.
pub(super) const LONGEST_TEXT: usize = 64 * 1_024;

/// How many keys one answer has.
const MOST_KEYS: usize = 100;

/// How many runs of Argon2id one text costs at most.
const MOST_PROOFS: usize = 100;

/// What was found so far, the surest first after [sorting](Self::trim).
#[derive(Default)]
pub(super) struct Found {
    keys: BTreeMap<KeyId, KeyMatch>,
    more: bool,
    unreadable: u64,
}

impl KeyManager {
    /// The keys that a text may be about: a leaked key or part of one, a line of a log, a pasted header, at most 64
    /// KiB. Only keys that the actor may see; the answer does not reveal whether others exist.
    ///
    /// It finds whole keys of every brand that the service accepts, even directly attached to other text, and proves
    /// whether they are the keys that they claim to be. It finds whole ids, with or without a prefix; the first 4
    /// characters or more of an id after a prefix (`team.AbCd`); and, if the text has no whole id of a key, any 6
    /// characters or more of an id.
    ///
    /// It looks into what is encoded once, for keys with a whole id and the dot after it: base64, such as `data:` of a
    /// Kubernetes Secret, `Authorization: Basic` or a file, in lines or not, also of UTF-16; hexadecimal digits;
    /// escapes, such as `%2E`; UTF-16 that was read as bytes. What is encoded twice, compressed or encrypted is not
    /// found, nor is an id without its prefix in base64. If something changed the case of all letters of a key, it is
    /// found by its id, unless the text has another whole id of a key.
    ///
    /// Each whole id costs one look-up. A whole key whose checksum and tag are right costs one run of Argon2id, one after
    /// the other for each actor and at most 100 for a text; further ones are answered as
    /// [`IdAndSecret`](MatchConfidence::IdAndSecret), and so are those that the server is too busy to prove. Parts cost a read of all keys that the actor may see, in pages of 1,000: a
    /// hundred reads of the store for 100,000 keys.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let manager = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?.manager();
    /// use tower_api_keys::{Actor, IssueKey, TeamId, manage::{MatchConfidence, RevokeMany}};
    ///
    /// let actor = Actor::system("leak response")?;
    /// let issued = manager.issue(IssueKey::team(TeamId::new("blue")?), &actor).await?;
    /// let pasted = format!("curl -H 'x-api-key: {}' https://api.example.com", issued.plaintext().expose_secret());
    ///
    /// let found = manager.identify(&pasted, &actor).await?;
    /// assert_eq!(found.keys[0].evidence, MatchConfidence::WholeKey);
    /// manager.revoke_many(RevokeMany::key_and_made(found.keys[0].key.id).because("pasted in a chat"), &actor).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied (a key without `keys:read`, an actor that is
    /// suspended or closed), not found (another organization's actor), invalid (a longer text), corrupt record, store
    /// unavailable.
    ///
    /// # Security
    /// The text is a secret. Only ids, and what has to be decoded, are copied from it; decoded copies are wiped.
    /// Nothing of it is logged, kept, or included in an error.
    pub async fn identify(&self, text: &str, actor: &Actor) -> Result<KeyMatches, ManageError> {
        let access = self.acting(actor, &[KeyAction::See]).await?;
        if text.len() > LONGEST_TEXT {
            return Err(ManageError::invalid(InvalidInput::Fragment));
        }
        let scan = Scan::of(text, &access.parts.format);
        let mut found = Found::default();
        identify(&Reach::Here, &access, &scan, &mut found).await?;
        let mut found = found.finish(access.parts.clock.now());
        found.names = access.parts.names(|mentions| found.keys.iter().for_each(|it| mentions.key(&it.key))).await;
        Ok(found)
    }
}

/// Where whole ids are looked up.
pub(super) enum Reach<'a> {
    /// In all organizations, for the service itself.
    Everywhere(&'a KeyManager, &'a Actor),
    /// In the organization of the access.
    Here,
}

/// Looks for keys in a text: whole ids wherever `reach` allows, and parts of ids among all keys of this organization
/// that the actor may see.
pub(super) async fn identify(
    reach: &Reach<'_>,
    access: &Access<'_>,
    scan: &Scan<'_>,
    found: &mut Found,
) -> Result<(), ManageError> {
    let (mut known, mut proofs) = (HashSet::new(), MOST_PROOFS);
    for (id, key) in scan.keys() {
        // A log may have the same key on each of its lines: one hash is enough.
        if !known.insert(key) {
            continue;
        }
        if let Some((row, hash)) = reach.look_up(access, &id, found).await? {
            let evidence = access.prove(&id, key, &hash, &mut proofs).await;
            found.add(row, Finding { evidence, characters: id.as_str().len() });
        }
    }
    for (id, evidence) in &scan.ids {
        if let Some((row, _)) = reach.look_up(access, id, found).await? {
            found.add(row, Finding { evidence: *evidence, characters: id.as_str().len() });
        }
    }
    let without_prefix = found.keys.is_empty() && scan.has_parts();
    if without_prefix || scan.has_beginnings() {
        access.find_parts(scan, without_prefix, found).await?;
    }
    Ok(())
}

impl Reach<'_> {
    /// A key that the actor may see, and its hash.
    async fn look_up(
        &self,
        access: &Access<'_>,
        id: &KeyId,
        into: &mut Found,
    ) -> Result<Option<(KeyInfo, KeyHash)>, ManageError> {
        match self {
            Self::Here => Ok(access.row(id).await?.and_then(|row| access.show_found(&row, into))),
            Self::Everywhere(manager, actor) => {
                let Some((organization, row)) = access.parts.find_anywhere(id).await? else { return Ok(None) };
                let manager = manager.for_organization(organization);
                Ok(manager.acting(actor, &[KeyAction::See]).await?.show_found(&row, into))
            }
        }
    }
}

impl Access<'_> {
    fn show_found(&self, row: &Unseen<impl Row>, into: &mut Found) -> Option<(KeyInfo, KeyHash)> {
        match self.sight(row) {
            Sight::Seen(record, status) => {
                let hash = record.hash.clone();
                Some((KeyInfo::new(*record, status, None, self.parts.clock.reading()), hash))
            }
            Sight::Unreadable(_) => {
                into.unreadable += 1;
                None
            }
            Sight::Hidden(_) => None,
        }
    }

    /// Whether the text is that of the key. What cannot be checked now is not reported as another key.
    async fn prove(&self, id: &KeyId, text: &str, stored: &KeyHash, proofs: &mut usize) -> MatchConfidence {
        match self.parts.hasher.check_tag(text, stored) {
            Ok(()) => {}
            Err(error) if error.kind() == TagErrorKind::Mismatch => return MatchConfidence::OtherSecret,
            Err(_) => return MatchConfidence::IdAndSecret,
        }
        if *proofs == 0 {
            return MatchConfidence::IdAndSecret;
        }
        *proofs -= 1;
        match self.parts.hasher.verify_for(self.requester(), *id.as_bytes(), text, stored).await {
            Ok(()) => MatchConfidence::WholeKey,
            Err(error) if error.kind() == VerifyErrorKind::Mismatch => MatchConfidence::OtherSecret,
            Err(_) => MatchConfidence::IdAndSecret,
        }
    }

    /// Compares parts with all keys that the actor may see.
    async fn find_parts(&self, scan: &Scan<'_>, without_prefix: bool, found: &mut Found) -> Result<(), ManageError> {
        let reach = self.reach(&[KeyAction::See]);
        let mut walk = Walk::within(&reach, KeyQuery::all(self.parts.organization.clone()));
        while let Some(rows) = walk.next_page(self).await? {
            for row in rows {
                let key = &row.peek().key;
                let Ok(id) = KeyId::new(&key.id) else { continue };
                let kind = if key.kind == KeyKind::Team.as_str() { KeyKind::Team } else { KeyKind::User };
                if let Some(finding) = scan.find_part(&id, kind, without_prefix)
                    && let Some((key, _)) = self.show_found(&row, found)
                {
                    found.add(key, finding);
                }
            }
            found.trim(self.parts.clock.now());
            // Comparing a page of a store that never waits takes some milliseconds.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Found {
    /// The surest finding for a key counts.
    fn add(&mut self, key: KeyInfo, Finding { evidence, characters }: Finding) {
        let new = KeyMatch { evidence, evidence_sentence: evidence.sentence(), characters, key };
        match self.keys.get(&new.key.id) {
            Some(known) if known.evidence <= evidence => {}
            _ => drop(self.keys.insert(new.key.id, new)),
        }
    }

    /// Keeps only the surest, once there are many.
    fn trim(&mut self, now: Timestamp) {
        if self.keys.len() > 10 * MOST_KEYS {
            self.keys = self.surest(now).into_iter().map(|found| (found.key.id, found)).collect();
        }
    }

    fn surest(&mut self, now: Timestamp) -> Vec<KeyMatch> {
        let mut keys: Vec<KeyMatch> = std::mem::take(&mut self.keys).into_values().collect();
        let order = |found: &KeyMatch| {
            let KeyMatch { key, evidence, characters, .. } = found;
            (*evidence, Reverse(*characters), Reverse(key.is_live(now)), key.created_at, key.id)
        };
        keys.sort_by_key(order);
        self.more |= keys.len() > MOST_KEYS;
        keys.truncate(MOST_KEYS);
        keys
    }

    pub(super) fn finish(mut self, now: Timestamp) -> KeyMatches {
        KeyMatches { keys: self.surest(now), more: self.more, unreadable: self.unreadable, names: Names::none() }
    }
}
