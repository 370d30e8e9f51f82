//! The keys that people made before you came.

use std::error::Error;

use tower_api_keys::{ApiKeys, IssueKey, KeyManager, OrganizationId, TeamId, UserId, manage::ListKeys, store::Ledger};

use crate::{
    accounts::{PEOPLE, Plan},
    glue::actor,
    jobs::Jobs,
};

/// Issues them to a store without keys, and installs some in the jobs.
pub async fn issue(keys: &ApiKeys<impl Ledger>, jobs: &Jobs) -> Result<(), Box<dyn Error>> {
    let manager = keys.manager_for(OrganizationId::new("acme")?);
    if !manager.list(ListKeys::all(), &person("olga")?).await?.keys.is_empty() {
        return Ok(());
    }
    let (engineering, support) = (TeamId::new("engineering")?, TeamId::new("support")?);
    let team = |name: &str| IssueKey::team(engineering.clone()).named(name);
    let own = |name: &str| Ok::<_, Box<dyn Error>>(IssueKey::user(UserId::new("alice")?).named(name));
    for (by, request) in [
        ("olga", IssueKey::team(support).named("Ticket import - nightly")),
        ("alice", team("key1")),
        ("bob", team("Monday cron").labelled("installed-in", "the scheduler")),
        ("alice", team("GitHub Actions - production").labelled("ticket", "OPS-1234")),
        ("alice", own("old laptop script")?),
        ("alice", own("cursor-macbook-alice")?),
    ] {
        one(&manager, by, request, jobs).await?;
    }
    Ok(())
}

async fn one(manager: &KeyManager, by: &str, request: IssueKey, jobs: &Jobs) -> Result<(), Box<dyn Error>> {
    let issued = manager.issue(request, &person(by)?).await?;
    if let Some(job) = jobs.named(issued.info().name.as_str()) {
        job.install(issued.plaintext().expose_secret());
    }
    Ok(())
}

/// A person of acme, also one who has left since.
fn person(id: &str) -> Result<tower_api_keys::Actor, Box<dyn Error>> {
    let person = PEOPLE.iter().find(|person| (person.customer, person.id) == ("acme", id));
    Ok(actor(person.ok_or("there is no such person")?, Plan::Business)?)
}
