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

/// Answers to a repeated request, by its idempotency key.
impl Access<'_> {
    /// The key that an earlier request made, if it exists and the actor may see it.
    pub(super) async fn made_before(&self, key: Option<KeyId>) -> Result<Option<KeyInfo>, ManageError> {
        let Some(id) = key else { return Ok(None) };
        Ok(self.row(&id).await?.and_then(|row| match self.sight(&row) {
            Sight::Seen(record, status) => Some(KeyInfo::new(*record, status, None, self.parts.clock.reading())),
            Sight::Hidden(_) | Sight::Unreadable(_) => None,
        }))
    }

    /// Replaces this error if the request was made before: the answer then says so. The key it made stays valid, even
    /// if it could no longer be made now.
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

    /// Asks the store by a change that can never be made: no owner has fewer than 0 keys, and no key has this version.
    /// The store checks the idempotency key before that. Returns what the store says about the idempotency key, or the
    /// other error.
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
