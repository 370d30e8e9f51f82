use super::{Access, GuardRefusal, Sight, Wanted, WantedWrite};
use crate::{
    audit::{Action, Subject},
    key::KeyId,
    manage::{
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        policy::KeyAction,
    },
    owner::Owner,
    record::{Labels, labels_text},
    store::{Guard, IdempotentRequest, KeyUpdate, StoreError, Write},
};

/// What is told to whoever makes a request again, by its idempotency key.
impl Access<'_> {
    /// The key that an earlier request made, if it is there and the actor may see it.
    pub(super) async fn made_before(&self, key: Option<KeyId>) -> Result<Option<KeyInfo>, ManageError> {
        let Some(id) = key else { return Ok(None) };
        Ok(self.row(&id).await?.and_then(|row| match self.sight(&row) {
            Sight::Seen(record, status) => Some(KeyInfo::new(*record, status, None, self.parts.clock.reading())),
            Sight::Hidden(_) | Sight::Unreadable(_) => None,
        }))
    }

    /// What is told of this error to whoever may repeat a request: if the request was made before, that it was. What it
    /// made stands, also where by now nobody could make it any more.
    pub(in crate::manage) async fn or_replayed(
        &self,
        error: ManageError,
        idempotency: Option<IdempotentRequest>,
        (action, owner): (KeyAction, &Owner),
    ) -> ManageError {
        let is_of_this_moment = matches!(
            error.kind(),
            ManageErrorKind::Invalid(InvalidInput::ExpiryPast)
                | ManageErrorKind::KeyExpired
                | ManageErrorKind::KeyPaused
                | ManageErrorKind::KeyRevoked
                | ManageErrorKind::VersionDiffers { .. }
        );
        let Some(idempotency) = idempotency.filter(|_| is_of_this_moment) else { return error };
        match self.asked_before(idempotency, action, owner).await {
            Ok(told) => told,
            Err(_) => error,
        }
    }

    /// Asks the store by a change that it cannot make, because no owner has fewer keys than none and no key has this
    /// version: whether an idempotency key is used is looked at before. The error is that it is not, or a doubt.
    async fn asked_before(
        &self,
        idempotency: IdempotentRequest,
        action: KeyAction,
        owner: &Owner,
    ) -> Result<ManageError, ManageError> {
        let never = Guard::LiveKeysBelow { owner: self.owner_ref(owner), limit: 0 };
        let nobody = KeyId::new("AAAAAAAAAAAAAAAAAAAA").map_err(ManageError::corrupt)?;
        let write = WantedWrite {
            write: Write::Update(KeyUpdate {
                organization: self.parts.organization.clone(),
                id: nobody,
                expected_version: 0,
                name: String::new(),
                labels: labels_text(&Labels::default()),
                scopes: String::new(),
                allowed_networks: None,
                responsible: None,
                expires_at: None,
            }),
            action: Action::KEY_RENAMED,
            subject: Subject::Key(nobody, owner.clone()),
            before: None,
            after: None,
        };
        let guards = vec![(never, GuardRefusal::Kind(ManageErrorKind::Conflict))];
        let wanted =
            Wanted { guards, idempotency: Some(idempotency), ..Wanted::one(action, self.parts.clock.now(), write) };
        match self.apply(wanted).await {
            Err(told)
                if matches!(
                    told.kind(),
                    ManageErrorKind::IdempotencyKeyReused | ManageErrorKind::IdempotencyKeyUsed
                ) =>
            {
                Ok(told)
            }
            Err(other) => Err(other),
            Ok(_) => Err(StoreError::corrupt("a change was made that none can be").into()),
        }
    }
}
