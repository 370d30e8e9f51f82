use super::{
    ActorId, KeyName, KeyRecord, Labels, Pause, Responsible, Revocation,
    key_record::{Reserved, Rotated, Warned},
};
use crate::{
    hash::KeyHash,
    key::KeyId,
    owner::{KeyKind, OrganizationId, Owner, OwnerRef},
    time::Timestamp,
};

/// A key as stores keep it: plain columns, times in milliseconds since 1970.
///
/// A store writes what it is given and returns it byte for byte; it checks nothing. [`KeyRecord::try_from`] checks what
/// the store returns. `Debug` prints neither hash, tag nor proof.
///
/// ```
/// use tower_api_keys::record::{KeyRecord, KeyRow};
/// # let row = KeyRow::example();
///
/// assert!(KeyRecord::try_from(&row).is_ok());
/// assert!(KeyRecord::try_from(&KeyRow { kind: "robot".into(), ..row }).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// [`OrganizationId`], 1 to 128 bytes.
    pub organization: String,
    /// [`KeyId`], 20 ASCII characters, unique in the store, compared byte by byte.
    pub id: String,
    /// `user` or `team`.
    pub kind: String,
    /// [`UserId`](crate::UserId) or [`TeamId`](crate::TeamId), 1 to 128 bytes.
    pub owner: String,
    /// [`KeyName`], at most 100 characters, may be empty.
    pub name: String,
    /// [`Labels`] as a JSON object of strings, without blanks and sorted by name; `{}` for none. A store may convert it
    /// into that form.
    pub labels: String,
    /// The Argon2id hash, a PHC string.
    pub hash: String,
    /// [`Tag`](crate::hash::Tag), 4 bytes.
    pub tag: [u8; 4],
    /// [`PepperId`](crate::hash::PepperId), if the hash has a pepper.
    pub pepper_id: Option<i64>,
    /// 32 bytes that prove to a node with the pepper of the hash which text matched it, if
    /// [proofs are stored](crate::hash::HasherConfig::with_stored_proofs).
    pub proof: Option<Vec<u8>>,
    /// [`Scopes`](crate::Scopes) in their text form, words separated by blanks; empty for none.
    pub scopes: String,
    /// [`Networks`](crate::Networks) that the key may be used from, in their text form, words separated by blanks;
    /// none: from anywhere. An empty text is not none: a key that has it is refused.
    pub allowed_networks: Option<String>,
    /// The key's limits, in the embedder's own words, carried in its [`Principal`](crate::Principal::limits). This
    /// crate does not enforce them.
    pub limits: Option<String>,
    /// [`ActorId`].
    pub created_by: String,
    /// [`KeyId`] of the key that made it.
    pub created_via_key: Option<String>,
    /// The origin of its text, if it was not generated here: `configuration` for a key that was [known
    /// beforehand](crate::IssueKey::with_text). Other values are reserved, and ignored by this version.
    pub imported_from: Option<String>,
    /// [`Responsible`]: the recipient of messages about the key, at most 128 characters.
    pub responsible: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// The first moment at which it is refused.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// [`ActorId`] of who revoked it.
    pub revoked_by: Option<String>,
    /// When it was paused. A paused key is refused.
    pub paused_at: Option<i64>,
    /// [`ActorId`] of who paused it.
    pub paused_by: Option<String>,
    /// [`KeyId`] of the key it replaces in a rotation.
    pub replaces: Option<String>,
    /// [`KeyId`] of the first key of its chain of rotations; its own if it replaces none.
    pub lineage: String,
    /// The expiry that the replaced key had before the rotation; none if it had none, or if this key replaces none.
    /// Written when the key is inserted, and never changed.
    pub predecessor_expires_at: Option<i64>,
    /// The end of grace that the rotation gave the replaced key; none if it gave none. Written when the key is
    /// inserted, and never changed.
    pub grace_ends_at: Option<i64>,
    /// The expiry that [`Write::WarnOfEnd`](crate::store::Write::WarnOfEnd) last noted as told, or the one for which a
    /// new key needs no warning. It counts only for that expiry: if the key gets another one, nothing was told.
    pub warned_end: Option<i64>,
    /// How many milliseconds before it that was.
    pub warned_before_ms: Option<i64>,
    /// 1 when inserted, one more with each update.
    pub version: i64,
}

impl OwnerRef {
    /// The owner of a key; none if the row's organization, kind or owner cannot be read.
    #[must_use]
    pub fn of(key: &KeyRow) -> Option<Self> {
        let kind = key.kind().ok()?;
        let organization = OrganizationId::new(&key.organization).ok()?;
        Some(Self { organization, owner: Owner::new(kind, &key.owner).ok()? })
    }

    /// The user who made a key; none if a key or the system did, or if the row cannot be read.
    #[must_use]
    pub fn creator_of(key: &KeyRow) -> Option<Self> {
        let ActorId::User(user) = key.created_by.parse().ok()? else { return None };
        Some(Self { organization: OrganizationId::new(&key.organization).ok()?, owner: user.into() })
    }
}

impl KeyRow {
    /// Whether it is neither revoked nor expired at this time, also if the rest of the row cannot be read. The same
    /// rule as `Guard::Live` and the liveness filter of lists.
    ///
    /// ```
    /// use tower_api_keys::{Timestamp, record::KeyRow};
    /// # let row = KeyRow::example();
    ///
    /// let row = KeyRow { expires_at: Some(1_772_366_400_001), revoked_at: None, ..row };
    /// assert!(row.is_live(Timestamp::from_millis(1_772_366_400_000)?));
    /// assert!(!row.is_live(Timestamp::from_millis(1_772_366_400_001)?)); // the first moment at which it is refused
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now.as_millis() < end)
    }

    /// When it ended, or is to end: when it was revoked or the first moment at which it is expired, whichever comes
    /// first.
    #[must_use]
    pub fn ended_at(&self) -> Option<i64> {
        self.revoked_at.into_iter().chain(self.expires_at).min()
    }

    fn kind(&self) -> Result<KeyKind, CorruptRow> {
        self.kind.parse().map_err(|_| CorruptRow("kind"))
    }

    /// A row for documentation and tests of this crate. Its key does not exist.
    #[doc(hidden)]
    #[must_use]
    pub fn example() -> Self {
        Self {
            organization: "default".into(),
            id: "AAAAAAAAAAAAAAAAAAAA".into(),
            kind: "team".into(),
            owner: "engineering".into(),
            name: "GitHub Actions - production".into(),
            labels: r#"{"ticket":"OPS-1234"}"#.into(),
            hash: "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                .into(),
            tag: [0; 4],
            pepper_id: None,
            proof: None,
            scopes: "*".into(),
            allowed_networks: None,
            limits: None,
            created_by: "user:alice".into(),
            created_via_key: None,
            imported_from: None,
            responsible: None,
            created_at: 1_772_366_400_000,
            expires_at: None,
            revoked_at: None,
            revoked_by: None,
            paused_at: None,
            paused_by: None,
            replaces: None,
            lineage: "AAAAAAAAAAAAAAAAAAAA".into(),
            predecessor_expires_at: None,
            grace_ends_at: None,
            warned_end: None,
            warned_before_ms: None,
            version: 1,
        }
    }
}

impl From<&KeyRecord> for KeyRow {
    fn from(record: &KeyRecord) -> Self {
        let text = |id: &KeyId| id.as_str().to_owned();
        Self {
            organization: record.organization.as_str().to_owned(),
            id: text(&record.id),
            kind: record.kind().as_str().to_owned(),
            owner: record.owner.id().to_owned(),
            name: record.name.as_str().to_owned(),
            labels: labels_text(&record.labels),
            hash: record.hash.phc().to_owned(),
            tag: record.hash.tag().to_bytes(),
            pepper_id: record.hash.pepper().map(|id| id.as_u32().into()),
            proof: record.hash.proof().map(Vec::from),
            scopes: record.scopes.to_string(),
            allowed_networks: record.networks.as_ref().map(ToString::to_string),
            limits: record.limits.as_deref().map(str::to_owned),
            created_by: record.created_by.to_string(),
            created_via_key: record.created_via_key.as_ref().map(text),
            imported_from: record.reserved.imported_from.clone(),
            responsible: record.responsible.as_ref().map(|responsible| responsible.as_str().to_owned()),
            created_at: record.created_at.as_millis(),
            expires_at: record.expires_at.map(Timestamp::as_millis),
            revoked_at: record.revoked.as_ref().map(|revoked| revoked.at.as_millis()),
            revoked_by: record.revoked.as_ref().and_then(|revoked| revoked.by.as_ref()).map(ToString::to_string),
            paused_at: record.paused.as_ref().map(|paused| paused.at.as_millis()),
            paused_by: record.paused.as_ref().and_then(|paused| paused.by.as_ref()).map(ToString::to_string),
            replaces: record.replaces.as_ref().map(text),
            lineage: text(&record.lineage),
            predecessor_expires_at: record.rotated.predecessor_expires_at.map(Timestamp::as_millis),
            grace_ends_at: record.rotated.grace_ends_at.map(Timestamp::as_millis),
            warned_end: record.warned.end,
            warned_before_ms: record.warned.before_ms,
            version: record.version,
        }
    }
}

impl TryFrom<&KeyRow> for KeyRecord {
    type Error = CorruptRow;

    fn try_from(row: &KeyRow) -> Result<Self, Self::Error> {
        let corrupt = CorruptRow;
        let key = |column: &'static str, text: &str| KeyId::new(text).map_err(|_| corrupt(column));
        let actor = |column: &'static str, text: &str| text.parse::<ActorId>().map_err(|_| corrupt(column));
        let kind = row.kind()?;
        let pepper = row.pepper_id.map(u32::try_from).transpose().map_err(|_| corrupt("pepper_id"))?;
        let maybe_time = |column, at: Option<i64>| at.map(|at| time(column, at)).transpose();
        let ended = |[at_column, by_column]: [&'static str; 2], at: Option<i64>, by: Option<&str>| {
            let by = by.map(|text| actor(by_column, text)).transpose()?;
            match maybe_time(at_column, at)? {
                Some(at) => Ok(Some((at, by))),
                None if by.is_some() => Err(corrupt(by_column)),
                None => Ok(None),
            }
        };
        let revoked = ended(["revoked_at", "revoked_by"], row.revoked_at, row.revoked_by.as_deref())?;
        let paused = ended(["paused_at", "paused_by"], row.paused_at, row.paused_by.as_deref())?;
        Ok(Self {
            organization: OrganizationId::new(&row.organization).map_err(|_| corrupt("organization"))?,
            id: key("id", &row.id)?,
            owner: Owner::new(kind, &row.owner).map_err(|_| corrupt("owner"))?,
            name: KeyName::new(&row.name).map_err(|_| corrupt("name"))?,
            labels: serde_json::from_str::<Labels>(&row.labels).map_err(|_| corrupt("labels"))?,
            // A proof of the wrong length is ignored, like one that does not match.
            hash: KeyHash::from_parts(&row.hash, row.tag, pepper)
                .map_err(|_| corrupt("hash"))?
                .with_proof(row.proof.as_deref().and_then(|proof| proof.try_into().ok())),
            scopes: row.scopes.parse().map_err(|_| corrupt("scopes"))?,
            created_by: actor("created_by", &row.created_by)?,
            created_via_key: row.created_via_key.as_deref().map(|text| key("created_via_key", text)).transpose()?,
            created_at: time("created_at", row.created_at)?,
            // A list that cannot be read does not count as none.
            networks: row
                .allowed_networks
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|_| corrupt("allowed_networks"))?,
            limits: row.limits.as_deref().map(Into::into),
            responsible: row
                .responsible
                .as_deref()
                .map(Responsible::new)
                .transpose()
                .map_err(|_| corrupt("responsible"))?,
            expires_at: maybe_time("expires_at", row.expires_at)?,
            revoked: revoked.map(|(at, by)| Revocation { at, by }),
            paused: paused.map(|(at, by)| Pause { at, by }),
            replaces: row.replaces.as_deref().map(|text| key("replaces", text)).transpose()?,
            lineage: key("lineage", &row.lineage)?,
            rotated: Rotated {
                predecessor_expires_at: maybe_time("predecessor_expires_at", row.predecessor_expires_at)?,
                grace_ends_at: maybe_time("grace_ends_at", row.grace_ends_at)?,
            },
            // Not checked further: an invalid mark must not make the key unreadable.
            warned: Warned { end: row.warned_end, before_ms: row.warned_before_ms },
            reserved: Reserved { imported_from: row.imported_from.clone() },
            version: if row.version >= 1 { row.version } else { return Err(corrupt("version")) },
        })
    }
}

/// A row that this crate cannot have written, and the column that shows it. A request with such a key gets 503.
///
/// ```
/// use tower_api_keys::record::{KeyRecord, KeyRow};
/// # let row = KeyRow::example();
///
/// let error = KeyRecord::try_from(&KeyRow { kind: "robot".into(), ..row }).unwrap_err();
/// assert_eq!(error.column(), "kind");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the column `{0}` of a stored row has a value that this crate never writes")]
pub struct CorruptRow(&'static str);

impl CorruptRow {
    /// The column.
    #[must_use]
    pub const fn column(&self) -> &'static str {
        self.0
    }

    pub(crate) const fn new(column: &'static str) -> Self {
        Self(column)
    }
}

/// A stored time.
pub(super) fn time(column: &'static str, millis: i64) -> Result<Timestamp, CorruptRow> {
    Timestamp::from_millis(millis).map_err(|_| CorruptRow(column))
}

/// Labels as a JSON object. `serde_json` fails on maps whose keys are no strings; these are strings.
pub(crate) fn labels_text(labels: &Labels) -> String {
    serde_json::to_string(labels).unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_the_record() {
        let row = KeyRow {
            pepper_id: Some(7),
            expires_at: Some(5),
            revoked_at: Some(6),
            revoked_by: Some("system:job".into()),
            replaces: Some("BBBBBBBBBBBBBBBBBBBB".into()),
            created_via_key: Some("CCCCCCCCCCCCCCCCCCCC".into()),
            proof: Some(vec![255; 32]),
            allowed_networks: Some("10.0.0.0/8 2001:db8::/32".into()),
            limits: Some("{\"per_minute\": 60}".into()),
            imported_from: Some("old".into()),
            responsible: Some("user:bob".into()),
            paused_at: Some(7),
            paused_by: Some("user:bob".into()),
            lineage: "DDDDDDDDDDDDDDDDDDDD".into(),
            predecessor_expires_at: Some(8),
            grace_ends_at: Some(9),
            warned_end: Some(-10),
            warned_before_ms: Some(11),
            ..KeyRow::example()
        };
        assert_eq!(KeyRow::from(&KeyRecord::try_from(&row).unwrap()), row);
    }

    #[test]
    fn a_proof_of_another_length_is_none() {
        for length in [0, 1, 31, 33, 64] {
            let row = KeyRow { proof: Some(vec![255; length]), ..KeyRow::example() };
            assert_eq!(KeyRow::from(&KeyRecord::try_from(&row).unwrap()), KeyRow::example(), "{length}");
        }
    }

    #[test]
    fn every_column_can_be_corrupt() {
        let row = KeyRow::example;
        let cases = [
            ("organization", KeyRow { organization: String::new(), ..row() }),
            ("id", KeyRow { id: "short".into(), ..row() }),
            ("kind", KeyRow { kind: "USER".into(), ..row() }),
            ("owner", KeyRow { owner: "a\nb".into(), ..row() }),
            ("name", KeyRow { name: "a\0".into(), ..row() }),
            ("labels", KeyRow { labels: "[]".into(), ..row() }),
            ("hash", KeyRow { hash: "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA".into(), ..row() }),
            ("scopes", KeyRow { scopes: " ".into(), ..row() }),
            ("pepper_id", KeyRow { pepper_id: Some(-1), ..row() }),
            ("created_by", KeyRow { created_by: "alice".into(), ..row() }),
            ("created_via_key", KeyRow { created_via_key: Some(String::new()), ..row() }),
            ("created_at", KeyRow { created_at: -1, ..row() }),
            ("expires_at", KeyRow { expires_at: Some(i64::MAX), ..row() }),
            ("revoked_at", KeyRow { revoked_at: Some(i64::MIN), ..row() }),
            ("revoked_by", KeyRow { revoked_by: Some("user:alice".into()), ..row() }),
            ("paused_at", KeyRow { paused_at: Some(-1), ..row() }),
            ("paused_by", KeyRow { paused_by: Some("user:alice".into()), ..row() }),
            ("replaces", KeyRow { replaces: Some("x".into()), ..row() }),
            ("lineage", KeyRow { lineage: String::new(), ..row() }),
            ("predecessor_expires_at", KeyRow { predecessor_expires_at: Some(-1), ..row() }),
            ("grace_ends_at", KeyRow { grace_ends_at: Some(i64::MAX), ..row() }),
            ("allowed_networks", KeyRow { allowed_networks: Some("10.0.0.1/8".into()), ..row() }),
            ("allowed_networks", KeyRow { allowed_networks: Some(String::new()), ..row() }),
            ("responsible", KeyRow { responsible: Some(String::new()), ..row() }),
            ("version", KeyRow { version: 0, ..row() }),
        ];
        for (column, row) in cases {
            assert_eq!(KeyRecord::try_from(&row).unwrap_err().column(), column);
        }
    }
}
