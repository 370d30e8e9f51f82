//! The other pages of the service: signing in, the plan, and the secret stores of the jobs.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{Html, Redirect},
    routing::get,
};
use tower_api_keys::{Actor, ApiKeys, OrganizationId, manage::PlanChange, store::Ledger};

use crate::{
    accounts::{Accounts, PEOPLE, Person, Plan, Role},
    jobs::Jobs,
};

type Accounting = State<Arc<Accounts>>;

pub fn router(keys: &ApiKeys<impl Ledger>, jobs: &Arc<Jobs>) -> Router<Arc<Accounts>> {
    let (keys, shown, pasted) = (keys.clone(), Arc::clone(jobs), Arc::clone(jobs));
    Router::new()
        .route("/", get(home))
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .route("/sign-in/{customer}/{person}", get(sign_in))
        .route("/plan", get(plan).post(move |accounts, headers, form| change_plan(keys, accounts, headers, form)))
        .route(
            "/jobs",
            get(move |accounts, headers| show_jobs(shown, accounts, headers))
                .post(move |accounts, headers, form| paste(pasted, accounts, headers, form)),
        )
}

/// A page. Nothing in it comes from a request.
fn page(title: &str, content: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"></head>\
         <body><main><h1>{title}</h1>{content}</main></body></html>"
    ))
}

async fn home(State(accounts): Accounting, headers: HeaderMap) -> Html<String> {
    let me = accounts.signed_in(&headers).map_or_else(
        || "<p>Nobody is signed in.</p>".to_owned(),
        |person| {
            format!(
                "<p>Signed in: {} of {}. <a href=\"/settings/api-keys\">API keys</a> <a href=\"/plan\">Plan</a> \
                 <a href=\"/jobs\">Jobs</a></p>",
                person.name, person.customer
            )
        },
    );
    let people = PEOPLE.iter().filter(|person| !person.has_left).map(|Person { customer, id, name, role, .. }| {
        format!("<li><a href=\"/sign-in/{customer}/{id}\">{name}</a>, {} at {customer}</li>", role.name())
    });
    page("Settings page", &format!("{me}<p>Sign in as</p><ul>{}</ul>", people.collect::<String>()))
}

/// In your service: a password, a passkey, or your identity provider.
async fn sign_in(
    State(accounts): Accounting,
    Path((customer, id)): Path<(String, String)>,
) -> Result<([(HeaderName, String); 1], Redirect), StatusCode> {
    let person = accounts.person(&customer, &id).filter(|person| !person.has_left).ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(header::SET_COOKIE, Accounts::session(person))], Redirect::to("/settings/api-keys")))
}

async fn plan(State(accounts): Accounting, headers: HeaderMap) -> Result<Html<String>, StatusCode> {
    let person = accounts.signed_in(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    let now = accounts.plan(person.customer);
    let form = match person.role {
        Role::OrgAdmin => [Plan::Free, Plan::Business]
            .into_iter()
            .filter(|plan| *plan != now)
            .map(|plan| {
                let name = plan.name();
                format!("<form method=\"post\"><button name=\"plan\" value=\"{name}\">Change to {name}</button></form>")
            })
            .collect(),
        _ => "<p>An admin of the organization can change it.</p>".to_owned(),
    };
    Ok(page(
        "Plan",
        &format!("<p>The plan of {} is {}.</p>{form}<p><a href=\"/\">Back</a></p>", person.customer, now.name()),
    ))
}

/// What billing does when a customer pays, or does not. Team keys are refused while the plan does not include them.
async fn change_plan(
    keys: ApiKeys<impl Ledger>,
    State(accounts): Accounting,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Redirect, StatusCode> {
    let person = accounts.signed_in(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    if person.role != Role::OrgAdmin {
        return Err(StatusCode::FORBIDDEN);
    }
    let (plan, change) = match form.as_slice() {
        [(field, plan)] if field == "plan" && plan == "Free" => (Plan::Free, PlanChange::team_keys_not_included()),
        [(field, plan)] if field == "plan" && plan == "Business" => (Plan::Business, PlanChange::team_keys_included()),
        _ => return Err(StatusCode::UNPROCESSABLE_ENTITY),
    };
    let customer = OrganizationId::new(person.customer).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let billing = Actor::system("billing").map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    keys.manager_for(customer).plan_changed(change, &billing).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    accounts.set_plan(person.customer, plan);
    Ok(Redirect::to("/plan"))
}

async fn show_jobs(
    jobs: Arc<Jobs>,
    State(accounts): Accounting,
    headers: HeaderMap,
) -> Result<Html<String>, StatusCode> {
    let person = accounts.signed_in(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    let rows = jobs.0.iter().filter(|job| job.customer == person.customer).map(|job| {
        let last = job.last().map_or_else(|| "has no key yet".to_owned(), |status| format!("last answer: {status}"));
        format!(
            "<li><form method=\"post\"><input type=\"hidden\" name=\"job\" value=\"{0}\"><label>{0}, {last} \
             <input name=\"key\" autocomplete=\"off\" placeholder=\"Paste a new key\"></label> <button>Install</button>\
             </form></li>",
            job.name
        )
    });
    let content = format!(
        "<p>Each program calls the API with its key every two seconds.</p><ul>{}</ul><p><a href=\"/\">Back</a></p>",
        rows.collect::<String>()
    );
    Ok(page("Jobs", &content))
}

/// Installs a key in the secret store of a program.
async fn paste(
    jobs: Arc<Jobs>,
    State(accounts): Accounting,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Redirect, StatusCode> {
    let person = accounts.signed_in(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    let field = |name| form.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let (name, key) = field("job").zip(field("key")).ok_or(StatusCode::UNPROCESSABLE_ENTITY)?;
    let job = jobs.named(name).filter(|job| job.customer == person.customer).ok_or(StatusCode::NOT_FOUND)?;
    job.install(key);
    Ok(Redirect::to("/jobs"))
}
