use super::{bench, call, entries, row};
use crate::{
    manage::{InventoryQuery, KeyFlag},
    record::KeyRow,
};

/// Names as real teams give them.
const GOOD: [&str; 44] = [
    "CI pipeline",
    "Monday cron",
    "gha-deploy-main",
    "GitHub Actions - production",
    "gitlab-ci-staging",
    "Jenkins nightly build",
    "CircleCI orb publish",
    "terraform-prod",
    "ArgoCD sync",
    "billing webhook",
    "Stripe intake",
    "PagerDuty → incident intake",
    "Zapier lead import",
    "n8n onboarding flow",
    "Salesforce sync (prod)",
    "HubSpot export",
    "dbt Cloud job 4411",
    "airflow: daily revenue",
    "data-eng/backfill",
    "Snowflake loader eu-west-1",
    "k8s cluster blue",
    "edge-worker-fra1",
    "lambda resize-images",
    "mobile app beta 3",
    "iOS TestFlight",
    "Grafana dashboards",
    "Datadog synthetic checks",
    "uptime monitor",
    "release bot",
    "Dependabot alerts",
    "support desk macros",
    "Zendesk triage agent",
    "intake-form website",
    "docs search indexer",
    "Priya's laptop",
    "alice VS Code",
    "Marketing newsletter send",
    "Q3 migration script",
    "partner: Acme GmbH",
    "QA smoke tests",
    "staging load test",
    "Lager Hamburg Scanner",
    "請求書バッチ",
    "отчёты по понедельникам",
];

const BAD: [&str; 24] = [
    "key",
    "Key 1",
    "key1",
    "my key",
    "My API key",
    "api-key-2",
    "test",
    "Test 3",
    "testing",
    "new key",
    "new-token_v2",
    "tmp",
    "temp key",
    "foo",
    "asdf",
    "qwerty",
    "aaa",
    "1",
    "2024-01-01",
    "untitled",
    "copy of key",
    "team key",
    "todo",
    "default",
];

async fn flagged(name: &str) -> Vec<KeyFlag> {
    let bench = bench();
    let id = bench.plant_row(KeyRow { name: name.into(), ..row('A') }).await;
    call(&bench, &id, "success", "api/acme", 1).await;
    entries(&bench, InventoryQuery::all()).await.remove(0).flags
}

#[tokio::test]
async fn good_names_of_real_teams_are_not_flagged() {
    for name in GOOD {
        assert_eq!(flagged(name).await, [], "{name}");
    }
}

#[tokio::test]
async fn names_that_say_nothing_are_flagged() {
    for name in BAD {
        assert_eq!(flagged(name).await, [KeyFlag::VagueName], "{name}");
    }
}
