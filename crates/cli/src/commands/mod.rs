//! What can be done, one module a command: its arguments, its calls of the manager, and how the answer is shown.

pub(crate) mod create;
mod key_rows;
pub(crate) mod list;
pub(crate) mod show;

use crate::{
    arguments::{Cli, Command},
    exit::Exit,
    failure::Failure,
    open::Session,
    output::Screen,
};

/// Runs the command.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn run(cli: &Cli, screen: &mut Screen) -> Result<Exit, Failure> {
    let global = &cli.global;
    let session = Session::open(global).await?;
    let done = match &cli.command {
        Command::Create(create) => create.run(&session, screen).await,
        Command::List(list) => list.run(&session, screen).await,
        Command::Show(show) => show.run(&session, screen).await,
    };
    let closed = session.close().await;
    done.and_then(|exit| closed.map(|()| exit))
}
