use std::sync::LazyLock;

use super::pattern::KeyUse;
use crate::usage::{Parts, Source};

/// Programs that reveal how a caller uses a key: product names, in lower case and with letters and digits only. A name
/// of five or more characters also matches as the beginning of a longer one: `GitHubActionsRunner-linux-x64`,
/// `PostmanRuntime`.
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

/// The same names one by one.
static NAMES: LazyLock<Vec<(KeyUse, &str)>> = LazyLock::new(|| {
    PROGRAMS.iter().flat_map(|(of, names)| names.split_ascii_whitespace().map(|name| (*of, name))).collect()
});

/// Browsers: a person, or a program that claims to be a browser. Nearly every browser begins with the first of these
/// words.
const BROWSERS: &[&str] = &["mozilla", "chrome", "firefox", "safari", "opera"];

/// Command-line tools; one person may have several of them on one machine.
const HAND_TOOLS: &[&str] = &["curl", "wget", "xh", "libcurl"];

/// What a source says about the program that called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client<'a> {
    /// Nothing is known.
    None,
    /// Too many to tell apart.
    Other,
    Program(&'a str),
}

/// What a program says about the person or system that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// A browser, or a program that claims to be one.
    Browser,
    /// Used in a terminal and in scripts alike.
    HandTool,
    /// A library, or an unknown program.
    Library,
    /// A program with a known use.
    Known(KeyUse),
}

impl<'a> Client<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        match source.client() {
            "" => Self::None,
            _ if source.is_other() => Self::Other,
            program => Self::Program(program),
        }
    }
}

/// The caller behind a source: a client whose network changes is one caller. Without a client, only the network
/// separates callers.
pub(super) fn caller(source: &Source) -> Source {
    if source.client().is_empty() {
        return source.clone();
    }
    Source::of_parts(Parts { network: "", ..source.parts() })
}

/// What is known of a program of this name.
pub(super) fn program(name: &str) -> Program {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is = |known: &str| name == known || (known.len() >= 5 && name.starts_with(known));
    if let Some((of, _)) = NAMES.iter().find(|(_, name)| is(name)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_roams_is_one_caller() {
        use Client::{None as Nobody, Other, Program};
        for ([label, client, network], told, is) in [
            (["", "", ""], "", Nobody),
            (["api", "curl", ""], "api/curl", Program("curl")),
            (["", "curl", ""], "curl", Program("curl")),
            (["api", "", ""], "api", Nobody),
            (["api", "other", ""], "api/other", Other),
            (["", "other", ""], "other", Other),
            (["", "", "203.0.113.0/24"], "203.0.113.0/24", Nobody),
            (["api", "", "2001:db8:7::/48"], "api/2001:db8:7::/48", Nobody),
            (["", "curl", "203.0.113.0/24"], "curl", Program("curl")),
            (["v1/api", "curl", "2001:db8:7::/48"], "v1/api/curl", Program("curl")),
            (["api", "ci@build", "203.0.113.9"], "api/ci@build", Program("ci@build")),
        ] {
            let source = Source::of_parts(Parts { label, client, network });
            assert_eq!((caller(&source).to_string().as_str(), Client::of(&source)), (told, is), "{source}");
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
