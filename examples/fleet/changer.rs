//! A task that revokes, rotates, suspends and reinstates, one after the other.

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::try_join_all;
use tokio::time::sleep;
use tower_api_keys::{IssuedKey, key::KeyId};

use crate::{
    change::{Change, begin_rotation, issue},
    judge::{Ban, Status},
    load::{Client, Fleet, Record, scattered},
};

/// The number of keys of each changer.
pub(crate) const SLOTS: usize = 16;

/// The number of keys of each owner.
const OWNED: usize = 4;

/// The number of kinds of change: revoke; rotate; suspend and reinstate.
const KINDS: usize = 3;

/// How long a suspension lasts, once every node has refused.
const SUSPENDED: Duration = Duration::from_millis(20);

/// The time between two changes of one changer. Applies only if requests are paced.
const BETWEEN: Duration = Duration::from_millis(200);

pub(crate) struct Changer {
    fleet: Arc<Fleet>,
    number: usize,
    /// One for each node.
    clients: Vec<Client>,
    keys: Vec<Key>,
    record: Record,
}

#[derive(Clone, Copy)]
struct Key {
    number: u32,
    id: KeyId,
}

impl Changer {
    /// Makes a changer whose keys every node knows.
    pub(crate) async fn prepare(fleet: Arc<Fleet>, number: usize) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let clients = try_join_all((0..fleet.nodes()).map(|node| Client::open(Arc::clone(&fleet), node))).await?;
        let mut changer = Self { fleet, number, clients, keys: Vec::new(), record: Record::default() };
        for slot in 0..SLOTS {
            let key = changer.new_key(slot).await?;
            changer.keys.push(key);
            changer.put(slot, key);
        }
        changer.clients.iter_mut().for_each(|client| client.answers.clear());
        Ok(changer)
    }

    pub(crate) async fn keep_changing(mut self) -> Result<Record, Box<dyn Error + Send + Sync>> {
        let mut round = 0;
        while round < KINDS || !self.fleet.is_done() {
            self.change(round).await?;
            if self.fleet.is_paced {
                sleep(BETWEEN).await;
            }
            round += 1;
            if round == KINDS {
                self.fleet.unready.fetch_sub(1, Ordering::Relaxed);
            }
        }
        for client in &mut self.clients {
            self.record.answers.append(&mut client.answers);
        }
        Ok(self.record)
    }

    async fn change(&mut self, round: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
        let slot = scattered((round * SLOTS + self.number) as u64) as usize % SLOTS;
        let key = *self.keys.get(slot).ok_or("there is no such slot")?;
        let turn = round / KINDS + self.number;
        let node = |other: usize| (turn % 2 == other).then_some(turn / 2 % self.fleet.nodes());
        let (one, other) = (node(0), node(1));
        self.attend_to(key);
        match round % KINDS {
            0 => {
                self.end(key, Change::Revoke(key.id), one).await?;
                let next = self.new_key(slot).await?;
                self.put(slot, next);
            }
            1 => {
                // Clients use the old key until every node has accepted the new one.
                let issued = begin_rotation(&self.fleet.keys.manager(), key.id).await?;
                let next = self.accepted_everywhere(issued).await?;
                self.end(key, Change::Finish(next.id), one).await?;
                self.put(slot, next);
            }
            _ => self.suspend_and_reinstate(slot, key, one, other).await?,
        }
        Ok(())
    }

    /// Makes the change that ends this key.
    async fn end(&mut self, key: Key, change: Change, by: Option<usize>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let begun = self.fleet.now();
        self.fleet.make(change, by).await?;
        let returned = self.fleet.now();
        self.refused_everywhere(key, returned).await?;
        self.record.bans.push((key.number, Ban { begun, returned, reinstated: None }));
        Ok(())
    }

    async fn suspend_and_reinstate(
        &mut self,
        slot: usize,
        key: Key,
        one: Option<usize>,
        other: Option<usize>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let owner = self.owner(slot);
        let begun = self.fleet.now();
        self.fleet.make(Change::Suspend(owner), one).await?;
        let returned = self.fleet.now();
        self.refused_everywhere(key, returned).await?;
        sleep(SUSPENDED).await;
        let reinstating = self.fleet.now();
        self.fleet.make(Change::Reinstate(owner), other).await?;
        let reinstated = Some((reinstating, self.fleet.now()));
        self.everywhere(key, Status::Accepted).await?;

        let owned = self.keys.chunks(OWNED).nth(slot / OWNED).into_iter().flatten();
        self.record.bans.extend(owned.map(|key| (key.number, Ban { begun, returned, reinstated })));
        Ok(())
    }

    async fn refused_everywhere(&mut self, key: Key, since: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let last = self.everywhere(key, Status::Refused).await?;
        self.record.delays.push(last.saturating_sub(since));
        Ok(())
    }

    /// Returns when the last node gave this answer.
    async fn everywhere(&mut self, key: Key, status: Status) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let answers = self.clients.iter_mut().map(|client| client.until(key.number, status));
        Ok(try_join_all(answers).await?.into_iter().max().unwrap_or_default())
    }

    /// A key that every node has accepted.
    async fn new_key(&mut self, slot: usize) -> Result<Key, Box<dyn Error + Send + Sync>> {
        let issued = issue(&self.fleet.keys.manager(), self.owner(slot)).await?;
        self.accepted_everywhere(issued).await
    }

    async fn accepted_everywhere(&mut self, issued: IssuedKey) -> Result<Key, Box<dyn Error + Send + Sync>> {
        let key = Key { number: self.fleet.add(issued.plaintext().expose_secret()), id: issued.info().id };
        self.everywhere(key, Status::Accepted).await?;
        Ok(key)
    }

    fn put(&mut self, slot: usize, key: Key) {
        self.keys.get_mut(slot).into_iter().for_each(|old| *old = key);
        let everyone = self.fleet.slots.get(self.number * SLOTS + slot);
        everyone.into_iter().for_each(|slot| slot.store(key.number, Ordering::Relaxed));
    }

    /// Makes other clients send requests with this key.
    fn attend_to(&self, key: Key) {
        let victim = self.fleet.victims.get(self.number);
        victim.into_iter().for_each(|victim| victim.store(key.number, Ordering::Relaxed));
    }

    fn owner(&self, slot: usize) -> u64 {
        ((self.number * SLOTS + slot) / OWNED) as u64
    }
}
