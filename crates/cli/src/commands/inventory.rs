use std::collections::BTreeSet;

use clap::Args;
use futures_util::StreamExt;
use tower_api_keys::{
    KeyId,
    manage::{ExportFormat, InventoryEntry, InventoryPage, InventoryQuery, KeyFlag},
};

use super::{
    list::{Filter, all_read},
    sizes,
};
use crate::{
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Column, Now, Screen, Table, counted},
};

/// Find keys that somebody should look at
#[derive(Args)]
pub(crate) struct Inventory {
    #[command(flatten)]
    filter: Filter,
    /// Show keys with this flag; may be repeated [default: keys with any flag]
    #[arg(long, value_name = "FLAG")]
    flag: Vec<KeyFlag>,
    /// Exit with 1 if a key has this flag; may be repeated
    #[arg(long, value_name = "FLAG")]
    fail_on: Vec<KeyFlag>,
    /// Show keys without a flag, too
    #[arg(long, conflicts_with = "flag")]
    all: bool,
    /// Write a table for spreadsheets, of all keys that fit
    #[arg(long, conflicts_with_all = ["all", "fail_on", "json"])]
    csv: bool,
}

const COLUMNS: [Column; 5] = [
    Column::new("ID"),
    Column::at_most("OWNER", 30),
    Column::new("NAME"),
    Column::at_most("FLAGS", 50),
    Column::new("LAST USED"),
];

impl Inventory {
    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let query = InventoryQuery::matching(self.filter.query()?);
        if self.csv {
            return self.export(query, session, screen).await;
        }
        let wanted: BTreeSet<KeyFlag> = self.flag.iter().chain(&self.fail_on).copied().collect();
        let is_shown = |entry: &InventoryEntry| {
            self.all || entry.flags.iter().any(|flag| wanted.is_empty() || wanted.contains(flag))
        };
        let (mut table, mut seen, now) = (Table::new(COLUMNS), BTreeSet::new(), Now::read());
        let (mut all, mut failing) = (0_u64, false);
        let unreadable = each_page(query, session, screen, |page, screen| {
            all += page.entries.len() as u64;
            let shown: Vec<_> = page.entries.iter().filter(|entry| is_shown(entry)).collect();
            seen.extend(shown.iter().flat_map(|entry| &entry.flags).copied());
            failing |= shown.iter().flat_map(|entry| &entry.flags).any(|flag| self.fail_on.contains(flag));
            if screen.is_json() {
                shown.iter().try_for_each(|entry| screen.document(entry))
            } else {
                table.page(&shown.iter().map(|entry| row(entry, now)).collect::<Vec<_>>(), screen)
            }
        })
        .await?;
        if !screen.is_json() {
            for flag in seen {
                screen.line(format!("{flag}: {}", flag.sentence()))?;
            }
            let to_look_at = counted(table.rows(), "key", "keys");
            let what = if self.all { to_look_at } else { format!("{to_look_at} to look at of {all}") };
            screen.line(what)?;
        }
        all_read(&unreadable).map(|_| Exit::found(failing))
    }

    async fn export(&self, mut query: InventoryQuery, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        if !self.flag.is_empty() {
            query = query.flagged(self.flag.iter().copied());
        }
        let mut pieces = Box::pin(session.manager.inventory_pieces(query, ExportFormat::Csv, &session.actor));
        while let Some(piece) = pieces.next().await {
            screen.bytes(&piece?)?;
        }
        Ok(Exit::Done)
    }
}

/// Shows page after page of an inventory. Returns the keys that cannot be read.
pub(super) async fn each_page(
    query: InventoryQuery,
    session: &Session,
    screen: &mut Screen,
    mut show: impl FnMut(&InventoryPage, &mut Screen) -> Result<(), Failure>,
) -> Result<Vec<KeyId>, Failure> {
    let (mut size, mut after, mut unreadable) = (sizes(), None, Vec::new());
    loop {
        let mut page = query.clone().limit(size());
        if let Some(cursor) = after {
            page = page.after(cursor);
        }
        let page = session.manager.inventory(page, &session.actor).await?;
        show(&page, screen)?;
        screen.flush()?;
        unreadable.extend(page.unreadable);
        after = page.next;
        if after.is_none() {
            return Ok(unreadable);
        }
    }
}

fn row(entry: &InventoryEntry, now: Now) -> [String; 5] {
    let flags: Vec<_> = entry.flags.iter().map(KeyFlag::to_string).collect();
    [
        entry.key.id.to_string(),
        entry.key.owner.to_string(),
        entry.key.name.to_string(),
        flags.join(", "),
        now.ago_or_never(entry.last_success_at()),
    ]
}
