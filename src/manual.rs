//! The manual: guides by task, then pages to look things up in. There is nothing to call here.
//!
//! | you want to | guide |
//! |---|---|
//! | put the layer into a full axum stack | [Protect a service](protect) |
//! | let people manage keys on a settings page | `docs/settings_page.md`, of the package `tower-api-keys-http` |
//! | build the form that makes a key, and show the key once | [Issue and show a key](issue) |
//! | manage keys from a terminal or a script | `docs/command_line.md`, of the package `tower-api-keys-cli` |
//! | protect a service in any language, behind a proxy | `docs/behind_a_proxy.md`, of the package `tower-api-keys-cli` |
//! | decide which ids users, teams and customers have | [Choose ids](ids) |
//! | know which call to make on which day | [Managing keys](managing) |
//! | replace a key | [Rotate without an outage](rotate) |
//! | end the keys of a person, and no others | [When somebody leaves](leaving) |
//! | answer a leak | [When a key leaks](leaks) |
//! | notify people, and read the trail | [Who is notified](told) |
//! | end a stream with its key | [Streams and WebSockets](streams) |
//! | keep another system's sessions beside keys | [Sessions of another system, keys of this crate](sessions) |
//! | give software a key on a plan without team keys | [A user that is not a person](service_users) |
//! | serve several customers | [Several customers in one service](several_customers) |
//! | test your handlers and your integration | [Test your service](testing) |
//! | check keys in another language | [Check keys elsewhere](elsewhere) |
//! | write a store | [Write a store](stores) |
//! | let programs and people manage keys over HTTP | `crates/http/docs/manage_over_http.md`, of the package `tower-api-keys-http` |
//!
//! | to look up | page |
//! |---|---|
//! | headers, settings, codes, the order of layers, the text of a key | [HTTP reference](http) |
//! | every refusal with its sentence | [Refusals](refusals) |
//! | the JSON of the manager | [What the answers look like](answers) |
//! | costs, metrics, benchmarks | [Performance](performance) |
//! | restarts, memory, hash profiles | [Sizing](sizing) |
//! | one file: backup and restore | [SQLite](sqlite) |
//! | many nodes: topology, roles, failover | [PostgreSQL](postgres) |
//! | promises, decisions, attacks and the tests against them | [Security](security) |
//! | other systems, with sources | [How it compares](compared) |
//! | how a version is made | [Releasing](releasing) |

/// A page and its module have the same name. For readers of the repository, a page links to another page by its file.
/// Here these links have to lead to modules: if a link has two definitions, the first counts.
macro_rules! pages {
    ($($(#[$before:meta])* $name:ident)+) => {$(
        $(#[$before])*
        #[doc = "[erased_postgres]: crate::manual::postgres#what-was-erased"]
        #[doc = "[erased_sqlite]: crate::manual::sqlite#what-was-erased"]
        #[doc = "[erasing]: crate::manual::managing#erasing"]
        #[doc = "[feed]: crate::manual::told#the-feed"]
        #[doc = "[http]: crate::manual::http"]
        #[doc = "[ids]: crate::manual::ids"]
        #[doc = "[issue]: crate::manual::issue"]
        #[doc = "[key_ends]: crate::manual::managing#when-a-key-ends"]
        #[doc = "[leaks]: crate::manual::leaks"]
        #[doc = "[leaving]: crate::manual::leaving"]
        #[doc = "[machine_secret]: crate::manual::sizing#the-machine-secret-profile"]
        #[doc = "[managing]: crate::manual::managing"]
        #[doc = "[openapi]: crate::manual::http#openapi"]
        #[doc = "[own_refusals]: crate::manual::several_customers#refusals-without-a-key"]
        #[doc = "[own_transactions]: crate::manual::postgres#your-own-transactions"]
        #[doc = "[performance]: crate::manual::performance"]
        #[doc = "[postgres]: crate::manual::postgres"]
        #[doc = "[postgres_roles]: crate::manual::postgres#roles"]
        #[doc = "[postgres_streams]: crate::manual::postgres#streams"]
        #[doc = "[protect]: crate::manual::protect"]
        #[doc = "[refusals]: crate::manual::refusals"]
        #[doc = "[rotate]: crate::manual::rotate"]
        #[doc = "[security]: crate::manual::security"]
        #[doc = "[service_users]: crate::manual::service_users"]
        #[doc = "[settings_page]: https://docs.rs/tower-api-keys-http/latest/tower_api_keys_http/page/"]
        #[doc = "[several_customers]: crate::manual::several_customers"]
        #[doc = "[sizing]: crate::manual::sizing"]
        #[doc = "[stored_proofs]: crate::manual::sizing#stored-proofs"]
        #[doc = "[stores]: crate::manual::stores"]
        #[doc = "[streams]: crate::manual::streams"]
        #[doc = "[told]: crate::manual::told"]
        #[doc = ""]
        #[doc = include_str!(concat!("../docs/", stringify!($name), ".md"))]
        pub mod $name {}
    )+};
}

// Guides, by task. A picture comes before its page, as a definition: the documentation has no path to the file.
pages! {
    protect
    #[doc = include_str!("../docs/pictures/reveal.png.md")]
    issue
    ids
    managing
    #[doc = include_str!("../docs/pictures/rotation.png.md")]
    rotate
    #[doc = include_str!("../docs/pictures/leaver.png.md")]
    leaving
    #[doc = include_str!("../docs/pictures/leak-found.png.md")]
    leaks
    told
    streams
    sessions
    service_users
    several_customers
    testing
    elsewhere
    stores
}

// Reference.
pages! {
    http
    refusals
    answers
    #[doc = include_str!("../docs/scale.svg.md")]
    performance
    #[doc = include_str!("../docs/scale.svg.md")]
    sizing
    sqlite
    postgres
    security
    compared
    releasing
}
