use crate::{owner::KeyKind, sentence::told_words};

told_words! {
    /// How a key is used. Each use calls for a personal key or a team key:
    ///
    /// | use | key |
    /// |---|---|
    /// | editor session, laptop experiment | personal |
    /// | CI deploy, scheduled job, shared host, webhook handler | team |
    ///
    /// ```
    /// use tower_api_keys::{KeyKind, manage::KeyUse};
    ///
    /// assert_eq!(KeyUse::EditorSession.key_kind(), KeyKind::User);
    /// assert_eq!(KeyUse::ScheduledJob.key_kind(), KeyKind::Team);
    /// assert_eq!(KeyUse::ScheduledJob.phrase(), "a scheduled job");
    /// ```
    #[non_exhaustive]
    pub enum KeyUse as "key_use",
    /// The use in a few words: `a scheduled job`.
    pub phrase {
        /// A pipeline builds, tests or deploys.
        CiDeploy = "ci_deploy": "a CI or deploy pipeline",
        /// A person works in an editor, with a client for APIs, or in a browser.
        EditorSession = "editor_session": "an editor or a client that a person uses",
        /// A person tries something out.
        LaptopExperiment = "laptop_experiment": "an experiment on somebody's machine",
        /// Something runs on a schedule.
        ScheduledJob = "scheduled_job": "a scheduled job",
        /// One or more machines that serve more than one person.
        SharedHost = "shared_host": "a host or service that several people or programs share",
        /// Another service calls when something happens.
        WebhookHandler = "webhook_handler": "a webhook handler",
    }
}

impl KeyUse {
    /// The kind of key that fits.
    #[must_use]
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::EditorSession | Self::LaptopExperiment => KeyKind::User,
            Self::CiDeploy | Self::ScheduledJob | Self::SharedHost | Self::WebhookHandler => KeyKind::Team,
        }
    }
}
