use std::fmt;

use serde::Serialize;

use crate::owner::KeyKind;

/// How a key is used: the rows of the table by which people choose between a personal key and a team key.
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
/// assert_eq!(KeyUse::ScheduledJob.to_string(), "a scheduled job");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyUse {
    /// A pipeline builds, tests or deploys.
    CiDeploy,
    /// A person works in an editor, with a client for APIs, or in a browser.
    EditorSession,
    /// A person tries something out.
    LaptopExperiment,
    /// Something runs by the clock.
    ScheduledJob,
    /// A machine, or several, that serve more than one person.
    SharedHost,
    /// Another service calls when something happens.
    WebhookHandler,
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

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CiDeploy => "a CI or deploy pipeline",
            Self::EditorSession => "an editor or a client that a person uses",
            Self::LaptopExperiment => "an experiment on somebody's machine",
            Self::ScheduledJob => "a scheduled job",
            Self::SharedHost => "a host or a service that several share",
            Self::WebhookHandler => "a webhook handler",
        })
    }
}
