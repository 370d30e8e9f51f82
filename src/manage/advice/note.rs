use std::fmt;

use serde::Serialize;

use crate::{
    sentence::{Sentence, joined},
    words::words,
};

/// One thing to know about a key before it is made.
///
/// ```
/// # fn example(preview: tower_api_keys::manage::Preview) {
/// for note in &preview.notes {
///     println!("{}: {note}", note.severity);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PreviewNote {
    /// What it is about.
    pub kind: NoteKind,
    /// How much it matters.
    pub severity: Severity,
    /// A sentence for people.
    pub sentence: Sentence,
    /// What would change it, as a sentence, if something would.
    pub remedy: Option<Sentence>,
}

/// The sentence, then what would change it.
impl fmt::Display for PreviewNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined([&self.sentence].into_iter().chain(&self.remedy)))
    }
}

words! {
    /// How much a [`PreviewNote`] matters.
    ///
    /// ```
    /// use tower_api_keys::manage::Severity;
    ///
    /// assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Info);
    /// ```
    pub enum Severity {
        /// The key cannot be made like this.
        Error = "error",
        /// It may surprise later.
        Warning = "warning",
        /// It is only information.
        Info = "info",
    }
}

words! {
    /// What a [`PreviewNote`] is about.
    ///
    /// ```
    /// use tower_api_keys::manage::NoteKind;
    ///
    /// assert_ne!(NoteKind::DiesWithPerson, NoteKind::OutlivesCreator);
    /// ```
    #[non_exhaustive]
    pub enum NoteKind {
        /// The actor may not make it.
        Denied = "denied",
        /// A personal key stops when its person is suspended or leaves.
        DiesWithPerson = "dies_with_person",
        /// It has an end.
        Expires = "expires",
        /// Its expiry is not in the future.
        ExpiryPast = "expiry_past",
        /// Its expiry is later than the service allows for such a key.
        ExpiryTooLate = "expiry_too_late",
        /// The idempotency key breaks its rule.
        InvalidIdempotencyKey = "invalid_idempotency_key",
        /// The labels break a rule.
        InvalidLabels = "invalid_labels",
        /// The name breaks a rule.
        InvalidName = "invalid_name",
        /// The text about who is responsible breaks a rule.
        InvalidResponsible = "invalid_responsible",
        /// There are too many scopes.
        InvalidScopes = "invalid_scopes",
        /// An admin makes it for another person, and sees its text.
        MadeForSomebodyElse = "made_for_somebody_else",
        /// It may manage keys.
        ManagesKeys = "manages_keys",
        /// It may not manage keys.
        ManagesNoKeys = "manages_no_keys",
        /// It may be used from certain networks only.
        NetworksLimited = "networks_limited",
        /// It has a list of networks, but this service does not check the addresses of requests.
        NetworksUnchecked = "networks_unchecked",
        /// It has no scopes.
        NoScopes = "no_scopes",
        /// The user or team is closed.
        OwnerClosed = "owner_closed",
        /// The person has left, and was neither suspended nor closed.
        OwnerLeft = "owner_left",
        /// The plan no longer includes keys of the user or team.
        OwnerPlanSuspended = "owner_plan_suspended",
        /// An admin suspended the user or team.
        OwnerSuspended = "owner_suspended",
        /// The directory knows no such user or team, and it was neither suspended nor closed.
        OwnerUnknown = "owner_unknown",
        /// A team key still works after its creator leaves.
        OutlivesCreator = "outlives_creator",
        /// What it reaches, and what it does not.
        Reach = "reach",
        /// Live keys of its owner have the same name.
        SameName = "same_name",
        /// It has only the named scopes.
        ScopesLimited = "scopes_limited",
        /// It sounds like one person's key.
        ShouldBePersonalKey = "should_be_personal_key",
        /// It sounds like CI, a schedule, a webhook or a shared host, and the plan does not include team keys.
        ShouldBeServiceUserKey = "should_be_service_user_key",
        /// It sounds like CI, a schedule, a webhook or a shared host.
        ShouldBeTeamKey = "should_be_team_key",
        /// Its text is shown once.
        ShownOnce = "shown_once",
        /// A team key is refused while the team is suspended.
        SuspendedWithTeam = "suspended_with_team",
        /// It has a scope that the service does not know.
        UnknownScope = "unknown_scope",
        /// Who can use it.
        WhoCanUse = "who_can_use",
    }
}
