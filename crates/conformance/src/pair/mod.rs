//! Two handles onto one database: what was written through one is there for the other.

pub(crate) mod race;

use std::fmt;

use tower_api_keys::{
    key::KeyId,
    record::Suspension,
    store::{
        Change, Changes, Conflict, Effect, ErasedLedger, Guard, Ledger, OwnerChange, RehashedKey, UsageScope, Write,
    },
    usage::UsageBatch,
};

use crate::{
    Candidate, Unmet,
    follow::{News, last_of_each},
    rehash::rehash,
    scene::{Scene, at},
    unmet::{conflicts, ensure, same},
    usage,
};

/// Two handles onto one database, such as two connections, two processes or two stores of different types.
pub(crate) struct Pair<'a>([[Candidate<'a, dyn ErasedLedger + 'a>; 2]; 2]);

impl<'a> Pair<'a> {
    /// Two stores over the same data.
    pub(crate) fn new<A: Ledger, B: Ledger>(one: &'a A, other: &'a B) -> Self {
        let (one, other): (&'a dyn ErasedLedger, &'a dyn ErasedLedger) = (one, other);
        let way = |one, other| [Candidate::erased(one), Candidate::erased(other)];
        Self([way(one, other), way(other, one)])
    }

    /// A number of rounds, in which the two handles take turns to come first.
    pub(super) fn rounds(&self, count: usize) -> impl Iterator<Item = &[Candidate<'a, dyn ErasedLedger + 'a>; 2]> {
        self.0.iter().cycle().take(count)
    }
}

impl fmt::Debug for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

pub(crate) async fn a_write_is_found_through_the_other(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(4) {
        let scene = Scene::new()?;
        let key = scene.key()?;
        same("a key before it was written", &other.find(&key.id).await?, &None)?;
        one.written(&scene.insert([&key])).await?;
        same("a key that the other handle wrote", &other.found(&key.id).await?.key, &key.row)?;
        one.written(&scene.change(at(1), vec![key.rename(1, "Monday cron")])).await?;
        same("its new name", &other.found(&key.id).await?.key.name, &"Monday cron".to_owned())?;
        let new = RehashedKey { hash: "$argon2id$new".into(), tag: [1; 4], pepper_id: None, proof: None };
        same("whether it was re-hashed", &rehash(one, &key.id, &key.row.hash, &new).await?, &true)?;
        same("its new hash", &other.found(&key.id).await?.key.hash, &new.hash)?;
        for (step, suspended) in
            [(OwnerChange::Suspend(Suspension::Plan), Some(at(2))), (OwnerChange::Reinstate(Suspension::Plan), None)]
        {
            one.written(&scene.change(at(2), vec![Write::Owner(scene.owner(), step)])).await?;
            let suspended = suspended.map(|suspended| suspended.as_millis());
            same("the suspension of its owner", &other.found(&key.id).await?.owner.plan_suspended_at, &suspended)?;
        }
        one.written(&scene.change(at(3), vec![key.revoke()])).await?;
        let revoked = other.found(&key.id).await?.key.revoked_at;
        same("the time of its revocation", &revoked, &Some(at(3).as_millis()))?;
    }
    Ok(())
}

pub(crate) async fn a_write_is_listed_through_the_other(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(4) {
        let scene = Scene::new()?;
        let key = scene.key()?;
        same("the keys of nobody", &other.listed(&scene.query(), at(1)).await?, &Vec::new())?;
        one.written(&scene.insert([&key])).await?;
        let rows = vec![usage::row(&key, "success", "", 2, 1, 1)];
        one.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: rows.clone(), days: Vec::new() }).await?;
        same("the list of the other handle", &other.listed(&scene.query(), at(1)).await?, &vec![key.row.id.clone()])?;
        same("the count of the other handle", &other.usage(&scene).await?.successes, &2)?;
        let counts = other.counts(&UsageScope::Keys(vec![key.id])).await?;
        same("the counts that the other handle reads", &counts, &rows)?;
        one.append(&[scene.event(at(1))]).await?;
        one.written(&scene.change(at(1), vec![Write::Owner(scene.owner(), OwnerChange::Close)])).await?;
        let closed = other.owner_status(&scene.owner()).await?.owner.closed_at;
        same("when the owner was closed", &closed, &Some(at(1).as_millis()))?;
        let (events, seen) = (one.events(&scene).await?, other.events(&scene).await?);
        same("the events that the other handle reads", &seen, &events)?;
        same("their number", &seen.len(), &3)?;
    }
    Ok(())
}

pub(crate) async fn a_guard_sees_what_the_other_wrote(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(4) {
        let scene = Scene::new()?;
        let issue = |guard: Guard| Ok::<_, Unmet>(Change { guards: vec![guard], ..scene.insert([&scene.key()?]) });
        let active = || issue(Guard::OwnerActive(scene.owner()));
        let owner = |step| scene.change(at(1), vec![Write::Owner(scene.owner(), step)]);
        // Each guard is tested before and after, so that an old answer shows.
        other.written(&active()?).await?;
        one.written(&owner(OwnerChange::Suspend(Suspension::Plan))).await?;
        conflicts("a key of an owner suspended elsewhere", other.apply(&active()?).await, Conflict::Guard(0))?;
        one.written(&owner(OwnerChange::Reinstate(Suspension::Plan))).await?;
        other.written(&active()?).await?;

        let key = scene.key()?;
        one.written(&scene.insert([&key])).await?;
        conflicts("an id taken elsewhere", other.apply(&scene.insert([&key])).await, Conflict::IdTaken)?;
        other.written(&scene.change(at(1), vec![key.rename(1, "two")])).await?;
        one.written(&scene.change(at(1), vec![key.rename(2, "three")])).await?;
        let late = scene.change(at(1), vec![key.rename(2, "late")]);
        conflicts("an update of what was updated elsewhere", other.apply(&late).await, Conflict::Version)?;

        other.written(&issue(Guard::NoLiveSuccessor(key.id))?).await?;
        let heir = scene.key()?.with(|row| row.replaces = Some(key.row.id.clone()));
        one.written(&scene.insert([&heir])).await?;
        let second = issue(Guard::NoLiveSuccessor(key.id))?;
        conflicts("a successor beside one from elsewhere", other.apply(&second).await, Conflict::Successor)?;

        other.written(&issue(Guard::Live(key.id))?).await?;
        one.written(&scene.change(at(1), vec![key.revoke()])).await?;
        let guarded = issue(Guard::Live(key.id))?;
        conflicts("a guard on a key revoked elsewhere", other.apply(&guarded).await, Conflict::Guard(0))?;
        let update = scene.change(at(2), vec![key.rename(3, "four")]);
        conflicts("an update of a key revoked elsewhere", other.apply(&update).await, Conflict::Revoked)?;
        let again = other.effects(&scene.change(at(2), vec![key.revoke()])).await?;
        same("the second of two revocations", &again, &vec![Effect::Unchanged])?;
    }
    Ok(())
}

pub(crate) async fn what_was_done_is_known_to_both(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(4) {
        let scene = Scene::new()?;
        let key = scene.key()?;
        let change =
            Change { idempotency: Some(scene.request()), ..scene.change(at(1), vec![key.insert(), key.revoke()]) };
        one.written(&change).await?;
        let again = Change { idempotency: change.idempotency.clone(), ..scene.insert([&scene.key()?]) };
        let used = Conflict::IdempotencyKeyUsed { key: Some(key.id), same_request: true };
        conflicts("an idempotency key used elsewhere", other.apply(&again).await, used)?;
        other.written(&change).await?;
        same("the number of events", &other.events(&scene).await?.len(), &2)?;
        let rows = vec![usage::row(&key, "success", "", 3, 1, 1)];
        let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: Vec::new() };
        one.record(&batch).await?;
        other.record(&batch).await?;
        same("the count of a batch recorded through both", &other.usage(&scene).await?.successes, &3)?;
        let name = scene.word();
        one.put_meta(&name, b"blue").await?;
        same("what stands under a name", &other.put_meta(&name, b"red").await?, &b"blue".to_vec())?;
    }
    Ok(())
}

pub(crate) async fn both_tell_one_head(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(4) {
        let scene = Scene::new()?;
        let key = scene.key()?;
        let before = one.head_if_tracked().await?;
        same("the head that the other handle tells", &other.head_if_tracked().await?, &before)?;
        one.written(&scene.insert([&key])).await?;
        one.written(&scene.change(at(1), vec![key.revoke()])).await?;
        let after = other.head_if_tracked().await?;
        ensure("another head after a revocation through the other handle", after.is_none() || after != before, after)?;
        same("the head of the handle that wrote", &one.head_if_tracked().await?, &after)?;
        for handle in [one, other] {
            let now = handle.subject().try_head();
            ensure("`try_head` to be none or the same head", now.is_none() || now == after, (now, after))?;
        }
    }
    Ok(())
}

pub(crate) async fn changes_through_both_are_in_one_log(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(2) {
        let scene = Scene::new()?;
        let keys = scene.keys(6)?;
        one.written(&scene.insert(&keys)).await?;
        let before = one.head().await?;
        for (writer, key) in [one, other].into_iter().cycle().zip(&keys) {
            writer.written(&scene.change(at(1), vec![key.revoke()])).await?;
        }
        let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Admin));
        other.written(&scene.change(at(1), vec![suspension])).await?;
        let expected: Vec<KeyId> = keys.iter().map(|key| key.id).collect();
        for reader in [one, other] {
            let changes = reader.since(Some(before)).await?;
            if let Changes::Changed { keys: told, .. } = &changes {
                let mine = last_of_each(told.iter().filter(|id| expected.contains(id)).copied());
                same("the keys revoked through both handles in turn", &mine, &expected)?;
            }
            let news = News::of(changes)?;
            let all = expected.iter().all(|id| news.tells_of_key(id)) && news.tells_of_owner(&scene.owner());
            ensure("every change through either handle to be in the log", all, &news)?;
        }
    }
    Ok(())
}
