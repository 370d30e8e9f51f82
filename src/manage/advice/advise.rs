use super::{
    note::NoteKind,
    preview::{Findings, Preview, preview},
    recommendation::Advice,
    said, signals,
};
use crate::{
    key::KeyId,
    manage::{
        access::{Access, Gift, LARGEST_PAGE, ManagerParts, Sight, Unseen},
        actor::Actor,
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        info::made_by_another,
        invalid::InvalidInput,
        manager::{KeyManager, is_idempotency_key},
        names::{Mentions, Names},
        policy::{Decision, KeyAction, Target},
        request::IssueKey,
        soon::rotation_due,
    },
    owner::Owner,
    record::{KeyName, Labels, OwnerStatus, Responsible},
    sentence::Sentence,
    store::{KeyQuery, Liveness},
    time::Timestamp,
};

impl KeyManager {
    /// Whether a personal key should be a team key, or a team key a personal one, and why: judged by where and how
    /// often it is used, then by its name and labels. [`Advice`] documents the rules.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: not found, denied (an actor that may not see the usage), corrupt record, store unavailable.
    pub async fn advise(&self, id: &KeyId, actor: &Actor) -> Result<Advice, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let (record, _) = access.key(id, KeyAction::SeeUsage).await?;
        let usage = access.usage_of_one(id).await?;
        let now = access.parts.clock.now();
        let advised = signals::AdvisedKey::new(&record, now, access.actor.has_team_keys());
        let advice = signals::advise(&advised, &usage, now);
        let due = access.parts.rules.lifetimes.rotation_due_since(&record, now).filter(|_| record.is_live(now));
        let notes = due.map(rotation_due).into_iter().collect();
        Ok(Advice { notes, counted: Some(access.counted), ..advice })
    }

    /// What a key would be, before it is made: whether the actor may make it, what prevents it, and what would surprise
    /// later. Makes nothing and hashes nothing.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: not found (an owner that the actor may not know of), corrupt record (of the owner, or of
    /// the user or team that the actor acts for), directory unavailable, store unavailable. What [`issue`](Self::issue)
    /// would refuse is in the answer, including that the actor is suspended or closed, or its key dead.
    pub async fn preview(&self, request: &IssueKey, actor: &Actor) -> Result<Preview, ManageError> {
        let now = self.parts().clock.now();
        let kind_and_scopes = (request.owner.kind(), &request.scopes);
        let end = self.parts().rules.lifetimes.end(kind_and_scopes, request.expires_at, now);
        let expires_at = end.as_ref().map_or(request.expires_at, |end| *end);
        let target = Target::NewKey { owner: &request.owner, scopes: &request.scopes, expires_at };
        let decision = self.can(actor, KeyAction::Issue, &target).await?;
        if decision == Decision::Hide {
            return Err(ManageError::not_found());
        }
        let may_see = self.can(actor, KeyAction::See, &Target::Owner(&request.owner)).await? == Decision::Allow;
        // An actor that may make keys for the owner would learn the same by trying.
        let may_know = decision == Decision::Allow || may_see;
        let maker = actor.id();
        let maker = made_by_another(&request.owner, &maker).filter(|_| decision == Decision::Allow).cloned();
        let (mut owner, mut unfit, mut same_name, mut names) = (OwnerStatus::default(), None, 0, Names::none());
        if may_know {
            let wants = [if decision == Decision::Allow { KeyAction::Issue } else { KeyAction::See }];
            match Access::hints(self.parts(), actor, &wants)?.entered(&wants).await {
                Ok(access) => {
                    owner = access.status_of(&request.owner).await?;
                    let may_see = may_see && access.lacks_scope(&[KeyAction::See]).is_none();
                    if may_see && !request.name.is_empty() {
                        same_name = access.live_keys_named(&request.name, &request.owner, now).await?;
                    }
                    unfit = access.unfit(request, expires_at);
                    let mention = |mentions: &mut Mentions| {
                        mentions.owner(&request.owner);
                        maker.iter().for_each(|maker| mentions.user(maker));
                    };
                    names = access.parts.names(mention).await;
                }
                // An actor that may not act learns that, and nothing about the owner.
                Err(error) => match error.kind() {
                    ManageErrorKind::Denied(denial) => unfit = Some(denial.reason()),
                    _ => return Err(error),
                },
            }
            // The denial already says why it may not.
            unfit = unfit.filter(|_| decision == Decision::Allow);
        }
        let denial = match decision {
            Decision::Deny(reason) => Some(self.denial(reason)),
            Decision::Allow | Decision::Hide => None,
        };
        let unfit = unfit.map(|reason| self.denial(reason));
        let mut invalid = invalid(self.parts(), request, now);
        invalid.extend(end.err().map(|error| (NoteKind::ExpiryTooLate, error.sentence())));
        let has_team_keys = actor.has_team_keys();
        let findings = Findings {
            decision,
            denial,
            unfit,
            owner,
            maker,
            has_team_keys,
            same_name,
            invalid,
            names,
            expires_at,
            now,
        };
        Ok(preview(request, findings))
    }
}

impl Access<'_> {
    /// How many live keys of this owner have this name, among the thousand that were made first.
    async fn live_keys_named(&self, name: &str, owner: &Owner, now: Timestamp) -> Result<usize, ManageError> {
        let query = KeyQuery {
            owners: vec![owner.clone()],
            liveness: Some(Liveness::Live),
            with_usage: false,
            limit: LARGEST_PAGE,
            ..KeyQuery::all(self.parts.organization.clone())
        };
        let (rows, _) = self.page(&query, now).await?;
        let is_seen = |row: &&Unseen| matches!(self.sight(*row), Sight::Seen(..));
        Ok(rows.iter().filter(|row| row.peek().key.name == name).filter(is_seen).count())
    }

    /// Why the actor would be denied although the policy allows it to give such a key.
    fn unfit(&self, request: &IssueKey, expires_at: Option<Timestamp>) -> Option<DenialReason> {
        self.lacks_scope(&[KeyAction::Issue]).or_else(|| self.excess(Gift::of(request, expires_at)))
    }
}

/// What is wrong with the request itself, all of it.
fn invalid(parts: &ManagerParts, request: &IssueKey, now: Timestamp) -> Vec<(NoteKind, Sentence)> {
    let mut found = Vec::new();
    if let Err(error) = KeyName::new(&request.name) {
        found.push((NoteKind::InvalidName, error.sentence()));
    }
    if let Some(Err(error)) = (!request.responsible.is_empty()).then(|| Responsible::new(&request.responsible)) {
        found.push((NoteKind::InvalidResponsible, error.sentence()));
    }
    if let Err(error) = Labels::new(request.labels.iter().cloned()) {
        found.push((NoteKind::InvalidLabels, error.sentence()));
    }
    if let Err(error) = parts.known_scopes(&request.scopes) {
        found.push(match parts.unknown_scope(&request.scopes) {
            Some(unknown) => (NoteKind::UnknownScope, said::unknown_scope(unknown.as_str())),
            None => (NoteKind::InvalidScopes, error.sentence()),
        });
    }
    if request.networks.is_some() && !parts.rules.finds_addresses {
        found.push((NoteKind::NetworksUnchecked, InvalidInput::NetworksUnchecked.sentence()));
    }
    if request.expires_at.is_some_and(|end| end <= now) {
        found.push((NoteKind::ExpiryPast, InvalidInput::ExpiryPast.sentence()));
    }
    if request.idempotency_key.as_ref().is_some_and(|key| !is_idempotency_key(key)) {
        found.push((NoteKind::InvalidIdempotencyKey, InvalidInput::IdempotencyKey.sentence()));
    }
    found
}
