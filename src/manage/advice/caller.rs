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

/// Who calls, as far as a source tells: `<label>/<client>`, one of the two, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller<'a> {
    /// The door of the service; a word alone may be that or a client.
    pub(super) label: &'a str,
    pub(super) client: Client<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client<'a> {
    /// Nothing is known.
    None,
    /// An address, or a network of addresses.
    Network(&'a str),
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
        let (label, client) = split(source);
        let client = match client {
            "" => Client::None,
            OTHER => Client::Other,
            network if is_network(network) => Client::Network(network),
            program => Client::Program(program),
        };
        Self { label, client }
    }
}

/// Label and client. A network has a stroke in it itself: the label ends before that.
fn split(source: &str) -> (&str, &str) {
    if is_network(source) {
        return ("", source);
    }
    let at_strokes = source.match_indices('/').filter_map(|(at, _)| Some((source.get(..at)?, source.get(at + 1..)?)));
    let network = at_strokes.into_iter().find(|(_, rest)| is_network(rest));
    network.or_else(|| source.rsplit_once('/')).unwrap_or((source, source))
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
        let caller = |label, client| Caller { label, client };
        for (source, expected) in [
            ("", caller("", Client::None)),
            ("api/curl", caller("api", Client::Program("curl"))),
            ("curl", caller("curl", Client::Program("curl"))),
            ("api/other", caller("api", Client::Other)),
            ("other", caller("other", Client::Other)),
            ("v1/api/curl", caller("v1/api", Client::Program("curl"))),
            ("203.0.113.0/24", caller("", Client::Network("203.0.113.0/24"))),
            ("api/203.0.113.0/24", caller("api", Client::Network("203.0.113.0/24"))),
            ("api/2001:db8:7::/48", caller("api", Client::Network("2001:db8:7::/48"))),
            ("v1/api/203.0.113.9", caller("v1/api", Client::Network("203.0.113.9"))),
            ("ä/ö", caller("ä", Client::Program("ö"))),
            ("api/", caller("api", Client::None)),
        ] {
            assert_eq!(Caller::of(source), expected, "{source}");
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
