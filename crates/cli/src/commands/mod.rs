//! What can be done, one module a command: its arguments, its calls of the manager, and how the answer is shown.

pub(crate) mod advise;
pub(crate) mod audit;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod inventory;
mod key_rows;
pub(crate) mod leaks;
pub(crate) mod list;
pub(crate) mod moves;
pub(crate) mod owners;
pub(crate) mod pages;
pub(crate) mod pause;
pub(crate) mod people;
pub(crate) mod reconcile;
pub(crate) mod refusals;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod serve;
mod shared;
pub(crate) mod show;

use shared::{live_keys_are, sizes, soon, usage_table, working};

use crate::{
    arguments::{Cli, Command, Managing},
    exit::Exit,
    failure::Failure,
    open::{Address, Session, Setup},
    output::Screen,
};

/// Runs the command.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn run(cli: &Cli, screen: &mut Screen) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Managing(managing) => manage(managing, cli, screen).await,
        Command::Backup(backup) => backup.run(global, screen).await,
        Command::Completions(completions) => completions.run(screen),
        Command::Copy(copy) => copy.run(global, screen).await,
        Command::Doctor(doctor) => doctor.run(global, screen).await,
        Command::Init(init) => init.run(global, screen).await,
        Command::Man(man) => man.run(screen),
        Command::Migrate(migrate) => migrate.run(global, screen).await,
        Command::Serve(serve) => serve.run(global, screen).await,
    }
}

/// Runs a command that manages keys.
async fn manage(command: &Managing, cli: &Cli, screen: &mut Screen) -> Result<Exit, Failure> {
    let global = &cli.global;
    let lists = match command {
        Managing::Reconcile(reconcile) => Some(reconcile.lists()?),
        _ => None,
    };
    let report = lists.as_ref().map(reconcile::Lists::report);
    let store = Address::of(global.store.as_deref())?.open(global).await?;
    let session =
        Session::over(store, global, Setup { for_long: command.is_long(), lists, ..Setup::default() }).await?;
    let done = match command {
        Managing::Advise(advise) => advise.run(&session, screen).await,
        Managing::Audit(audit) => audit.run(&session, screen).await,
        Managing::BlastRadius(radius) => radius.run(&session, screen).await,
        Managing::Close(close) => close.run(&session, global, screen).await,
        Managing::Create(create) => create.run(&session, screen).await,
        Managing::Edit(edit) => edit.run(&session, screen).await,
        Managing::Explain(explain) => explain.run(&session, screen).await,
        Managing::Exposure(exposure) => exposure.run(&session, screen).await,
        Managing::Identify(identify) => identify.run(&session, screen).await,
        Managing::Inventory(inventory) => inventory.run(&session, screen).await,
        Managing::Leak(leak) => leak.run(&session, global, screen).await,
        Managing::List(list) => list.run(&session, screen).await,
        Managing::Pause(pause) => pause.run(&session, screen).await,
        Managing::Reconcile(reconcile) => {
            reconcile
                .run(report.unwrap_or_else(tower_api_keys::manage::Reconcile::report), &session, global, screen)
                .await
        }
        Managing::Refusals(refusals) => refusals.run(&session, screen).await,
        Managing::Reinstate(reinstate) => reinstate.run(&session, screen).await,
        Managing::Resume(resume) => resume.run(&session, screen).await,
        Managing::Revoke(revoke) => revoke.run(&session, global, screen).await,
        Managing::Rotate(rotate) => rotate.run(&session, global, screen).await,
        Managing::Show(show) => show.run(&session, screen).await,
        Managing::Suspend(suspend) => suspend.run(&session, screen).await,
        Managing::Verify(verify) => verify.run(&session, screen).await,
    };
    let closed = session.close().await;
    done.and_then(|exit| closed.map(|()| exit))
}
