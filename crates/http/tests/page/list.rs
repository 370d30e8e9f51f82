//! The list in each of its states.

use tower_api_keys::{
    IssueKey, Owner, Suspension, Timestamp,
    store::Ledger,
    usage::{UsageBatch, UsageRow},
};

use crate::support::{UNKNOWN, World, system, team, user};

#[tokio::test]
async fn an_admin_sees_both_sections_with_use_and_buttons() {
    let world = World::new().await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    world.issue(IssueKey::team(team("engineering")).named("Monday cron"), "bob").await;
    world.own_key("cursor-macbook-alex").await;
    world.call(&text, "github-actions/2").await;
    world.later(120);
    let list = world.get("alice", "").await;
    list.is(200)
        .has("Use these keys when another app needs to talk to Auxot for you, without signing in through the website.")
        .has("Personal API Keys Create Personal API Key Personal keys start with user.")
        .has("Team API Keys Create Team API Key")
        .has(
            "Business / Enterprise plans: team API keys identify an automated connection for one team, useful when a \
              service calls workflows or agents without a person signing in.",
        )
        .has("Team keys start with team. (Personal keys start with user.)")
        .has("Name Created by Created Last used Used from Actions")
        .has("Alice A. 28 Nov 2026 2 minutes ago api/github-actions Rotate Delete")
        .has("Bob B. (left)")
        .has("cursor-macbook-alex")
        .has("Never")
        .lacks("Engineering Name")
        .markup("<th scope=\"col\">")
        .markup("<a href=\"/settings/api-keys\" aria-current=\"page\">API Keys</a>")
        .markup("<th scope=\"row\">")
        .markup("href=\"/settings/api-keys/new?kind=team\"")
        .no_markup("aria-disabled");
    assert_eq!(list.header("referrer-policy"), Some("same-origin"));
}

#[tokio::test]
async fn empty_sections_say_what_to_do() {
    let world = World::new().await;
    world
        .get("alice", "")
        .await
        .is(200)
        .has("No personal keys yet. Create one for scripts and tools that only you use.")
        .has("No team keys yet. Create one for CI, scheduled jobs and webhooks: it keeps working when people leave.");
}

#[tokio::test]
async fn a_member_sees_who_made_what_and_why_the_button_is_grey() {
    let world = World::new().await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    world.call(&text, "github-actions/2").await;
    world
        .get("mo", "")
        .await
        .is(200)
        .has("Name Created by Created Actions GitHub Actions - production")
        .has("Your role does not allow this. Ask an admin of the team or the organization.")
        .lacks("Used from")
        .lacks("Rotate")
        .markup("aria-disabled=\"true\" aria-describedby=\"why-team\"")
        .markup("id=\"why-team\"");
}

#[tokio::test]
async fn a_plan_without_team_keys_says_so_instead_of_the_button() {
    let world = World::new().await;
    world.issue(IssueKey::team(team("sales")).named("CRM import - nightly"), "system").await;
    world
        .get("fred", "")
        .await
        .is(200)
        .has("Team API keys are not included in this plan.")
        .has("CRM import - nightly")
        .has("Delete")
        .lacks("Create Team API Key")
        .markup("href=\"/settings/license\"");
    // An admin of the organization has no role in a team.
    world
        .get("oscar", "")
        .await
        .is(200)
        .has("Team API keys are not included in this plan.")
        .has("CRM import - nightly")
        .lacks("Create Team API Key");
}

#[tokio::test]
async fn a_person_in_no_team_has_personal_keys_and_is_told_why_there_are_no_others() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    let list = world.get("mallory", "").await;
    list.is(200)
        .markup("/new?kind=user\"")
        .no_markup("/new?kind=team")
        .lacks("GitHub Actions")
        .has("Your role does not allow this.");
    world.get("mallory", "/new?kind=team").await.is(403).has("Your role does not allow this.").no_markup("<form");
    world.get("mallory", "/new?kind=user").await.is(200).markup("<button class=\"main\">");
}

#[tokio::test]
async fn several_teams_have_headings_and_one_has_none() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    world.issue(IssueKey::team(team("support")).named("Ticket import - nightly"), "tess").await;
    world.get("tess", "").await.is(200).markup("3\">Engineering</span>").markup("3\">support</span>");
    world.get("alice", "").await.is(200).no_markup("rowgroup");
    world.get("tess", "?team=support").await.is(200).has("Ticket import").lacks("GitHub Actions").lacks("Personal API");
    world.get("tess", "?kind=user").await.is(200).has("Personal API").lacks("Team API Keys");
    world.get("alice", "?team=support").await.is(404).has("Not found, or you do not have access to it.");
}

#[tokio::test]
async fn a_refused_team_says_so_above_its_keys() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    let owner = Owner::Team(team("engineering"));
    let manager = world.keys.manager();
    manager.suspend(&owner, Suspension::Plan, &system()).await.unwrap();
    world.get("alice", "").await.is(200).has(
        "These keys are refused: the team is suspended by its plan. They are accepted again as soon as the plan includes \
         them. Upgrade",
    );
    manager.suspend(&owner, Suspension::Admin, &system()).await.unwrap();
    world
        .get("alice", "")
        .await
        .is(200)
        .has("These keys are refused: the team is suspended. An admin of the organization can reinstate it.");
    manager.close(&owner, &system()).await.unwrap();
    world.get("alice", "").await.is(200).has("These keys are refused: the team is closed permanently.");
}

#[tokio::test]
async fn a_person_whose_plan_ended_reads_and_creates_nothing() {
    let world = World::new().await;
    let (key, _) = world.own_key("laptop").await;
    let alice = Owner::User(user("alice"));
    world.keys.manager().suspend(&alice, Suspension::Plan, &system()).await.unwrap();
    world.get("alice", "").await.is(200).has(
        "These keys are refused: the account is suspended by its plan. They are accepted again as soon as the plan \
         includes them. Upgrade",
    );
    let form = [("kind", "user"), ("name", "another laptop"), ("idempotency_key", "0123456789abcdef")];
    world.post("alice", "/new", &form).await.is(403).has("the plan does not include API keys");
    let rename = [("version", "1"), ("name", "renamed")];
    world.post("alice", &format!("/keys/{}/edit", key.id), &rename).await.is(403);
}

#[tokio::test]
async fn a_directory_that_is_down_leaves_ids_and_says_so() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    world.names_down.store(true, std::sync::atomic::Ordering::SeqCst);
    world
        .get("alice", "")
        .await
        .is(200)
        .has("The names of some people and teams are not available at the moment. Their ids are shown.")
        .lacks("Alice A.")
        .has("alice")
        .has("GitHub Actions - production")
        .markup("id=\"why-team\"");
}

#[tokio::test]
async fn states_of_keys_are_words() {
    let world = World::new().await;
    let (paused, _) = world.team_key("GitHub Actions - paused").await;
    let (dead, _) = world.team_key("GitHub Actions - dead").await;
    world.keys.manager().pause(&paused.id, &system()).await.unwrap();
    world.keys.manager().revoke(&dead.id, &system()).await.unwrap();
    world.get("alice", "").await.is(200).has("Paused").has("Resume").lacks("Actions - dead");
    world.get("alice", "?revoked=1").await.is(200).has("GitHub Actions - dead").has("Revoked").has("Hide revoked");
}

#[tokio::test]
async fn an_unreadable_record_is_a_line_of_its_own() {
    let world = World::new().await;
    let (broken, _) = world.team_key("GitHub Actions - production").await;
    world.team_key("Monday cron").await;
    world.damage(broken.id).await;
    world
        .get("alice", "")
        .await
        .is(200)
        .has("A key that cannot be read. Requests with it get 503. Tell the operator of this service.")
        .has("Monday cron");
}

#[tokio::test]
async fn a_store_that_is_down_gives_no_half_list() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    world.down(true);
    let answer = world.get("alice", "").await;
    answer
        .is(503)
        .has(
            "Keys cannot be shown at the moment. Existing keys may still work. Servers that check each request with the \
             key store refuse all keys until it answers again. Try again in a moment.",
        )
        .lacks("GitHub Actions")
        .lacks("10.1.2.3");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn flags_have_sentences_and_what_takes_them_away() {
    let world = World::new().await;
    world.team_key("key1").await;
    world
        .get("alice", "")
        .await
        .is(200)
        .has("Vague name Its name does not say what the key is for.")
        .has("Rename")
        .markup("/edit\">Rename</a>");
    world.get("mo", "").await.is(200).has("key1").lacks("Vague name");
}

#[tokio::test]
async fn names_can_be_searched() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    world.own_key("laptop of alice").await;
    world.get("alice", "?q=github").await.is(200).has("GitHub Actions").lacks("laptop of").has("No key was found.");
    let (_, text) = world.team_key("Monday cron").await;
    let pasted = world.get("alice", &format!("?q={text}")).await;
    pasted.is(200).has("Do not search for an API key or another credential: names never contain one.");
}

#[tokio::test]
async fn an_admin_of_the_organization_sees_all_teams_and_no_keys_of_other_people() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    world.issue(IssueKey::team(team("support")).named("Ticket import - nightly"), "tess").await;
    world.issue(IssueKey::user(user("mo")).named("laptop of mo"), "mo").await;
    world.get("olga", "").await.is(200).has("GitHub Actions").has("Ticket import").lacks("laptop of mo");
    world.get("olga", "/keys").await.is(200).has("GitHub Actions").has("laptop of mo").has("People");
    world.get("audrey", "/keys").await.is(200).has("laptop of mo").lacks("Rotate");
}

#[tokio::test]
async fn a_suspended_account_is_told_so() {
    let world = World::new().await;
    world.keys.manager().suspend(&Owner::User(user("alice")), Suspension::Admin, &system()).await.unwrap();
    world.get("alice", "").await.is(403).has("Your account or organization is suspended.").has("reinstate");
}

#[tokio::test]
async fn strangers_and_unknown_addresses_get_nothing() {
    let world = World::new().await;
    let answer = world.get("nobody", "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, "sign in first"));
    for path in ["/nothing", "/keys/x", &format!("/keys/{UNKNOWN}"), &format!("/keys/{UNKNOWN}/edit/more")] {
        world.get("alice", path).await.is(404).has("Not found, or you do not have access to it.");
    }
    let (key, _) = world.own_key("laptop").await;
    let hidden = world.get("mo", &format!("/keys/{}", key.id)).await;
    let unknown = world.get("mo", &format!("/keys/{UNKNOWN}")).await;
    assert_eq!((hidden.status, &hidden.body), (unknown.status, &unknown.body));
}

#[tokio::test]
async fn a_hundred_keys_fit_into_sixty_kilobytes() {
    let world = World::new().await;
    let (mut rows, at) = (Vec::new(), "2026-11-28T12:00:00Z".parse::<Timestamp>().unwrap().as_millis());
    for number in 0..101 {
        world.later(1);
        // One in five needs a better name, all were used by three programs half a year ago, and need attention.
        let name = if number % 5 == 4 { "key1".to_owned() } else { format!("GitHub Actions - production {number}") };
        let (key, _) = world.team_key(&name).await;
        rows.extend(["acme-sync", "python-requests", "curl"].map(|client| UsageRow {
            key: Some(key.id.to_string()),
            organization: None,
            outcome: "success".into(),
            label: "intake".into(),
            client: client.into(),
            network: String::new(),
            count: 1_000,
            first_at: at,
            last_at: at,
        }));
    }
    let batch = UsageBatch { writer: [7; 16], sequence: 1, rows, days: Vec::new() };
    world.store.record_usage(&batch).await.unwrap();
    world.later(180 * 86_400);
    let list = world.get("alice", "").await;
    list.is(200).has("Show more");
    let more = list.body.split("<a href=\"").find(|link| link.contains("after=")).unwrap().split('"').next().unwrap();
    list.has("Unused").has("Vague name").has("intake/");
    for path in ["", "/keys", "/review"] {
        let screen = world.get("alice", path).await;
        assert!(screen.body.len() <= 60 * 1_024, "{path}: {} bytes", screen.body.len());
        // Each flag is explained once.
        assert!(screen.body.matches("It has not been used for a long time.").count() <= 1);
    }
    let path = more.strip_prefix(crate::support::MOUNT).unwrap().replace("&amp;", "&");
    let rest = world.get("alice", &path).await;
    rest.is(200).has("production 0").lacks("Show more").lacks("Personal API Keys");
}
