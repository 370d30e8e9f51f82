//! Which keys there are and which need attention, and how each is used.

use std::time::Duration;

use http::Method;
use tower_api_keys::manage::{
    Advice, Explanation, FlagSettings, InventoryPage, InventoryQuery, InventorySummary, KeyFlag, KeyUsage,
    RefusalsWithoutKey,
};

use super::{
    export::{FORMAT, format},
    filter::{CLIENT_OF_SOURCE, LABEL_OF_SOURCE, LIST, NETWORK_OF_SOURCE, list},
};
use crate::{
    answer::{export, ok, page},
    call::Call,
    problem::Problem,
    query::Query,
    table::{Answer, Form, Param, Route, Success},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_DAYS: u16 = 30;

const DAYS: Param =
    Param::one("days", Form::Number { least: 0, most: 400 }, "How many days to list, up to today. Default: 30.");
const FLAG: Param = Param::any("flag", Form::Flag, "Only keys with one of these flags.");
const LABEL: Param = Param::one(
    "label",
    Form::Text,
    "Only keys with this label, or with this value of it: `ticket`, `ticket:OPS-1234`.",
);
const CREATED_SINCE: Param = Param::one("created_since", Form::Time, "Only keys made at this time or later.");
const CREATED_BEFORE: Param = Param::one("created_before", Form::Time, "Only keys made before this time.");
const UNUSED_AFTER: Param = Param::one(
    "unused_after_days",
    Form::Number { least: 1, most: 65_535 },
    "After how many days without use a key is flagged as unused.",
);

const OWN: [Param; 8] =
    [FLAG, LABEL, LABEL_OF_SOURCE, CLIENT_OF_SOURCE, NETWORK_OF_SOURCE, CREATED_SINCE, CREATED_BEFORE, UNUSED_AFTER];
pub(super) static ROUTES: [Route; 7] = [
    Route {
        method: Method::GET,
        path: "/keys/{key}/usage",
        id: "getUsage",
        about: "How a key was used: in all, by outcome and source, and by day.",
        query: &[&[DAYS]],
        headers: &[],
        body: None,
        ok: Success::json::<KeyUsage>(200),
        errors: &[],
        call: |call| Box::pin(usage(call)),
    },
    Route {
        method: Method::GET,
        path: "/keys/{key}/explanation",
        id: "explainKey",
        about: "Whether a request with this key would be accepted now, and if not, why.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<Explanation>(200),
        errors: &[],
        call: |call| Box::pin(explanation(call)),
    },
    Route {
        method: Method::GET,
        path: "/keys/{key}/advice",
        id: "adviseOnKey",
        about: "Whether a personal key or a team key fits how this key is used.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<Advice>(200),
        errors: &[],
        call: |call| Box::pin(advice(call)),
    },
    Route {
        method: Method::GET,
        path: "/inventory",
        id: "getInventory",
        about: "The keys whose usage you may see, with flags for those that need attention, a page at a time.",
        query: &[&LIST, &OWN],
        headers: &[],
        body: None,
        ok: Success::json::<InventoryPage>(200),
        errors: &[],
        call: |call| Box::pin(inventory(call)),
    },
    Route {
        method: Method::GET,
        path: "/inventory/summary",
        id: "summarizeInventory",
        about: "The inventory in numbers, by owner and by flag. Reads all keys of the query, whatever its limit.",
        query: &[&LIST, &OWN],
        headers: &[],
        body: None,
        ok: Success::json::<InventorySummary>(200),
        errors: &[],
        call: |call| Box::pin(summary(call)),
    },
    Route {
        method: Method::GET,
        path: "/inventory/export",
        id: "exportInventory",
        about: "The whole inventory as a file. Only a complete one ends with the end of a line.",
        query: &[&LIST, &OWN, &[FORMAT]],
        headers: &[],
        body: None,
        ok: Success::export(),
        errors: &[(403, &["forged_request"])],
        call: |call| Box::pin(export_inventory(call)),
    },
    Route {
        method: Method::GET,
        path: "/refusals-without-key",
        id: "getRefusalsWithoutKey",
        about: "Refused requests that name no existing key, by reason and source.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<RefusalsWithoutKey>(200),
        errors: &[],
        call: |call| Box::pin(refusals(call)),
    },
];

async fn usage(call: Call) -> Answer {
    let days = call.query.read_one("days")?.unwrap_or(DEFAULT_DAYS);
    ok(&call.manager.usage(&call.key()?, days, &call.actor).await?)
}

async fn explanation(call: Call) -> Answer {
    ok(&call.manager.explain(&call.key()?, &call.actor).await?)
}

async fn advice(call: Call) -> Answer {
    ok(&call.manager.advise(&call.key()?, &call.actor).await?)
}

async fn inventory(call: Call) -> Answer {
    let inventory = call.manager.inventory(question(&call.query)?, &call.actor).await?;
    let next = inventory.next.map(|cursor| call.next_page(&cursor.to_string()));
    page(&inventory, next)
}

async fn summary(call: Call) -> Answer {
    ok(&call.manager.inventory_summary(question(&call.query)?, &call.actor).await?)
}

async fn export_inventory(call: Call) -> Answer {
    let (question, format) = (question(&call.query)?, format(&call.query)?);
    Ok(export("api-keys", format, call.manager.inventory_pieces(question, format, &call.actor)).await?)
}

async fn refusals(call: Call) -> Answer {
    ok(&call.manager.refusals_without_key(&call.actor).await?)
}

fn question(query: &Query) -> Result<InventoryQuery, Problem> {
    let mut question = InventoryQuery::matching(list(query)?);
    let flags = query.all_with("flag", |word| word.parse::<KeyFlag>().ok())?;
    if !flags.is_empty() {
        question = question.flagged(flags);
    }
    if let Some(label) = query.one("label") {
        question = match label.split_once(':') {
            Some((label, value)) => question.label_value(label, value),
            None => question.label(label),
        };
    }
    if let Some(source) = query.source()? {
        question = question.source(source);
    }
    if let Some(time) = query.read_one("created_since")? {
        question = question.created_since(time);
    }
    if let Some(time) = query.read_one("created_before")? {
        question = question.created_before(time);
    }
    let days = query.one_with("unused_after_days", |text| text.parse::<u16>().ok().filter(|days| *days >= 1))?;
    if let Some(days) = days {
        question = question.flag_settings(FlagSettings::new().with_unused_after(DAY * u32::from(days)));
    }
    Ok(question)
}
