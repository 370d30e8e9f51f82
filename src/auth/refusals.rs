use std::sync::Arc;

use super::{
    AuthError, AuthErrorKind,
    authenticator::Inner,
    background::Tried,
    cache::Entry,
    ticket::{AnonymousUse, RefusalCounter, UsageTicket},
    whose::Whose,
};
use crate::{
    key::{KeyId, MalformedKey, MalformedReason},
    log::log,
    metering::CountedFor,
    outcome::RefusalCode,
    owner::OrganizationId,
    principal::WithClaims,
    store::KeyReader,
    usage::Origin,
};

impl<R: KeyReader> Inner<R> {
    /// A text with the id of a cached key and another secret: no key at all, or a wrong one.
    #[cold]
    pub(super) fn refuse_unproved(
        &self,
        candidate: &[u8],
        entry: &WithClaims<Entry>,
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
    ) -> AuthError {
        match self.format.parse(candidate) {
            Err(malformed) => {
                let named = Some(&entry.claims.owner.of.organization);
                self.refuse_malformed(malformed, origin, organization, named)
            }
            Ok(_) => self.refuse(AuthError::new(AuthErrorKind::Invalid), Whose::Key(Tried::of(&entry.claims)), origin),
        }
    }

    /// A text that does not have the parts of a key.
    #[cold]
    pub(super) fn refuse_shapeless(
        &self,
        candidate: &[u8],
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
    ) -> AuthError {
        let malformed = self.format.diagnosis(candidate);
        if !malformed.reason().leaves_an_id() {
            return self.refuse_malformed(malformed, origin, organization, None);
        }
        let entry = self.entry_named_in(candidate);
        let named = entry.as_ref().map(|entry| &entry.claims.owner.of.organization);
        self.refuse_malformed(malformed, origin, organization, named)
    }

    /// Counts the refusal of a text that is no key. `named` is the organization of the key whose id the text has in it,
    /// if that key is cached.
    pub(super) fn refuse_malformed(
        &self,
        malformed: MalformedKey,
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
        named: Option<&OrganizationId>,
    ) -> AuthError {
        let (code, reason) = (RefusalCode::MalformedKey, malformed.reason());
        self.count_without_key(code, Some(reason), origin, organization, named);
        log!(debug, code = code.as_str(), reason = reason.as_str(), "a key was refused");
        AuthError::malformed(malformed)
    }

    /// Counts a refusal on its way out, except that of a text that is no key.
    pub(super) fn refuse(&self, error: AuthError, whose: Whose<'_>, origin: Origin<'_>) -> AuthError {
        let code = error.kind().code();
        debug_assert_ne!(code, RefusalCode::MalformedKey, "its reason would not be counted");
        let key: Option<KeyId> = match &whose {
            Whose::Key(tried) => Some(tried.key),
            Whose::NoKey(_) => None,
        };
        self.meter.refused(code, None);
        match whose {
            Whose::NoKey(organization) => self.count(&self.without_key(organization), code, None, origin),
            Whose::Key(tried) => {
                self.count(&CountedFor::Key(tried.key), code, None, origin);
                if let Some(attempts) = &self.attempts {
                    attempts.refused(&tried, code, origin, self.clock.now());
                }
            }
        }
        if error.kind().is_temporary() {
            self.trouble.refused(&error, key);
        } else {
            log!(debug, code = code.as_str(), key = key.as_ref().map(KeyId::as_str), "a key was refused");
        }
        error
    }

    /// Counts a request that is refused because of its headers alone. `text` is what was there instead of a key.
    pub(super) fn count_unchecked(
        &self,
        code: RefusalCode,
        reason: Option<MalformedReason>,
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
        text: &[u8],
    ) {
        let entry = reason.filter(|reason| reason.leaves_an_id()).and_then(|_| self.entry_named_in(text));
        let named = entry.as_ref().map(|entry| &entry.claims.owner.of.organization);
        self.count_without_key(code, reason, origin, organization, named);
    }

    /// The cache entry of the key whose id is in this text. A refusal asks no store, and a stranger does not keep a key
    /// in the cache by naming it.
    #[inline(never)]
    fn entry_named_in(&self, text: &[u8]) -> Option<Arc<WithClaims<Entry>>> {
        if !self.has_several_organizations || self.usage.is_none() {
            return None;
        }
        self.cache.peek(self.format.id_in(text)?.as_bytes())
    }

    /// Counts a refusal without a key for each organization that it concerns: the one whose layer it came to, and the
    /// one whose key the text is part of. Never for that key: any caller that knows a public id could mark it. For
    /// both, because what the first sees must not depend on whether the second has such a key.
    fn count_without_key(
        &self,
        code: RefusalCode,
        reason: Option<MalformedReason>,
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
        named: Option<&OrganizationId>,
    ) {
        self.meter.refused(code, reason);
        let named = named.filter(|named| self.has_several_organizations && organization != Some(*named));
        if organization.is_some() || named.is_none() {
            self.count(&self.without_key(organization), code, reason, origin);
        }
        if named.is_some() {
            self.count(&self.without_key(named), code, reason, origin);
        }
    }

    /// What a refusal without a key is counted for. The only organization of a service is not named: every refusal
    /// concerns it.
    fn without_key(&self, organization: Option<&OrganizationId>) -> CountedFor {
        let is_named = |organization: &&OrganizationId| self.has_several_organizations || !organization.is_single();
        CountedFor::without_key(organization.filter(is_named))
    }

    fn count(&self, counted_for: &CountedFor, code: RefusalCode, reason: Option<MalformedReason>, origin: Origin<'_>) {
        if let Some(usage) = &self.usage {
            usage.refusal(counted_for, code, reason, origin, self.clock.now());
        }
    }
}

impl<R: KeyReader> RefusalCounter for Inner<R> {
    fn denied_downstream(&self, pass: &UsageTicket, code: RefusalCode) {
        if let Some(usage) = &self.usage {
            usage.denied_downstream(pass.key, code, &pass.seen, self.clock.now());
        }
    }

    fn anonymous_denied_downstream(&self, visit: &AnonymousUse, code: RefusalCode) {
        self.meter.refused(code, None);
        let counted_for = self.without_key(visit.organization.as_ref());
        self.count(&counted_for, code, None, Origin::Source(&visit.source));
    }
}
