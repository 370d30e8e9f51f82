//! What every service has already: customers with plans, people with roles, sessions. A real service has tables and
//! passwords here.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, header};

/// What a customer pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Free,
    Business,
}

impl Plan {
    pub fn includes_team_keys(self) -> bool {
        self == Self::Business
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "Free",
            Self::Business => "Business",
        }
    }
}

/// What a person may do at a customer. A role in a team has the team's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Member(&'static str),
    TeamAdmin(&'static str),
    OrgAdmin,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Member(_) => "a member of a team",
            Self::TeamAdmin(_) => "an admin of a team",
            Self::OrgAdmin => "an admin of the organization",
        }
    }
}

/// A person of a customer.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    pub customer: &'static str,
    pub id: &'static str,
    pub name: &'static str,
    pub role: Role,
    pub has_left: bool,
}

const fn person(customer: &'static str, id: &'static str, name: &'static str, role: Role) -> Person {
    Person { customer, id, name, role, has_left: false }
}

pub const CUSTOMERS: [(&str, Plan); 2] = [("acme", Plan::Business), ("globex", Plan::Free)];

pub const PEOPLE: [Person; 5] = [
    person("acme", "mo", "Mo Brown", Role::Member("engineering")),
    person("acme", "alice", "Alice Jones", Role::TeamAdmin("engineering")),
    person("acme", "olga", "Olga Ivanova", Role::OrgAdmin),
    Person { has_left: true, ..person("acme", "bob", "Bob Lee", Role::TeamAdmin("engineering")) },
    person("globex", "gina", "Gina Park", Role::OrgAdmin),
];

/// Customer, id and name. Two customers may have a team with the same id.
const TEAMS: [(&str, &str, &str); 3] =
    [("acme", "engineering", "Engineering"), ("acme", "support", "Support"), ("globex", "engineering", "Research")];

const COOKIE: &str = "session=";

/// The tables. Only the plans change.
#[derive(Debug)]
pub struct Accounts {
    plans: Mutex<BTreeMap<&'static str, Plan>>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { plans: Mutex::new(CUSTOMERS.into()) }
    }
}

impl Accounts {
    /// The person whose session a request has, unless they have left.
    pub fn signed_in(&self, headers: &HeaderMap) -> Option<&'static Person> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let session = cookies.flat_map(|cookies| cookies.split("; ")).find_map(|cookie| cookie.strip_prefix(COOKIE))?;
        let (customer, id) = session.split_once('.')?;
        self.person(customer, id).filter(|person| !person.has_left)
    }

    /// The cookie of a new session. A real service asks for a password first, and its cookies cannot be guessed.
    pub fn session(person: &Person) -> String {
        format!("{COOKIE}{}.{}; Path=/; HttpOnly; SameSite=Lax", person.customer, person.id)
    }

    pub fn person(&self, customer: &str, id: &str) -> Option<&'static Person> {
        PEOPLE.iter().find(|person| (person.customer, person.id) == (customer, id))
    }

    pub fn team_name(&self, customer: &str, id: &str) -> Option<&'static str> {
        self.teams(customer).find(|team| team.0 == id).map(|team| team.1)
    }

    /// The ids and the names of a customer's teams.
    pub fn teams(&self, customer: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
        TEAMS.iter().filter(move |team| team.0 == customer).map(|team| (team.1, team.2))
    }

    /// The names of those who can create keys of a team, or of any if no team is named.
    pub fn admins(&self, customer: &str, team: Option<&str>) -> Vec<String> {
        let here = PEOPLE.iter().filter(|person| person.customer == customer && !person.has_left);
        let admins = here.filter(|person| match person.role {
            Role::OrgAdmin => true,
            Role::TeamAdmin(of) => team == Some(of),
            Role::Member(_) => false,
        });
        admins.map(|person| person.name.to_owned()).collect()
    }

    pub fn plan(&self, customer: &str) -> Plan {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.get(customer).copied().unwrap_or(Plan::Free)
    }

    pub fn set_plan(&self, customer: &'static str, plan: Plan) {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).insert(customer, plan);
    }
}
