use sqlx::{PgPool, Row, postgres::PgRow};
use tower_api_keys::{
    KeyKind, OrganizationId, Owner,
    key::KeyId,
    store::{Changes, Head, OwnerRef},
};

use crate::failure::Failure;

/// No log has this position, so a reader without a head gets the present head.
const NOWHERE: i64 = -1;

/// Reads the log, on each request. One statement, and so one snapshot, for the head, the rows after the reader's place
/// and whether that place exists.
pub(crate) async fn changes_since(pool: &PgPool, head: Option<Head>) -> Result<Changes, Failure> {
    const SQL: &str = "select h.position as head, h.change, \
            exists (select 1 from keys.api_key_log p where p.position = $1 and p.change = $2) as is_known, \
            l.position, l.key_id, l.organization, l.owner_kind, l.owner \
        from keys.api_key_head h left join lateral (\
            select * from keys.api_key_log where position > $1 and position <= h.position and h.position - $1 <= 1000\
        ) l on true order by l.position";
    let (position, change) = head.map_or((NOWHERE, [0; 16]), |head| (head.position, head.change));
    let rows = sqlx::query(SQL).bind(position).bind(&change[..]).fetch_all(pool).await?;
    let first = rows.first().ok_or_else(|| Failure::Corrupt("the change log has no head".into()))?;
    let change: &[u8] = first.try_get("change")?;
    let change = change.try_into().map_err(|_| Failure::Corrupt("a change has 16 bytes".into()))?;
    let now = Head { position: first.try_get("head")?, change };
    if head == Some(now) {
        return Ok(Changes::Unchanged);
    }
    // Position and id: after a restore from a backup, another change may have the same position.
    let is_known = head == Some(Head::EMPTY) || first.try_get("is_known")?;
    let told = if is_known { told(&rows, position, now)? } else { None };
    Ok(told.unwrap_or(Changes::Reset { head: now }))
}

/// The changes in the rows; none if some rows are missing or cannot be read.
fn told(rows: &[PgRow], position: i64, now: Head) -> Result<Option<Changes>, Failure> {
    let (mut keys, mut owners, mut organizations) = (Vec::new(), Vec::new(), Vec::new());
    for (row, expected) in rows.iter().zip(position + 1..) {
        if row.try_get::<Option<i64>, _>("position")? != Some(expected) {
            return Ok(None);
        }
        match (row.try_get("key_id")?, whose(row)?) {
            (Some(id), _) => match KeyId::new(id) {
                Ok(id) => keys.push(id),
                Err(_) => return Ok(None),
            },
            (None, Some(Whose::Organization(organization))) => organizations.push(organization),
            (None, Some(Whose::Owner(owner))) => owners.push(owner),
            (None, None) => return Ok(None),
        }
    }
    let is_complete = now.position - position == rows.len() as i64;
    Ok(is_complete.then_some(Changes::Changed { head: now, keys, owners, organizations }))
}

/// Whose status changed.
enum Whose {
    Organization(OrganizationId),
    Owner(OwnerRef),
}

fn whose(row: &PgRow) -> Result<Option<Whose>, Failure> {
    let Some(kind) = row.try_get::<Option<&str>, _>("owner_kind")? else { return Ok(None) };
    let Ok(organization) = OrganizationId::new(row.try_get::<&str, _>("organization")?) else { return Ok(None) };
    let Ok(kind) = kind.parse::<KeyKind>() else {
        return Ok((kind == "organization").then_some(Whose::Organization(organization)));
    };
    let owner = Owner::new(kind, row.try_get::<&str, _>("owner")?).ok();
    Ok(owner.map(|owner| Whose::Owner(OwnerRef { organization, owner })))
}
