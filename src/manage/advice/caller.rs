use std::net::IpAddr;

use super::pattern::KeyUse;

/// Programs by which a caller gives itself away: the names of their products, in lower case and without anything but
/// letters and digits. A name of five characters and more is also met as the beginning of a longer one:
/// `GitHubActionsRunner-linux-x64`, `PostmanRuntime`.
const PROGRAMS: &[(KeyUse, &str)] = &[
    (
        KeyUse::CiDeploy,
        "ansible argocd azuredevops azurepipelines bamboo bitbucketpipelines buildkite circleci codebuild concourse \
         droneci fluxcd githubactions gitlab gitlabci gitlabrunner gocd hashicorpterraform helm jenkins octopusdeploy \
         opentofu pulumi semaphoreci spinnaker teamcity tekton terraform travisci vstsagent woodpecker",
    ),
    (
        KeyUse::EditorSession,
        "bruno claudecli claudecode codexcli cursor emacs githubcopilot hoppscotch httpie insomnia intellij ipython \
         jetbrains jupyter neovim nvim paw postman pycharm rapidapi restclient rustrover thunderclient vim \
         visualstudiocode vscode webstorm windsurf xcode zed",
    ),
    (
        KeyUse::ScheduledJob,
        "airflow apacheairflow celery cronjob dagster googlecloudscheduler nomad prefect quartz rundeck sidekiq temporal",
    ),
    (
        KeyUse::SharedHost,
        "blackboxexporter datadog envoy grafana haproxy kubelet kubeprobe kubernetes newrelic nginx pingdom prometheus \
         telegraf traefik uptimekuma uptimerobot",
    ),
    (
        KeyUse::WebhookHandler,
        "amazoneventbridge bitbucketwebhooks githubhookshot googlepubsub n8n pagerduty sendgrid sentry shopify slackbot \
         stripe svix twilio zapier",
    ),
];

/// Browsers: a person, or a program that says so. Nearly every browser begins with the first of these words.
const BROWSERS: &[&str] = &["mozilla", "chrome", "firefox", "safari", "opera"];

/// Tools for a line of a terminal, of which a person may have several on one machine.
const HAND_TOOLS: &[&str] = &["curl", "wget", "xh", "libcurl"];

/// The client under which everything is counted that comes from too many sources to tell apart.
const OTHER: &str = "other";

/// Who calls, as far as a source tells: `<label>/<client>@<network>`, or some of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller<'a> {
    /// The source without the network of a client that it names: one client that roams is one caller.
    pub(super) name: &'a str,
    /// The door of the service; a word alone may be that or a client.
    pub(super) label: &'a str,
    pub(super) client: Client<'a>,
    /// An address, or a network of addresses.
    pub(super) network: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client<'a> {
    /// Nothing is known.
    None,
    /// Too many to tell apart.
    Other,
    Program(&'a str),
}

/// What a program tells of who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// A browser, or what says that it is one.
    Browser,
    /// Used in a terminal and in scripts alike.
    HandTool,
    /// A library, or something that is not known here.
    Library,
    /// One that is used so.
    Known(KeyUse),
}

impl<'a> Caller<'a> {
    pub(super) fn of(source: &'a str) -> Self {
        let (before, network) = split_network(source);
        let (name, (label, client)) = match before {
            Before::Client(name) => (name, name.rsplit_once('/').unwrap_or(("", name))),
            // Without a client, only the network tells one caller from another.
            Before::Label(label) => (source, (label, "")),
            Before::Either(name) => (name, name.rsplit_once('/').unwrap_or((name, name))),
        };
        let client = match client {
            "" => Client::None,
            OTHER => Client::Other,
            program => Client::Program(program),
        };
        Self { name, label, client, network }
    }
}

/// What stands before a network.
enum Before<'a> {
    /// A client, with or without a label.
    Client(&'a str),
    /// A label, or nothing.
    Label(&'a str),
    /// There is no network.
    Either(&'a str),
}

/// A network has a stroke in it itself, and begins behind the sign that is before that.
fn split_network(source: &str) -> (Before<'_>, Option<&str>) {
    if is_network(source) {
        return (Before::Label(""), Some(source));
    }
    let signs = source.match_indices(['/', '@']);
    let parts = signs.filter_map(|(at, sign)| Some((source.get(..at)?, sign, source.get(at + 1..)?)));
    match parts.into_iter().find(|(_, _, rest)| is_network(rest)) {
        Some((client, "@", network)) => (Before::Client(client), Some(network)),
        Some((label, _, network)) => (Before::Label(label), Some(network)),
        None => (Before::Either(source), None),
    }
}

/// What is known of a program of this name.
pub(super) fn program(name: &str) -> Program {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is = |known: &str| name == known || (known.len() >= 5 && name.starts_with(known));
    if let Some((of, _)) = PROGRAMS.iter().find(|(_, names)| names.split(' ').any(is)) {
        return Program::Known(*of);
    }
    if BROWSERS.iter().any(|known| is(known)) {
        Program::Browser
    } else if HAND_TOOLS.contains(&name.as_str()) {
        Program::HandTool
    } else {
        Program::Library
    }
}

/// An address, or one with the length of a network behind a stroke.
fn is_network(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    address.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok_and(|length| length <= 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_labels_and_clients() {
        use Client::{None as Nobody, Other, Program};
        for (source, name, label, client, network) in [
            ("", "", "", Nobody, None),
            ("api/curl", "api/curl", "api", Program("curl"), None),
            ("curl", "curl", "curl", Program("curl"), None),
            ("api/other", "api/other", "api", Other, None),
            ("other", "other", "other", Other, None),
            ("v1/api/curl", "v1/api/curl", "v1/api", Program("curl"), None),
            ("203.0.113.0/24", "203.0.113.0/24", "", Nobody, Some("203.0.113.0/24")),
            ("api/203.0.113.0/24", "api/203.0.113.0/24", "api", Nobody, Some("203.0.113.0/24")),
            ("api/2001:db8:7::/48", "api/2001:db8:7::/48", "api", Nobody, Some("2001:db8:7::/48")),
            ("v1/api/203.0.113.9", "v1/api/203.0.113.9", "v1/api", Nobody, Some("203.0.113.9")),
            ("curl@203.0.113.0/24", "curl", "", Program("curl"), Some("203.0.113.0/24")),
            ("api/curl@203.0.113.0/24", "api/curl", "api", Program("curl"), Some("203.0.113.0/24")),
            ("v1/api/curl@2001:db8:7::/48", "v1/api/curl", "v1/api", Program("curl"), Some("2001:db8:7::/48")),
            ("api/curl@2001:db8:7::9", "api/curl", "api", Program("curl"), Some("2001:db8:7::9")),
            ("api/ci@build@203.0.113.9", "api/ci@build", "api", Program("ci@build"), Some("203.0.113.9")),
            ("api/ci@build", "api/ci@build", "api", Program("ci@build"), None),
            ("ä/ö", "ä/ö", "ä", Program("ö"), None),
            ("api/", "api/", "api", Nobody, None),
        ] {
            assert_eq!(Caller::of(source), Caller { name, label, client, network }, "{source}");
        }
    }

    #[test]
    fn programs_are_known_by_their_products() {
        for (name, expected) in [
            ("GitHub-Actions", Program::Known(KeyUse::CiDeploy)),
            ("GitHubActionsRunner-linux-x64", Program::Known(KeyUse::CiDeploy)),
            ("gitlab-runner", Program::Known(KeyUse::CiDeploy)),
            ("GitHub-Hookshot", Program::Known(KeyUse::WebhookHandler)),
            ("PostmanRuntime", Program::Known(KeyUse::EditorSession)),
            ("vscode", Program::Known(KeyUse::EditorSession)),
            ("kube-probe", Program::Known(KeyUse::SharedHost)),
            ("Mozilla", Program::Browser),
            ("curl", Program::HandTool),
            ("python-requests", Program::Library),
            ("Go-http-client", Program::Library),
            ("vimeo", Program::Library),
            ("zedis", Program::Library),
            ("", Program::Library),
        ] {
            assert_eq!(program(name), expected, "{name}");
        }
    }
}
