use super::{KeyManager, read};
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        error::{InvalidInput, ManageError, ManageErrorKind},
        info::{KeyInfo, KeyPage},
        policy::{KeyAction, Target},
        request::ListKeys,
    },
    owner::Owner,
    record::KeyRecord,
    store::{FoundKey, KeyCursor, KeyQuery, KeyStore, ListedKey, guarded},
    time::Timestamp,
    usage::UsageTotals,
};

/// The most keys of one page, as the store's contract says.
const LARGEST_PAGE: u16 = 1_000;

impl<S: KeyStore> KeyManager<S> {
    /// The key of this id, dead or alive, with its usage if the actor may see it.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: not found, denied (a key without `keys:manage`), corrupt record, store unavailable.
    pub async fn find(&self, id: &KeyId, actor: &Actor) -> Result<KeyInfo, ManageError> {
        self.admit(actor)?;
        let (record, status) = self.load(id, actor, KeyAction::See).await?;
        let usage = if self.allows(actor, KeyAction::SeeUsage, &Target::key(&record)) {
            Some(self.usage(&record).await?)
        } else {
            None
        };
        Ok(KeyInfo::new(record, status, usage))
    }

    /// A page of the keys that the actor may see, in the order of their making.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: not found (an owner whose keys the actor may not see), denied (a key without `keys:manage`;
    /// [`unused_since`](ListKeys::unused_since) by somebody who may not see the usage of this owner's keys), invalid,
    /// corrupt record, store unavailable.
    pub async fn list(&self, query: ListKeys, actor: &Actor) -> Result<KeyPage, ManageError> {
        self.admit(actor)?;
        let owners = self.owners_to_list(&query, actor)?;
        if query.limit == 0 || query.limit > LARGEST_PAGE {
            return Err(ManageError::invalid(InvalidInput::PageSize));
        }
        let (rows, more) = self.rows(query, owners).await?;
        let next = match rows.last() {
            Some(last) if more => Some(cursor(last)?),
            _ => None,
        };
        let mut page = KeyPage { keys: Vec::new(), unreadable: Vec::new(), next };
        for row in rows {
            self.show(row, actor, &mut page);
        }
        Ok(page)
    }

    /// The owners whose keys to ask the store for; none of them in particular where the actor may see them all.
    fn owners_to_list(&self, query: &ListKeys, actor: &Actor) -> Result<Vec<Option<Owner>>, ManageError> {
        let sees = |target: Target<'_>| {
            self.allows(actor, KeyAction::See, &target)
                // Which keys were not used since when tells how they are used.
                && (query.unused_since.is_none() || self.allows(actor, KeyAction::SeeUsage, &target))
        };
        Ok(match &query.owner {
            Some(owner) => {
                if !self.allows(actor, KeyAction::See, &Target::Owner(owner)) {
                    return Err(ManageError::not_found());
                }
                if query.unused_since.is_some() {
                    self.permit(actor, KeyAction::SeeUsage, &Target::Owner(owner))?;
                }
                vec![Some(owner.clone())]
            }
            None if sees(Target::Organization) => vec![None],
            None => actor.owners().filter(|owner| sees(Target::Owner(owner))).map(Some).collect(),
        })
    }

    /// The next rows of all these owners together, and whether more follow.
    async fn rows(&self, query: ListKeys, owners: Vec<Option<Owner>>) -> Result<(Vec<ListedKey>, bool), ManageError> {
        let now = self.0.clock.now();
        let limit = query.limit;
        let mut query = KeyQuery {
            organization: self.0.organization.clone(),
            owner: None,
            creator: query.creator,
            maker: query.maker,
            predecessor: None,
            liveness: query.liveness,
            unused_since: query.unused_since,
            created_before: None,
            after: query.after,
            limit,
        };
        let (mut rows, mut more) = (Vec::new(), false);
        for owner in owners {
            query.owner = owner;
            let page = guarded(self.0.timeout, || self.0.store.list(&query, now)).await?;
            rows.extend(page.rows);
            more |= page.more;
        }
        rows.retain(|row| row.key.organization == self.0.organization.as_str());
        rows.sort_by(|a, b| (a.key.created_at, &a.key.id).cmp(&(b.key.created_at, &b.key.id)));
        more |= rows.len() > usize::from(limit);
        rows.truncate(limit.into());
        Ok((rows, more))
    }

    fn show(&self, row: ListedKey, actor: &Actor, page: &mut KeyPage) {
        let usage = row.usage;
        let found = FoundKey { key: row.key, owner: row.owner };
        match read(&found) {
            Ok((record, status)) => {
                let target = Target::key(&record);
                if self.allows(actor, KeyAction::See, &target) {
                    let usage = self.allows(actor, KeyAction::SeeUsage, &target).then_some(usage);
                    page.keys.push(KeyInfo::new(record, status, usage));
                }
            }
            Err(_) if self.may_know_of(actor, &found) => page.unreadable.extend(KeyId::new(&found.key.id)),
            Err(_) => {}
        }
    }

    /// How a key was used. Only lists tell: this one begins right before the key.
    async fn usage(&self, record: &KeyRecord) -> Result<UsageTotals, ManageError> {
        let query = KeyQuery {
            owner: Some(record.owner.clone()),
            after: just_before(record),
            limit: 1,
            ..KeyQuery::all(self.0.organization.clone())
        };
        let page = guarded(self.0.timeout, || self.0.store.list(&query, self.0.clock.now())).await?;
        let row = page.rows.first().filter(|row| row.key.id == record.id.as_str());
        Ok(row.map(|row| row.usage).unwrap_or_default())
    }
}

fn cursor(row: &ListedKey) -> Result<KeyCursor, ManageError> {
    let corrupt = || ManageError::new(ManageErrorKind::CorruptRecord);
    Ok(KeyCursor {
        created_at: Timestamp::from_millis(row.key.created_at).map_err(|error| corrupt().with_source(error))?,
        id: KeyId::new(&row.key.id).map_err(|error| corrupt().with_source(error))?,
    })
}

/// The last place in the order of lists before that of this key; none if it is the very first.
fn just_before(record: &KeyRecord) -> Option<KeyCursor> {
    let cursor = |created_at, id: &str| KeyId::new(id).ok().map(|id| KeyCursor { created_at, id });
    if let Some(id) = id_before(record.id.as_str()) {
        return cursor(record.created_at, &id);
    }
    let earlier = record.created_at.as_millis().checked_sub(1)?;
    cursor(Timestamp::from_millis(earlier).ok()?, &"z".repeat(record.id.as_str().len()))
}

/// The greatest text of base64url characters of this length that is less than this one.
fn id_before(id: &str) -> Option<String> {
    const ALPHABET: &str = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    // Like subtracting one: what ends in the least character borrows from the character before it.
    let kept = id.trim_end_matches('-');
    let (head, last) = (kept.get(..kept.len().checked_sub(1)?)?, kept.chars().next_back()?);
    let less = ALPHABET.chars().take_while(|c| *c < last).last()?;
    Some(format!("{head}{less}{}", "z".repeat(id.len() - kept.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_before_is_the_next_one_down() {
        for (id, before) in
            [("ab", Some("aa")), ("a0", Some("a-")), ("a-", Some("_z")), ("A-", Some("9z")), ("--", None)]
        {
            assert_eq!(id_before(id).as_deref(), before, "{id}");
        }
        assert_eq!(id_before("_"), Some("Z".into()));
        assert_eq!(id_before("a"), Some("_".into()));
    }
}
