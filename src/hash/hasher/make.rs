//! New hashes: one run each, in the turns of the requesters.

use tokio::{sync::oneshot, time::timeout};

use super::{HASH_WAIT, Hasher};
use crate::{
    hash::{
        error::{HashError, HashErrorKind},
        job::{Job, Outcome},
        key_hash::KeyHash,
        params::Argon2Params,
        pepper::PepperId,
        pool::Refused,
        queue::{Queued, Urgency},
        turns::{NoTurn, Requester, Turn},
        work::{Output, Reply, Work},
    },
    random::random_bytes,
};

impl Hasher {
    pub(super) async fn make(
        &self,
        urgency: Urgency,
        requester: Option<Requester>,
        text: &str,
        params: Argon2Params,
        pepper: Option<PepperId>,
    ) -> Result<KeyHash, HashError> {
        let secrets = self.0.secrets.get(&pepper).ok_or(HashError::new(HashErrorKind::Corrupt))?;
        let salt = *random_bytes().map_err(|error| HashError::caused(HashErrorKind::Randomness, error))?;
        let not_done = |kind, waited| HashError::not_done(kind, waited, self.0.retry_after());
        let run = async {
            let turn = match requester {
                Some(requester) => Some(self.0.turns.take(requester).await.map_err(|none| match none {
                    NoTurn::All => not_done(HashErrorKind::Overloaded, None),
                    NoTurn::One => not_done(HashErrorKind::Crowded, None),
                })?),
                None => None,
            };
            self.queue(urgency, turn, self.0.work(secrets, params, text, salt))?
                .await
                .map_err(|error| HashError::caused(HashErrorKind::Failed, error))?
                .map_err(|error| HashError::caused(HashErrorKind::Failed, error))
        };
        let starved_before = self.0.pool.figures().starved;
        let output = timeout(HASH_WAIT, run).await.map_err(|_| {
            let starved = self.0.has_starved(starved_before, HASH_WAIT);
            not_done(if starved { HashErrorKind::Starved } else { HashErrorKind::Overloaded }, Some(HASH_WAIT))
        })??;
        let made = KeyHash::assemble(params, salt, *output, secrets.tag(text), pepper);
        Ok(secrets.proved(text, made))
    }

    fn queue(
        &self,
        urgency: Urgency,
        turn: Option<Turn>,
        work: Work,
    ) -> Result<oneshot::Receiver<Outcome<Output>>, HashError> {
        let (reply, receiver) = Reply::new();
        let make = || Queued::in_turn(Job::new(move |memory| work.run(memory), reply), turn);
        self.0.pool.submit(urgency, make).map_err(|refused| match refused {
            Refused::Full => HashError::not_done(HashErrorKind::Overloaded, None, self.0.retry_after()),
            Refused::NoThread(error) => HashError::caused(HashErrorKind::Failed, error),
        })?;
        Ok(receiver)
    }
}
