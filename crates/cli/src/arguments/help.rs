//! The first page of the help: commands in the groups that people look for them in.

/// A test compares it with the commands that there are.
pub(super) const ALL: &str = "\
{about}

Usage: apikeys [--store <PATH|URL>] <COMMAND>

Keys       create  list  show  edit  pause  resume  revoke  rotate
Look       inventory  explain  advise  audit  refusals  blast-radius  exposure
Leaks      identify  verify  leak
Owners     suspend  reinstate  close  reconcile
Operate    init  migrate  backup  copy  doctor  serve  completions  man

`apikeys COMMAND --help` says what a command takes. Secrets go to standard output, once; everything else about them goes
to standard error. Keys are read from standard input or from a file, never from arguments.

Options of all commands:
{options}
";

/// The heading of the options that each command has.
pub(super) const GLOBAL: &str = "Options of all commands";
