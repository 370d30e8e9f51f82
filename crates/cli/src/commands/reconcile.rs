use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use tower_api_keys::{
    InvalidId, KeyKind, OrganizationId, Owner, TeamId, TeamRef, UserId,
    manage::{Directory, Names, Reconcile as Request, Reconciled},
};

use super::{revoke::say, soon, working};
use crate::{
    arguments::Global,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Asked, Column, Screen, Table, confirm},
};

/// Find owners of live keys who are in none of your lists, and close them if you say so
#[derive(Args)]
pub(crate) struct Reconcile {
    #[command(flatten)]
    lists: ListFiles,
    /// Close those that are missing, which cannot be undone
    #[arg(long)]
    close: bool,
    /// Even if more than a tenth of all owners are missing
    #[arg(long, requires = "close")]
    even_if_many: bool,
}

/// Which users and teams there are.
#[derive(Args)]
pub(crate) struct ListFiles {
    /// A file with the ids of all users who are still there, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// A file with the ids of all teams that are still there, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    teams: Option<PathBuf>,
}

/// The lists, as the directory of the manager.
#[derive(Debug)]
pub(crate) struct Lists {
    users: Option<BTreeSet<UserId>>,
    teams: Option<BTreeSet<TeamId>>,
}

impl ListFiles {
    /// Reads the lists; none if no file was named.
    ///
    /// # Errors
    /// If a file cannot be read, is empty, or has a line that is no id.
    pub(super) fn read(&self) -> Result<Option<Lists>, Failure> {
        if self.users.is_none() && self.teams.is_none() {
            return Ok(None);
        }
        if self.users.as_deref() == Some(Path::new("-")) && self.teams.as_deref() == Some(Path::new("-")) {
            return Err(Failure::usage("Only one of the two lists can be read from standard input."));
        }
        let users = self.users.as_deref().map(ids).transpose()?;
        let teams = self.teams.as_deref().map(ids).transpose()?;
        Ok(Some(Lists { users, teams }))
    }
}

fn ids<T: FromStr<Err = InvalidId> + Ord>(path: &Path) -> Result<BTreeSet<T>, Failure> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("The list `{name}` cannot be read.")).because_of(&error))?;
    let mut ids = BTreeSet::new();
    for (number, line) in (1_u32..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let id = line.parse().map_err(|error| {
            Failure::usage(format!("Line {number} of the list `{name}` is not an id.")).because_of(&error)
        })?;
        ids.insert(id);
    }
    // An empty list would say that everybody has left.
    if ids.is_empty() {
        return Err(Failure::usage(format!("The list `{name}` is empty: it would say that nobody is there any more.")));
    }
    Ok(ids)
}

impl Lists {
    /// About which kind of owners the lists speak, if it is only one.
    pub(super) fn kind(&self) -> Option<KeyKind> {
        match (&self.users, &self.teams) {
            (Some(_), None) => Some(KeyKind::User),
            (None, Some(_)) => Some(KeyKind::Team),
            _ => None,
        }
    }

    /// A report about the owners that the lists speak about.
    pub(super) fn report(&self) -> Request {
        let request = Request::report();
        self.kind().map_or(request.clone(), |kind| request.of_kind(kind))
    }
}

impl Directory for Lists {
    type Error = Infallible;

    async fn has_team(&self, team: &TeamRef) -> Result<bool, Infallible> {
        Ok(self.teams.as_ref().is_none_or(|teams| teams.contains(&team.team)))
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> Result<Names, Infallible> {
        let mut names = Names::none();
        let users = users.iter().filter_map(|id| Some((Owner::from(id.clone()), self.users.as_ref()?.contains(id))));
        let teams = teams.iter().filter_map(|id| Some((Owner::from(id.clone()), self.teams.as_ref()?.contains(id))));
        for (owner, is_there) in users.chain(teams) {
            names = if is_there { names.with_known(owner) } else { names.with_unknown(owner) };
        }
        Ok(names)
    }
}

impl Reconcile {
    /// Whether it may change something.
    pub(crate) const fn changes(&self) -> bool {
        self.close
    }

    /// The lists that the session needs.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub(super) fn lists(&self) -> Result<Lists, Failure> {
        let none = || Failure::usage("Who is there? Give the ids with --users FILE, --teams FILE, or both.");
        self.lists.read()?.ok_or_else(none)
    }

    pub(super) async fn run(
        &self,
        report: Request,
        session: &Session,
        global: &Global,
        screen: &mut Screen,
    ) -> Result<Exit, Failure> {
        let (manager, actor) = (&session.manager, &session.actor);
        let found = working("Reading the owners", manager.reconcile(report, actor), screen).await?;
        if !self.close || found.missing.is_empty() {
            show(&found, screen)?;
            return Ok(Exit::found(!found.missing.is_empty()));
        }
        if !screen.is_json() {
            table(&found, screen)?;
        }
        let number = found.missing.len().to_string();
        let to = "close all of them, which cannot be undone";
        let asked = confirm(Asked { to, what: "their number", text: &number }, global.yes, screen).await;
        asked.map_err(|failure| failure.not("closed"))?;
        let closing = found.closing();
        let closing = if self.even_if_many { closing.even_if_many() } else { closing };
        let closed = working("Closing owners", manager.reconcile(closing, actor), screen).await;
        let closed = closed.map_err(|error| Failure::from(error).not("all closed"))?;
        if screen.is_json() {
            screen.document(&closed)?;
        } else {
            say(&closed.sentences(), screen)?;
            screen.line(soon(session))?;
        }
        Ok(Exit::Done)
    }
}

fn show(found: &Reconciled, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.document(found);
    }
    table(found, screen)?;
    say(&found.sentences(), screen)
}

fn table(found: &Reconciled, screen: &mut Screen) -> Result<(), Failure> {
    let rows: Vec<_> = found
        .missing
        .iter()
        .map(|missing| [missing.owner.to_string(), missing.presence.to_string(), missing.live_keys.to_string()])
        .collect();
    Table::new(["OWNER", "DIRECTORY", "LIVE KEYS"].map(Column::new)).page(&rows, screen)
}
