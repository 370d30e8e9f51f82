use serde::Serialize;
use tower_api_keys::{
    KeyKind, Owner, TeamId,
    manage::{
        Decision, DenialReason, InventoryQuery, KeyAction, KeyInfo, KeyPage, ListKeys, ManageError, ManageErrorKind,
        Target,
    },
    record::NamePart,
    store::{KeyCursor, Liveness},
};

use super::flagged::{Evidence, Row, row, say_once};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, in_query},
    views::{notice, owner_name, stopped, upgrade},
};

/// How many keys a section shows.
const ROWS: u16 = 100;

#[derive(Serialize)]
struct ListView {
    /// How keys begin.
    prefix_user: String,
    prefix_team: String,
    q: String,
    /// Why the search was not made.
    q_error: Option<String>,
    /// Whether dead keys are shown, too.
    dead: bool,
    /// The same list with or without them.
    toggle: String,
    sections: Vec<Section>,
    /// Whether the names of people are missing for now.
    names_missing: bool,
}

#[derive(Serialize)]
struct Section {
    kind: &'static str,
    gate: Gate,
    /// Whether the actor sees how any of these keys is used.
    used: bool,
    groups: Vec<Group>,
    empty: bool,
    /// Whether it is empty because dead keys are not shown.
    only_dead: bool,
    unreadable: usize,
    more: Option<String>,
}

#[derive(Serialize)]
struct Group {
    heading: Option<String>,
    /// The screen of its owner.
    at: Option<String>,
    /// Why all of these keys are refused.
    notice: Option<String>,
    /// Whether an upgrade would change that.
    upgrade: Option<String>,
    rows: Vec<Row>,
}

/// Whether a key can be created here, and if not, why.
#[derive(Serialize)]
struct Gate {
    create: Option<String>,
    why: Vec<String>,
    /// Whom to ask.
    ask: Option<String>,
    /// The plan is why: no button, and where to upgrade.
    plan: bool,
    upgrade: Option<String>,
}

/// The keys of the caller and of their teams.
pub(in crate::page) async fn show(call: &Call) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let team = fields.some("team").map(TeamId::new).transpose().map_err(|_| Stop::Malformed("team"))?;
    let only = fields.some("kind");
    let (part, q_error) = match fields.some("q").map(NamePart::new).transpose() {
        Ok(part) => (part, None),
        Err(error) => (None, Some(call.site.words().sentence(&error.sentence()))),
    };
    let dead = fields.is("revoked", "1");
    let mut sections = Vec::new();
    let mut names_missing = false;
    let mut add = |section: Option<(Section, bool)>| {
        if let Some((section, complete)) = section {
            names_missing |= !complete;
            sections.push(section);
        }
    };
    if team.is_none() && only != Some("team") {
        add(personal(call, part.clone(), dead).await?);
    }
    if only != Some("user") {
        add(Some(of_teams(call, team, part, dead).await?));
    }
    let fields_of_toggle = fields.clone().unset("after");
    let toggle = if dead { fields_of_toggle.unset("revoked") } else { fields_of_toggle.set("revoked", "1") };
    let toggle = call.at(&format!("/{}", toggle.query()));
    let prefix = |kind| call.manager.format().prefix(kind);
    let (prefix_user, prefix_team) = (prefix(KeyKind::User), prefix(KeyKind::Team));
    let view =
        ListView { prefix_user, prefix_team, q: fields.echo("q"), q_error, dead, toggle, sections, names_missing };
    Ok(Screen::new("list.html", call.say("list.title"), &view).into())
}

async fn personal(call: &Call, part: Option<NamePart>, dead: bool) -> Result<Option<(Section, bool)>, Stop> {
    let Some(user) = call.actor.user_id() else { return Ok(None) };
    let owner = Owner::User(user.clone());
    let gate = match call.manager.can(&call.actor, KeyAction::Issue, &Target::new_key(&owner)).await? {
        Decision::Allow => match Gate::of_stopped(call, &owner).await? {
            Some(gate) => gate,
            None => Gate::open(call, "user", None),
        },
        Decision::Deny(reason) => Gate::closed(call, &[reason], None).await,
        Decision::Hide => Gate::closed(call, &[], None).await,
    };
    let list = narrowed(call, ListKeys::of(owner), part, dead)?;
    section(call, "user", list, gate, false, true).await.map(Some)
}

async fn of_teams(
    call: &Call,
    team: Option<TeamId>,
    part: Option<NamePart>,
    dead: bool,
) -> Result<(Section, bool), Stop> {
    let gate = match team_gate(call, team.as_ref()).await {
        // The keys are shown even if nobody knows for which teams more can be created.
        Err(Stop::Manage(error)) if error.kind() == ManageErrorKind::DirectoryUnavailable => {
            Gate::unknown(call, &error)
        }
        gate => gate?,
    };
    let list = match &team {
        Some(team) => ListKeys::of(team.clone()),
        None => ListKeys::all(),
    };
    let list = narrowed(call, list.kind(KeyKind::Team), part, dead)?;
    let several = team.is_none() && (call.actor.is_org_admin() || call.actor.teams().count() > 1);
    // Asked first: a denied attempt would be recorded.
    let sees_use = match team {
        None => true,
        Some(team) => {
            let owner = Owner::Team(team);
            call.manager.can(&call.actor, KeyAction::SeeUsage, &Target::Owner(&owner)).await? == Decision::Allow
        }
    };
    section(call, "team", list, gate, several, sees_use).await
}

fn narrowed(call: &Call, list: ListKeys, part: Option<NamePart>, dead: bool) -> Result<ListKeys, Stop> {
    let mut list = list.newest_first().limit(ROWS);
    if !dead {
        list = list.liveness(Liveness::Live);
    }
    if let Some(part) = part {
        list = list.named_like(part);
    }
    Ok(match call.fields.parsed::<KeyCursor>("after")? {
        Some(cursor) => list.after(cursor),
        None => list,
    })
}

async fn section(
    call: &Call,
    kind: &'static str,
    list: ListKeys,
    gate: Gate,
    several: bool,
    sees_use: bool,
) -> Result<(Section, bool), Stop> {
    let page = call.manager.list(list.clone(), &call.actor).await?;
    let is_empty = page.keys.is_empty() && page.unreadable.is_empty();
    let only_dead = is_empty && has_dead(call, list.clone()).await?;
    let evidence = if sees_use { Evidence::of(call, InventoryQuery::matching(list)).await? } else { Evidence::none() };
    let KeyPage { keys, unreadable, names, next, .. } = page;
    let mut owners: Vec<(Owner, Vec<KeyInfo>)> = Vec::new();
    for key in keys {
        match owners.iter_mut().find(|(owner, _)| *owner == key.owner) {
            Some((_, of_owner)) => of_owner.push(key),
            None => owners.push((key.owner.clone(), vec![key])),
        }
    }
    let several = several || owners.len() > 1;
    let mut groups = Vec::new();
    for (owner, keys) in owners {
        let status = keys.first().map(|key| key.owner_status).unwrap_or_default();
        let (notice, upgrade) = notice(call, kind, &status);
        let rows: Vec<Row> = keys.iter().map(|key| row(call, key, &names, &evidence)).collect::<Result<_, _>>()?;
        groups.push(Group {
            heading: several.then(|| owner_name(&owner, &names)),
            at: rows.first().and_then(|row| row.key.owner_at.clone()),
            notice,
            upgrade,
            rows,
        });
    }
    say_once(groups.iter_mut().flat_map(|group| &mut group.rows));
    let more = next.map(|next| {
        let fields = call.fields.clone().set("kind", kind).set("after", &next.to_string());
        call.at(&format!("/{}", fields.query()))
    });
    let section = Section {
        kind,
        gate,
        used: !evidence.entries.is_empty(),
        empty: is_empty,
        only_dead,
        groups,
        unreadable: unreadable.len(),
        more,
    };
    Ok((section, names.is_complete()))
}

/// Whether there are keys among these that no longer work and are not shown.
async fn has_dead(call: &Call, list: ListKeys) -> Result<bool, Stop> {
    if call.fields.is("revoked", "1") {
        return Ok(false);
    }
    Ok(!call.manager.list(list.liveness(Liveness::Dead).limit(1), &call.actor).await?.keys.is_empty())
}

impl Gate {
    fn open(call: &Call, kind: &str, team: Option<&TeamId>) -> Self {
        let team = team.map(|team| format!("&team={}", in_query(team.as_str()))).unwrap_or_default();
        Self {
            create: Some(call.at(&format!("/new?kind={kind}{team}"))),
            why: Vec::new(),
            ask: None,
            plan: false,
            upgrade: None,
        }
    }

    /// The gate of an owner that gets no new keys from anyone.
    async fn of_stopped(call: &Call, owner: &Owner) -> Result<Option<Self>, Stop> {
        let status = call.manager.owner(owner, &call.actor).await?.status;
        let Some(stopped) = stopped(&status) else { return Ok(None) };
        let (why, upgrade) = (format!("gate.{}.{stopped}", owner.kind().as_str()), upgrade(call, stopped));
        Ok(Some(Self { create: None, why: vec![call.say(&why)], ask: None, plan: upgrade.is_some(), upgrade }))
    }

    fn unknown(call: &Call, error: &ManageError) -> Self {
        let why = vec![call.site.words().sentence(&error.sentence())];
        Self { create: None, why, ask: None, plan: false, upgrade: None }
    }

    async fn closed(call: &Call, reasons: &[DenialReason], team: Option<&TeamId>) -> Self {
        let words = call.site.words();
        let plan = reasons.contains(&DenialReason::PlanRequired);
        let mut why = Vec::new();
        for reason in reasons.iter().filter(|reason| !plan || **reason == DenialReason::PlanRequired) {
            let denial = call.manager.denial(*reason);
            let both = [Some(denial.sentence()), denial.remedy()];
            let text = both.iter().flatten().map(|sentence| words.sentence(sentence)).collect::<Vec<_>>().join(" ");
            if !why.contains(&text) {
                why.push(text);
            }
        }
        let upgrade = call.site.page.upgrade_at.clone().filter(|_| plan);
        let ask = call.whom_to_ask(team).await;
        Self { create: None, why, ask, plan, upgrade }
    }
}

/// Whether the caller can create a key for any team, or for this one.
async fn team_gate(call: &Call, team: Option<&TeamId>) -> Result<Gate, Stop> {
    let choices = match team {
        Some(_) => Vec::new(),
        None => call.manager.teams_to_issue_for(&call.actor).await?,
    };
    // An admin of the organization may create keys for teams that nothing lists, if the plan of all teams has them.
    let all = team.is_none() && call.actor.is_org_admin() && call.actor.teams().next().is_none();
    if all && !TeamId::new("any").is_ok_and(|any| call.actor.includes_team_keys(&any)) {
        return Ok(Gate::closed(call, &[DenialReason::PlanRequired], None).await);
    }
    if all || choices.len() > 1 {
        return Ok(Gate::open(call, "team", None));
    }
    if let [only] = choices.as_slice() {
        let stopped = Gate::of_stopped(call, &Owner::Team(only.id().clone())).await?;
        return Ok(stopped.unwrap_or_else(|| Gate::open(call, "team", None)));
    }
    let asked: Vec<TeamId> = match team {
        Some(team) => vec![team.clone()],
        None => call.actor.teams().map(|team| team.id.clone()).collect(),
    };
    let mut reasons = Vec::new();
    for id in &asked {
        let owner = Owner::Team(id.clone());
        match call.manager.can(&call.actor, KeyAction::Issue, &Target::new_key(&owner)).await? {
            Decision::Allow => {
                let stopped = Gate::of_stopped(call, &owner).await?;
                return Ok(stopped.unwrap_or_else(|| Gate::open(call, "team", Some(id))));
            }
            Decision::Deny(reason) if !reasons.contains(&reason) => reasons.push(reason),
            Decision::Deny(_) | Decision::Hide => {}
        }
    }
    if reasons.is_empty() {
        reasons.push(DenialReason::InsufficientRole);
    }
    let team = match asked.as_slice() {
        [team] => Some(team),
        _ => None,
    };
    Ok(Gate::closed(call, &reasons, team).await)
}
