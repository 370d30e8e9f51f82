use serde::Serialize;

/// One thing to know about a key before it is made.
///
/// ```
/// # fn example(preview: tower_api_keys::manage::Preview) {
/// for note in &preview.notes {
///     println!("{:?}: {}", note.severity, note.sentence);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviewNote {
    /// What it is about.
    pub kind: NoteKind,
    /// How much it matters.
    pub severity: Severity,
    /// A sentence for people.
    pub sentence: String,
}

/// How much a [`PreviewNote`] matters.
///
/// ```
/// use tower_api_keys::manage::Severity;
///
/// assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Info);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The key cannot be made so.
    Error,
    /// It may surprise later.
    Warning,
    /// It is so.
    Info,
}

/// What a [`PreviewNote`] is about.
///
/// ```
/// use tower_api_keys::manage::NoteKind;
///
/// assert_ne!(NoteKind::DiesWithPerson, NoteKind::OutlivesCreator);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoteKind {
    /// The actor may not make it.
    Denied,
    /// A personal key stops when its person is suspended or leaves.
    DiesWithPerson,
    /// It ends by itself.
    Expires,
    /// Its expiry is not in the future.
    ExpiryPast,
    /// A team key is refused while the team is held.
    HeldWithTeam,
    /// The idempotency key breaks its rule.
    InvalidIdempotencyKey,
    /// The labels break a rule.
    InvalidLabels,
    /// The name breaks a rule.
    InvalidName,
    /// There are too many scopes.
    InvalidScopes,
    /// It may manage keys.
    ManagesKeys,
    /// It may not manage keys.
    ManagesNoKeys,
    /// It has no scope at all.
    NoScopes,
    /// The user or team is closed.
    OwnerClosed,
    /// The user or team is suspended, or held by its plan.
    OwnerHeld,
    /// A team key goes on when whoever made it leaves.
    OutlivesCreator,
    /// What it reaches, and what not.
    Reach,
    /// Only named scopes.
    ScopesLimited,
    /// It sounds like one person's.
    ShouldBePersonalKey,
    /// It sounds like CI, a schedule, a webhook or a shared host.
    ShouldBeTeamKey,
    /// Its text is shown once.
    ShownOnce,
    /// A scope that the service does not know.
    UnknownScope,
    /// Who can use it.
    WhoCanUse,
}
