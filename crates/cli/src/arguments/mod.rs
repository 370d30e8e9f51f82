//! What may be asked for. The arguments of a command are beside its code.

mod help;
mod parse;
pub(crate) mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tower_api_keys::OrganizationId;

use crate::commands;

pub(crate) use parse::{Parsed, parse};

/// The command line.
#[derive(Parser)]
#[command(name = "apikeys", version, about = "Manage the API keys of a tower-api-keys store", help_template = help::ALL,
    subcommand_required = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options of all commands.
#[derive(Args)]
#[command(next_help_heading = help::GLOBAL)]
pub(crate) struct Global {
    /// The SQLite file, or the URL of the PostgreSQL server; `-` reads that from standard input
    #[arg(long, global = true, value_name = "PATH|URL", env = "APIKEYS_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The schema of the tables in PostgreSQL
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "APIKEYS_SCHEMA",
        hide_env_values = true,
        default_value = "api_keys"
    )]
    pub(crate) schema: String,
    /// A file with the root certificates to trust for the PostgreSQL server, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "APIKEYS_ROOT_CERTIFICATES", hide_env_values = true)]
    pub(crate) root_certificates: Option<PathBuf>,
    /// The PostgreSQL server is behind a pooler that gives connections for one transaction at a time
    #[arg(long, global = true, env = "APIKEYS_BEHIND_POOLER", hide_env_values = true, value_parser = switch())]
    pub(crate) behind_pooler: bool,
    /// The organization, if the service has several
    #[arg(long, global = true, value_name = "ID", env = "APIKEYS_ORGANIZATION", hide_env_values = true)]
    pub(crate) organization: Option<OrganizationId>,
    /// The brand that new keys begin with
    #[arg(long, global = true, value_name = "BRAND", env = "APIKEYS_BRAND", hide_env_values = true)]
    pub(crate) brand: Option<String>,
    /// Another brand that the service accepts
    #[arg(
        long,
        global = true,
        value_name = "BRAND",
        env = "APIKEYS_ACCEPT_BRAND",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) accept_brand: Vec<String>,
    /// The service accepts keys without a brand, too
    #[arg(long, global = true, env = "APIKEYS_ACCEPT_UNBRANDED", hide_env_values = true, value_parser = switch())]
    pub(crate) accept_unbranded: bool,
    /// A pepper of the service, as base64 in a file that only you can read
    #[arg(long, global = true, value_name = "ID=FILE", env = "APIKEYS_PEPPER", hide_env_values = true, value_delimiter = ',',
        value_parser = values::pepper)]
    pub(crate) pepper: Vec<(u32, PathBuf)>,
    /// The pepper that new keys are made with
    #[arg(long, global = true, value_name = "ID", env = "APIKEYS_CURRENT_PEPPER", hide_env_values = true)]
    pub(crate) current_pepper: Option<u32>,
    /// How current records are on the nodes of the service: `strict`, or the bound, such as `2s`
    #[arg(long, global = true, value_name = "FRESHNESS", env = "APIKEYS_NODE_FRESHNESS", hide_env_values = true,
        value_parser = values::freshness)]
    pub(crate) node_freshness: Option<tower_api_keys::auth::Freshness>,
    /// What the audit trail calls you, after `system:` [default: command line: USER@HOST]
    #[arg(long = "as", global = true, value_name = "LABEL", env = "APIKEYS_AS", hide_env_values = true)]
    pub(crate) acting_as: Option<String>,
    /// Print JSON: one document, or one for each line of a list
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Answer the question that a command asks
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// When to print in colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: Color,
}

/// In the environment, a switch is off if it is empty, `0`, `no`, `off` or `false`.
fn switch() -> impl clap::builder::TypedValueParser<Value = bool> {
    clap::builder::FalseyValueParser::new()
}

/// When to print in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Always,
    Auto,
    Never,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Managing(Managing),
    Init(commands::init::Init),
    Migrate(commands::init::Migrate),
    Backup(commands::moves::Backup),
    Copy(commands::moves::Copy),
    Doctor(commands::doctor::Doctor),
    Serve(Box<commands::serve::Serve>),
    Completions(commands::pages::Completions),
    Man(commands::pages::Man),
}

/// What needs an open store with a manager of its keys.
#[derive(Subcommand)]
pub(crate) enum Managing {
    Create(commands::create::Create),
    List(commands::list::List),
    Show(commands::show::Show),
    Edit(commands::edit::Edit),
    Pause(commands::pause::Pause),
    Resume(commands::pause::Resume),
    Revoke(commands::revoke::Revoke),
    Rotate(commands::rotate::Rotate),
    Inventory(commands::inventory::Inventory),
    Explain(commands::explain::Explain),
    Advise(commands::advise::Advise),
    Audit(commands::audit::Audit),
    Refusals(commands::refusals::Refusals),
    BlastRadius(commands::people::BlastRadius),
    Exposure(commands::people::Exposure),
    Identify(commands::leaks::Identify),
    Verify(commands::leaks::Verify),
    Leak(commands::leaks::Leak),
    Suspend(commands::owners::Suspend),
    Reinstate(commands::owners::Reinstate),
    Close(commands::owners::Close),
    Reconcile(commands::reconcile::Reconcile),
}

impl Command {
    /// Whether it may change something in a store.
    pub(crate) const fn changes(&self) -> bool {
        match self {
            Self::Managing(managing) => managing.changes(),
            Self::Migrate(migrate) => migrate.changes(),
            Self::Init(_) | Self::Copy(_) => true,
            Self::Backup(_) | Self::Doctor(_) | Self::Serve(_) | Self::Completions(_) | Self::Man(_) => false,
        }
    }
}

impl Managing {
    const fn changes(&self) -> bool {
        match self {
            Self::Rotate(rotate) => rotate.changes(),
            Self::Leak(leak) => leak.changes(),
            Self::Reconcile(reconcile) => reconcile.changes(),
            Self::Create(_)
            | Self::Edit(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Revoke(_)
            | Self::Suspend(_)
            | Self::Reinstate(_)
            | Self::Close(_) => true,
            _ => false,
        }
    }

    /// Whether it runs until it is interrupted.
    pub(crate) const fn is_long(&self) -> bool {
        match self {
            Self::Audit(audit) => audit.is_long(),
            Self::Rotate(rotate) => rotate.is_long(),
            _ => false,
        }
    }
}
