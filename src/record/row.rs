use super::{ActorId, KeyName, KeyRecord, Labels, Revocation};
use crate::{
    hash::KeyHash,
    key::KeyId,
    owner::{KeyKind, OrganizationId, Owner, OwnerRef},
    time::Timestamp,
};

/// A key as stores keep it: plain columns, times in milliseconds since 1970.
///
/// A store writes what it is given and gives back what it wrote, byte for byte; it checks nothing. What it gives back is
/// checked by [`KeyRecord::try_from`].
///
/// ```
/// use tower_api_keys::record::{KeyRecord, KeyRow};
/// # let row = KeyRow::example();
///
/// assert!(KeyRecord::try_from(&row).is_ok());
/// assert!(KeyRecord::try_from(&KeyRow { kind: "robot".into(), ..row }).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// [`Labels`] as a JSON object of strings; `{}` for none.
    pub labels: String,
    /// The Argon2id hash, a PHC string.
    pub hash: String,
    /// [`Tag`](crate::hash::Tag), 4 bytes.
    pub tag: [u8; 4],
    /// [`PepperId`](crate::hash::PepperId), if the hash has a pepper.
    pub pepper_id: Option<i64>,
    /// [`Scopes`](crate::Scopes) in their text form; empty for none.
    pub scopes: String,
    /// [`ActorId`].
    pub created_by: String,
    /// [`KeyId`] of the key that made it.
    pub created_via_key: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// The first moment at which it is refused.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// [`ActorId`] of who revoked it.
    pub revoked_by: Option<String>,
    /// [`KeyId`] of the key it succeeds.
    pub replaces: Option<String>,
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
    /// Whether it is neither revoked nor expired, also where the rest of it cannot be read.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now.as_millis() < end)
    }

    fn kind(&self) -> Result<KeyKind, CorruptRow> {
        match self.kind.as_str() {
            "user" => Ok(KeyKind::User),
            "team" => Ok(KeyKind::Team),
            _ => Err(CorruptRow("kind")),
        }
    }

    /// A row for documentation and tests of this crate. Nobody holds its key.
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
            scopes: "*".into(),
            created_by: "user:alice".into(),
            created_via_key: None,
            created_at: 1_772_366_400_000,
            expires_at: None,
            revoked_at: None,
            revoked_by: None,
            replaces: None,
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
            scopes: record.scopes.to_string(),
            created_by: record.created_by.to_string(),
            created_via_key: record.created_via_key.as_ref().map(text),
            created_at: record.created_at.as_millis(),
            expires_at: record.expires_at.map(Timestamp::as_millis),
            revoked_at: record.revoked.as_ref().map(|revoked| revoked.at.as_millis()),
            revoked_by: record.revoked.as_ref().and_then(|revoked| revoked.by.as_ref()).map(ToString::to_string),
            replaces: record.replaces.as_ref().map(text),
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
        if row.revoked_at.is_none() && row.revoked_by.is_some() {
            return Err(corrupt("revoked_by"));
        }
        let by = row.revoked_by.as_deref().map(|text| actor("revoked_by", text)).transpose()?;
        let revoked_at = row.revoked_at.map(|at| time("revoked_at", at)).transpose()?;
        Ok(Self {
            organization: OrganizationId::new(&row.organization).map_err(|_| corrupt("organization"))?,
            id: key("id", &row.id)?,
            owner: Owner::new(kind, &row.owner).map_err(|_| corrupt("owner"))?,
            name: KeyName::new(&row.name).map_err(|_| corrupt("name"))?,
            labels: serde_json::from_str::<Labels>(&row.labels).map_err(|_| corrupt("labels"))?,
            hash: KeyHash::from_parts(&row.hash, row.tag, pepper).map_err(|_| corrupt("hash"))?,
            scopes: row.scopes.parse().map_err(|_| corrupt("scopes"))?,
            created_by: actor("created_by", &row.created_by)?,
            created_via_key: row.created_via_key.as_deref().map(|text| key("created_via_key", text)).transpose()?,
            created_at: time("created_at", row.created_at)?,
            expires_at: row.expires_at.map(|at| time("expires_at", at)).transpose()?,
            revoked: revoked_at.map(|at| Revocation { at, by }),
            replaces: row.replaces.as_deref().map(|text| key("replaces", text)).transpose()?,
            version: if row.version >= 1 { row.version } else { return Err(corrupt("version")) },
        })
    }
}

/// A row that this crate cannot have written, and the column that shows it. A request that meets one gets 503.
///
/// ```
/// use tower_api_keys::record::{KeyRecord, KeyRow};
/// # let row = KeyRow::example();
///
/// let error = KeyRecord::try_from(&KeyRow { kind: "robot".into(), ..row }).unwrap_err();
/// assert_eq!(error.column(), "kind");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the column `{0}` of a stored row holds what this crate never writes")]
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
            ..KeyRow::example()
        };
        assert_eq!(KeyRow::from(&KeyRecord::try_from(&row).unwrap()), row);
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
            ("replaces", KeyRow { replaces: Some("x".into()), ..row() }),
            ("version", KeyRow { version: 0, ..row() }),
        ];
        for (column, row) in cases {
            assert_eq!(KeyRecord::try_from(&row).unwrap_err().column(), column);
        }
    }
}
