//! Readers that follow the change log while others write.

use std::{
    collections::BTreeSet,
    iter::zip,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::{join, try_join, try_join_all};
use tokio::task::yield_now;
use tower_api_keys::{
    OrganizationId,
    key::KeyId,
    store::{Changes, ErasedReader, Head, OwnerRef},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{ensure, same},
};

/// Keys are revoked through one handle, the log is read through another, and what it names is found through a third.
pub(super) async fn finds_as_told<R: ErasedReader + ?Sized>(
    writer: &Candidate<'_, R>,
    follower: &Candidate<'_, R>,
    finder: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(32)?;
    writer.written(&scene.insert(&keys)).await?;
    let mut head = follower.head().await?;
    let done = AtomicBool::new(false);
    let writes = async {
        let result = revoke_each(writer, &scene, &keys).await;
        done.store(true, Ordering::Release);
        result
    };
    let reads = async {
        let mut last = false;
        while !last {
            last = done.load(Ordering::Acquire);
            let news = News::since(follower, head).await?;
            for key in keys.iter().filter(|key| matches!(&news, News::These { keys, .. } if keys.contains(&key.id))) {
                let revoked = finder.found(&key.id).await?.key.revoked_at;
                ensure("a key to be revoked once the log has told of it", revoked.is_some(), revoked)?;
            }
            head = news.head().unwrap_or(head);
            yield_now().await;
        }
        Ok(())
    };
    let (written, read) = join(writes, reads).await;
    written.and(read)
}

/// The keys that the log named, without repeats, which are harmless.
pub(super) fn last_of_each(told: impl DoubleEndedIterator<Item = KeyId>) -> Vec<KeyId> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<KeyId> = told.rev().filter(|id| seen.insert(*id)).collect();
    last.reverse();
    last
}

/// Many write, through these handles in turn, while one reads the log.
pub(super) async fn nothing_is_missed<R: ErasedReader + ?Sized>(
    follower: &Candidate<'_, R>,
    writers: &[Candidate<'_, R>],
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(32)?;
    for writer in writers.iter().take(1) {
        writer.written(&scene.insert(&keys)).await?;
    }
    let mut head = follower.head().await?;
    let done = AtomicBool::new(false);
    let writes = async {
        let each = zip(writers.iter().cycle(), keys.chunks(4)).map(|(writer, some)| revoke_each(writer, &scene, some));
        let result = try_join_all(each).await;
        done.store(true, Ordering::Release);
        result
    };
    let reads = async {
        let (mut told, mut last) = (BTreeSet::new(), false);
        while !last {
            last = done.load(Ordering::Acquire);
            let news = News::since(follower, head).await?;
            told.extend(keys.iter().map(|key| key.id).filter(|id| news.tells_of_key(id)));
            head = news.head().unwrap_or(head);
            yield_now().await;
        }
        Ok(told.len())
    };
    let (_, told) = try_join(writes, reads).await?;
    same("how many of 32 revocations a follower of the log was told of", &told, &keys.len())
}

async fn revoke_each<R: ErasedReader + ?Sized>(
    candidate: &Candidate<'_, R>,
    scene: &Scene,
    keys: &[Sample],
) -> Result<(), Unmet> {
    for key in keys {
        candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
        yield_now().await;
    }
    Ok(())
}

/// What a read of the log says to a reader that must miss nothing.
#[derive(Debug)]
pub(super) enum News {
    All { head: Head },
    Nothing,
    These { head: Head, keys: Vec<KeyId>, owners: Vec<OwnerRef>, organizations: Vec<OrganizationId> },
}

impl News {
    pub(super) async fn since<R: ErasedReader + ?Sized>(
        candidate: &Candidate<'_, R>,
        head: Head,
    ) -> Result<Self, Unmet> {
        Self::of(candidate.since(Some(head)).await?)
    }

    pub(super) fn of(changes: Changes) -> Result<Self, Unmet> {
        match changes {
            Changes::Changed { head, keys, owners, organizations } => {
                Ok(Self::These { head, keys, owners, organizations })
            }
            Changes::Reset { head } => Ok(Self::All { head }),
            Changes::Unchanged => Ok(Self::Nothing),
            Changes::Untracked => Err(Unmet::not_applicable("the store keeps no change log")),
        }
    }

    pub(super) fn head(&self) -> Option<Head> {
        match self {
            Self::All { head } | Self::These { head, .. } => Some(*head),
            Self::Nothing => None,
        }
    }

    pub(super) fn tells_of_key(&self, id: &KeyId) -> bool {
        match self {
            Self::All { .. } => true,
            Self::Nothing => false,
            Self::These { keys, .. } => keys.contains(id),
        }
    }

    pub(super) fn tells_of_organization(&self, organization: &OrganizationId) -> bool {
        match self {
            Self::All { .. } => true,
            Self::Nothing => false,
            Self::These { organizations, .. } => organizations.contains(organization),
        }
    }

    pub(super) fn tells_of_owner(&self, owner: &OwnerRef) -> bool {
        match self {
            Self::All { .. } => true,
            Self::Nothing => false,
            Self::These { owners, .. } => owners.contains(owner),
        }
    }
}
