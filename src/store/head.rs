use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering, fence},
};

use super::OwnerRef;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::status_of::ORGANIZATION;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::owner::Owner;
use crate::{key::KeyId, owner::OrganizationId};

/// The end of a store's change log: the position of the last change, and a random id. The id distinguishes it from
/// another change with the same position before a backup was restored or a commit was lost.
///
/// ```
/// use tower_api_keys::store::Head;
///
/// let before = Head { position: 7, change: [1; 16] };
/// let restored = Head { position: 7, change: [2; 16] };
/// assert_ne!(before, restored);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Greater with each change; 0 for an empty log. A reader takes the difference as the number of changes it is
    /// behind.
    pub position: i64,
    /// Random, and different at least for each change that is applied; zeros for an empty log.
    pub change: [u8; 16],
}

impl Head {
    /// The head of a log in which nothing was ever written.
    pub const EMPTY: Self = Self { position: 0, change: [0; 16] };
}

/// What happened since a head.
///
/// ```
/// use tower_api_keys::store::{Changes, Head};
///
/// assert_ne!(Changes::Unchanged, Changes::Reset { head: Head::EMPTY });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These keys, owners and organizations changed. Repeats are harmless.
    Changed {
        /// The head now.
        head: Head,
        /// Keys whose revocation, pause, expiry, scopes, networks, limits or owner changed.
        keys: Vec<KeyId>,
        /// Owners whose status changed.
        owners: Vec<OwnerRef>,
        /// Organizations whose status changed.
        organizations: Vec<OrganizationId>,
    },
    /// The store does not know: everything that was read before may have changed.
    Reset {
        /// The head now.
        head: Head,
    },
    /// Nothing changed: the head is still the given one.
    Unchanged,
    /// The store keeps no log: each request has to read its key's record again.
    Untracked,
}

/// What rows of a change log name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) keys: Vec<KeyId>,
    pub(crate) owners: Vec<OwnerRef>,
    pub(crate) organizations: Vec<OrganizationId>,
}

impl Changed {
    /// Adds a row that names a key, or organization, kind and id of a status. None if it cannot be read: plain SQL may
    /// have given a key any id.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn add_row(&mut self, key: Option<&str>, [organization, kind, id]: [Option<&str>; 3]) -> Option<()> {
        if let Some(key) = key {
            self.keys.push(KeyId::new(key).ok()?);
            return Some(());
        }
        let organization = OrganizationId::new(organization?).ok()?;
        match kind? {
            ORGANIZATION => self.organizations.push(organization),
            kind => {
                let kind = kind.parse().ok()?;
                self.owners.push(OwnerRef { organization, owner: Owner::new(kind, id?).ok()? });
            }
        }
        Some(())
    }

    pub(crate) fn until(self, head: Head) -> Changes {
        let Self { keys, owners, organizations } = self;
        Changes::Changed { head, keys, owners, organizations }
    }
}

/// A [`Head`] that many threads read and few write, without a lock for readers. It is for stores whose head is in the
/// memory of the process.
///
/// ```
/// use tower_api_keys::store::{Head, HeadCell};
///
/// let cell = HeadCell::new(Head::EMPTY);
/// cell.set(Head { position: 1, change: [7; 16] });
/// assert_eq!(cell.head().position, 1);
/// ```
#[derive(Debug)]
pub struct HeadCell {
    writer: Mutex<()>,
    /// Odd while a writer is at work; readers retry then (a sequence lock).
    sequence: AtomicU64,
    position: AtomicI64,
    high: AtomicU64,
    low: AtomicU64,
}

impl HeadCell {
    /// A cell that holds this head.
    #[must_use]
    pub fn new(head: Head) -> Self {
        let (high, low) = halves(head.change);
        Self {
            writer: Mutex::new(()),
            sequence: AtomicU64::new(0),
            position: AtomicI64::new(head.position),
            high: AtomicU64::new(high),
            low: AtomicU64::new(low),
        }
    }

    /// Replaces the head. Later reads see this one or a later one.
    pub fn set(&self, head: Head) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (high, low) = halves(head.change);
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.position.store(head.position, Ordering::Relaxed);
        self.high.store(high, Ordering::Relaxed);
        self.low.store(low, Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The head that was set last.
    #[must_use]
    pub fn head(&self) -> Head {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let position = self.position.load(Ordering::Relaxed);
            let high = self.high.load(Ordering::Relaxed);
            let low = self.low.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return Head { position, change: (u128::from(high) << 64 | u128::from(low)).to_ne_bytes() };
            }
            std::hint::spin_loop();
        }
    }
}

fn halves(change: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_ne_bytes(change);
    ((whole >> 64) as u64, whole as u64)
}

#[cfg(test)]
mod tests {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    use proptest::{option, prelude::*};

    use super::*;

    #[test]
    fn a_reader_never_sees_half_of_a_head() {
        let head = |position: i64| Head { position, change: u128::from(position as u64).to_be_bytes() };
        let cell = HeadCell::new(Head::EMPTY);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=100_000).for_each(|position| cell.set(head(position))));
            let mut last = 0;
            while last < 100_000 {
                let seen = cell.head();
                assert_eq!(seen, head(seen.position));
                assert!(seen.position >= last);
                last = seen.position;
            }
        });
    }

    /// Columns of a row of a change log: words with a meaning, and any others.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    fn column() -> impl Strategy<Value = Option<String>> {
        option::of(prop_oneof![
            Just("user".to_owned()),
            Just("team".to_owned()),
            Just("organization".to_owned()),
            "[A-Za-z0-9_-]{20}",
            ".{0,130}",
        ])
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    proptest! {
        #[test]
        fn a_row_of_a_change_log_names_one_thing_as_it_stands_or_cannot_be_read(
            key in column(),
            organization in column(),
            kind in column(),
            id in column(),
        ) {
            let mut changed = Changed::default();
            let read = changed.add_row(key.as_deref(), [&organization, &kind, &id].map(|column| column.as_deref()));
            let keys = changed.keys.iter().map(|key| (Some(key.as_str()), None, None, None));
            let owners = changed.owners.iter().map(|OwnerRef { organization, owner }| {
                (None, Some(organization.as_str()), Some(owner.kind().as_str()), Some(owner.id()))
            });
            let organizations =
                changed.organizations.iter().map(|of| (None, Some(of.as_str()), Some(ORGANIZATION), None));
            let all: Vec<_> = keys.chain(owners).chain(organizations).collect();
            prop_assert_eq!(all.len(), usize::from(read.is_some()));
            for (of_key, of_organization, of_kind, of_id) in all {
                prop_assert_eq!(of_key, key.as_deref());
                prop_assert!(of_organization.is_none() || of_organization == organization.as_deref());
                prop_assert!(of_kind.is_none() || of_kind == kind.as_deref());
                prop_assert!(of_id.is_none() || of_id == id.as_deref());
            }
        }
    }
}
