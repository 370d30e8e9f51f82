use std::{collections::HashMap, sync::LazyLock};

use super::pattern::KeyUse;
use crate::manage::lint::{NameAdvice, lint_name};

/// Words in a name or a label that say how a key is used, in lower case.
const WORDS: &[(KeyUse, &str)] = &[
    (
        KeyUse::CiDeploy,
        "actions argo argocd bamboo bitbucket build builder builds buildkite cd ci cicd circleci deploy deployer \
         deployment deploys drone gha github gitlab jenkins pipeline pipelines release releases runner runners teamcity \
         terraform travis workflow workflows",
    ),
    (
        KeyUse::EditorSession,
        "copilot cursor editor emacs httpie ide insomnia intellij jetbrains jupyter neovim notebook nvim postman pycharm \
         vim vscode windsurf zed",
    ),
    (
        KeyUse::LaptopExperiment,
        "curl debugging desktop experiment experimenting experiments hackathon laptop local localhost macbook mbp \
         playground poc prototype sandbox scratch spike thinkpad trying workstation",
    ),
    (
        KeyUse::ScheduledJob,
        "airflow backup backups batch cron cronjob cronjobs daily etl hourly job jobs monthly nightly periodic schedule \
         scheduled scheduler sync timer weekly",
    ),
    (
        KeyUse::SharedHost,
        "backend bot container daemon docker ec2 fleet gateway host hosts k8s kubernetes lambda prod production server \
         servers service services shared staging vm worker workers",
    ),
    (KeyUse::WebhookHandler, "callback callbacks hook hooks ingest intake listener webhook webhooks"),
];

/// The same words in a map, each with its place.
static PLACES: LazyLock<HashMap<&str, (usize, KeyUse)>> = LazyLock::new(|| {
    let words = WORDS.iter().flat_map(|(of, words)| words.split(' ').map(|word| (word, *of)));
    words.enumerate().map(|(place, (word, of))| (word, (place, of))).collect()
});

/// The uses that the words of a text suggest, each once with the first word for it, in the order of [`WORDS`].
pub(super) fn uses(text: &str) -> Vec<(KeyUse, &'static str)> {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    let mut found: Vec<_> = words.filter_map(|word| PLACES.get_key_value(word)).collect();
    found.sort_unstable_by_key(|(_, (place, _))| *place);
    found.dedup_by_key(|(_, (_, of))| *of);
    found.into_iter().map(|(word, (_, of))| (*of, *word)).collect()
}

/// The uses that a name suggests. A vague name, such as `test key`, suggests none.
pub(super) fn uses_of_name(name: &str) -> Vec<(KeyUse, &'static str)> {
    match lint_name(name) {
        Some(NameAdvice::Empty | NameAdvice::Vague) => Vec::new(),
        None => uses(name),
    }
}

/// Whether the label of a layer says that webhooks arrive there. The other words are no evidence in it: a layer called
/// `jobs` or `production` has that label for all keys.
pub(super) fn is_webhook_door(label: &str) -> bool {
    uses(label).iter().any(|(of, _)| *of == KeyUse::WebhookHandler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_key_is_used_for() {
        use KeyUse::{CiDeploy, EditorSession, LaptopExperiment, ScheduledJob, SharedHost, WebhookHandler};
        for (name, expected) in [
            ("CI pipeline", vec![CiDeploy]),
            ("Monday cron", vec![ScheduledJob]),
            ("gha-deploy-main", vec![CiDeploy]),
            ("GitHub Actions - production", vec![CiDeploy, SharedHost]),
            ("Alice's laptop", vec![LaptopExperiment]),
            ("VSCode", vec![EditorSession]),
            ("nightly backup", vec![ScheduledJob]),
            ("billing webhook", vec![WebhookHandler]),
            ("laptop deploy script", vec![CiDeploy, LaptopExperiment]),
            ("precision", vec![]),
            ("Cicero", vec![]),
            ("key 1", vec![]),
            ("", vec![]),
            ("夜間バッチ", vec![]),
        ] {
            let found: Vec<_> = uses_of_name(name).into_iter().map(|(of, _)| of).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn only_words_of_webhooks_make_a_door_one() {
        assert!(is_webhook_door("intake") && is_webhook_door("github-webhooks") && is_webhook_door("Hook"));
        assert!(!is_webhook_door("jobs") && !is_webhook_door("production") && !is_webhook_door("api"));
    }

    #[test]
    fn no_word_speaks_of_two_uses() {
        let mut words: Vec<_> = WORDS.iter().flat_map(|(_, words)| words.split(' ')).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
