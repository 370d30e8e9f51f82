use std::net::IpAddr;

/// Programs with which people try keys by hand, by the name of their user agents, in lower case. That one of them used a
/// key does not say that the key is installed in one more place.
const HAND_TOOLS: &str = "\
    altair bruno bruno-runtime curl graphiql hoppscotch httpie insomnia mozilla paw postman \
    postmanruntime powershell rest-client thunder-client vscode-restclient wget windowspowershell xh yaak";

/// Words in the names of programs that run without a person: continuous integration, schedulers, webhooks, hosts of code
/// and automation.
const UNATTENDED: &str = "\
    actions airflow ansible appengine argo argocd atlantis automation azuredevops batch bitbucket bot buildkite ci \
    circleci cloudflare cloudrun cron cronjob dagster daemon deploy deployer dependabot drone eventbridge fivetran \
    gitea gitlab hookshot ifttt integromat jenkins job jobs k8s kube kubernetes lambda make n8n netlify nomad pipedream \
    pipeline prefect prometheus renovate retool runner scheduler slackbot svix systemd teamcity temporal terraform \
    tray travis vercel webhook webhooks windmill worker workers workato zapier";

/// The client of folded sources, see [`crate::usage`].
const OTHER: &str = "other";

/// The program, or address, that called: the part of a source behind the label of the layer. Empty if there is none.
///
/// A product of a user agent has no `/` in it; of what the embedder's own function says, only a network
/// (`203.0.113.0/24`) has one.
pub(super) fn client(source: &str) -> &str {
    let Some((head, last)) = source.rsplit_once('/') else { return source };
    let network_at = head.rfind('/').map_or(0, |slash| slash + 1);
    let is_network =
        last.parse::<u8>().is_ok() && head.get(network_at..).is_some_and(|ip| ip.parse::<IpAddr>().is_ok());
    if is_network { source.get(network_at..).unwrap_or(last) } else { last }
}

/// Whether a client stands for all that were too many to tell apart.
pub(super) fn stands_for_many(client: &str) -> bool {
    client == OTHER
}

/// Whether people try keys with it by hand.
pub(super) fn is_hand_tool(client: &str) -> bool {
    let client = client.to_lowercase();
    HAND_TOOLS.split(' ').any(|tool| tool == client)
}

/// Whether it runs without a person, as far as its name says.
pub(super) fn is_unattended(client: &str) -> bool {
    let client = client.to_lowercase();
    let mut words = client.split(|c: char| !c.is_alphanumeric());
    words.any(|word| UNATTENDED.split(' ').any(|unattended| unattended == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_what_stands_behind_the_label() {
        for (source, expected) in [
            ("", ""),
            ("curl", "curl"),
            ("intake/curl", "curl"),
            ("v1/intake/curl", "curl"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("intake/203.0.113.0/24", "203.0.113.0/24"),
            ("intake/2001:db8::/48", "2001:db8::/48"),
            ("intake/24", "24"),
            ("intake/203.0.113.9", "203.0.113.9"),
            ("203.0.113.0/curl", "curl"),
            ("/", ""),
        ] {
            assert_eq!(client(source), expected, "{source}");
        }
    }

    #[test]
    fn programs_without_a_person_are_known_by_words_of_their_names() {
        for name in [
            "GitHub-Hookshot",
            "GitLab",
            "gitlab-runner",
            "Jenkins",
            "CircleCI",
            "buildkite-agent",
            "Bitbucket-Webhooks",
            "Zapier",
            "n8n",
            "Google-Cloud-Scheduler",
            "kube-probe",
            "Airflow",
            "Terraform",
            "dependabot",
            "vercel-cron",
            "actions",
            "nightly-job",
            "acme_deploy",
            "Svix-Webhooks",
        ] {
            assert!(is_unattended(name), "{name}");
        }
        for name in [
            "",
            "curl",
            "python-requests",
            "axios",
            "Go-http-client",
            "Mozilla",
            "okhttp",
            "reqwest",
            "node-fetch",
            "Postman",
            "robotics",
            "citrus",
            "maker",
            "203.0.113.0/24",
            "vscode",
            "cursor",
        ] {
            assert!(!is_unattended(name), "{name}");
        }
    }

    #[test]
    fn tools_of_hands_are_known_by_their_names() {
        for name in ["curl", "Wget", "HTTPie", "PostmanRuntime", "insomnia", "Mozilla"] {
            assert!(is_hand_tool(name), "{name}");
        }
        for name in ["", "curly", "python-requests", "GitHub-Hookshot"] {
            assert!(!is_hand_tool(name), "{name}");
        }
    }
}
