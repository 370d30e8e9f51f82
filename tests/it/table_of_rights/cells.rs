use tower_api_keys::Owner;

use crate::support::{team, user};

/// The target belongs to the user `alice` or to the team `blue`. `alice` created both keys and is in no team.
///
/// Actors:
/// - `alice`, and `bob`, who has no relation to either;
/// - `member`, `admin`, `owner` of the team `blue`, and `red`, who owns another team;
/// - `org`, an admin of the organization whose rights include the plan of `blue`, and `unsaid`, one without the plan;
/// - `system`;
/// - a key with `keys:manage` of alice, the member, the admin, `org` (`k-…`), of team `blue` and of team `red`;
/// - keys with all scopes except those to manage keys, of alice (`all-alice`) and of team `blue` (`all-blue`);
/// - keys of team `blue` with one scope each: `keys:read`, `keys:issue`, `keys:rotate`, `keys:revoke`;
/// - `manager`, who may manage the keys of `blue` without a role there, and `auditor`, the auditor of the organization;
///   and a key with `keys:manage` of each.
///
/// Actions: `archive` exports the trail, `export` exports the inventory, `known` issues a key with a text that is known
/// beforehand, and `late` issues a key with a later expiry than the service allows.
///
/// Answers: `yes`; `usage` and `bare` for a key that is shown with and without its usage; `nothing` for an answer
/// without the key; `-` for not found; `role`, `plan`, `yours`, `scope`, `wide`, `people` (not by a key), `system`
/// (only by the system) and `held` (suspended or closed) for the reason of a denial; `late` for an expiry that is too
/// late, which is invalid.
const TABLE: &str = "
               | plan | alice bob member admin   owner   red     | org   unsaid system | k-alice k-member k-admin k-org  k-blue  k-red   | all-alice all-blue | read-blue issue-blue rotate-blue revoke-blue | manager k-manager auditor k-auditor
user issue     | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     -          scope       scope       | -       -         role    role
user late      | any  | late  -   -      -       -       -       | yours yours  late   | late    -        -       yours  -       -       | scope     scope    | scope     -          scope       scope       | -       -         role    role
user known     | any  | system -  -      -       -       -       | yours yours  yes    | system  -        -       yours  -       -       | scope     scope    | scope     -          scope       scope       | -       -         role    role
user rename    | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      scope       scope       | -       -         role    role
user relabel   | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      scope       scope       | -       -         role    role
user narrow    | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      scope       -           | -       -         role    role
user expire    | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      scope       -           | -       -         role    role
user edit      | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      scope       scope       | -       -         role    role
user pause     | any  | yes   -   -      -       -       -       | yes   yes    yes    | yes     -        -       yes    -       -       | scope     scope    | scope     scope      scope       -           | -       -         role    role
user resume    | any  | yes   -   -      -       -       -       | yes   yes    yes    | people  people   people  people people  people  | people    people   | people    people     people      people      | -       people    role    people
user revoke    | any  | yes   -   -      -       -       -       | yes   yes    yes    | yes     -        -       yes    -       -       | scope     scope    | scope     scope      scope       -           | -       -         role    role
user find      | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user usage     | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user list      | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user status    | any  | yes   -   -      -       -       -       | yes   yes    yes    | yes     -        -       yes    -       -       | scope     scope    | -         scope      scope       scope       | -       -         yes     yes
user unused    | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user suspend   | any  | role  -   -      -       -       -       | yes   yes    yes    | role    -        -       yes    -       -       | scope     scope    | scope     scope      scope       scope       | -       -         role    role
user reinstate | any  | held  -   -      -       -       -       | yes   yes    yes    | people  people   people  people people  people  | people    people   | people    people     people      people      | -       people    role    people
user close     | any  | role  -   -      -       -       -       | yes   yes    yes    | people  people   people  people people  people  | people    people   | people    people     people      people      | -       people    role    people
user erase     | any  | held  -   -      -       -       -       | system system yes   | people  people   people  people people  people  | people    people   | people    people     people      people      | -       people    system  people
user rotate    | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      -           scope       | -       -         role    role
user finish    | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      -           scope       | -       -         role    role
user abort     | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      -           scope       | -       -         role    role
user widen     | any  | yes   -   -      -       -       -       | yours yours  yes    | yes     -        -       yours  -       -       | scope     scope    | scope     scope      -           scope       | -       -         role    role
user into      | any  | -     -   -      -       -       -       | yours yours  yes    | -       -        -       yours  -       -       | scope     scope    | scope     scope      -           scope       | -       -         role    role
user rotation  | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      -           scope       | -       -         usage   usage
user advise    | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user explain   | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user inventory | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user export    | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user blast     | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         role    role
user exposure  | any  | role  -   -      nothing nothing nothing | usage usage  usage  | role    -        nothing usage  nothing nothing | scope     scope    | nothing   scope      scope       scope       | nothing nothing   role    role
user revokeall | any  | yes   -   -      -       -       -       | yes   yes    yes    | yes     -        -       yes    -       -       | scope     scope    | scope     scope      scope       -           | -       -         role    role
user report    | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user audit     | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user trail     | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
user archive   | any  | usage -   -      -       -       -       | usage usage  usage  | usage   -        -       usage  -       -       | scope     scope    | -         scope      scope       scope       | -       -         usage   usage
team issue     | high | -     -   role   yes     yes     -       | yes   plan   yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     yes        scope       scope       | yes     yes       role    role
team issue     | low  | -     -   role   plan    plan    -       | plan  plan   yes    | -       role     plan    plan   plan    -       | scope     scope    | scope     plan       scope       scope       | plan    plan      role    role
team late      | high | -     -   role   late    late    -       | late  plan   late   | -       role     late    late   late    -       | scope     scope    | scope     late       scope       scope       | late    late      role    role
team late      | low  | -     -   role   plan    plan    -       | plan  plan   late   | -       role     plan    plan   plan    -       | scope     scope    | scope     plan       scope       scope       | plan    plan      role    role
team known     | high | -     -   role   system  system  -       | system plan  yes    | -       role     system  system system  -       | scope     scope    | scope     system     scope       scope       | system  system    role    role
team known     | low  | -     -   role   plan    plan    -       | plan  plan   yes    | -       role     plan    plan   plan    -       | scope     scope    | scope     plan       scope       scope       | plan    plan      role    role
team rename    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       scope       | yes     yes       role    role
team relabel   | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       scope       | yes     yes       role    role
team narrow    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       yes         | yes     yes       role    role
team expire    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       yes         | yes     yes       role    role
team edit      | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       scope       | yes     yes       role    role
team pause     | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       yes         | yes     yes       role    role
team resume    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | people  people   people  people people  people  | people    people   | people    people     people      people      | yes     people    role    people
team revoke    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       yes         | yes     yes       role    role
team find      | any  | -     -   bare   usage   usage   -       | usage usage  usage  | -       bare     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team usage     | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team list      | any  | -     -   bare   usage   usage   -       | usage usage  usage  | -       bare     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team status    | any  | -     -   yes    yes     yes     -       | yes   yes    yes    | -       yes      yes     yes    yes     -       | scope     scope    | yes       scope      scope       scope       | yes     yes       yes     yes
team unused    | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team suspend   | any  | -     -   role   role    role    -       | yes   yes    yes    | -       role     role    yes    role    -       | scope     scope    | scope     scope      scope       scope       | role    role      role    role
team reinstate | any  | -     -   role   role    role    -       | yes   yes    yes    | people  people   people  people people  people  | people    people   | people    people     people      people      | role    people    role    people
team close     | any  | -     -   role   role    role    -       | yes   yes    yes    | people  people   people  people people  people  | people    people   | people    people     people      people      | role    people    role    people
team erase     | any  | -     -   system system  system  -       | system system yes   | people  people   people  people people  people  | people    people   | people    people     people      people      | system  people    system  people
team rotate    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      yes         scope       | yes     yes       role    role
team finish    | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      yes         scope       | yes     yes       role    role
team abort     | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      yes         scope       | yes     yes       role    role
team widen     | high | -     -   role   yes     yes     -       | yes   plan   yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       scope       | yes     yes       role    role
team widen     | low  | -     -   role   plan    plan    -       | plan  plan   yes    | -       role     plan    plan   plan    -       | scope     scope    | scope     scope      scope       scope       | plan    plan      role    role
team rotation  | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      usage       scope       | usage   usage     usage   usage
team advise    | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team explain   | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team inventory | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team export    | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team revokeall | any  | -     -   role   yes     yes     -       | yes   yes    yes    | -       role     yes     yes    yes     -       | scope     scope    | scope     scope      scope       yes         | yes     yes       role    role
team report    | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team audit     | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team trail     | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team archive   | any  | -     -   role   usage   usage   -       | usage usage  usage  | -       role     usage   usage  usage   -       | scope     scope    | usage     scope      scope       scope       | usage   usage     usage   usage
team orgstop   | any  | role  role role  role  role  role | yes  yes    yes    | role    role     role    yes    role   role   | scope     scope    | scope     scope      scope       scope       | role    role      role    role
team orgstart  | any  | held  held held  held  held  held | held held   yes    | people  people   people  people people people | people    people   | people    people     people      people      | held    people    held    people
team orgclose  | any  | system system system system system system | system system yes | people people people people people people | people    people   | people    people     people      people | system people system people
team orgerase  | any  | held  held held  held  held  held | held held   yes    | people  people   people  people people people | people    people   | people    people     people      people      | held    people    held    people
";

/// The number of actions on a personal key or a user.
pub const USER_ACTIONS: usize = 37;

/// The number of actions on a team key or a team.
pub const TEAM_ACTIONS: usize = 38;

/// Actions that change nothing.
const READS: [&str; 16] = [
    "advise",
    "archive",
    "audit",
    "blast",
    "explain",
    "export",
    "exposure",
    "find",
    "inventory",
    "list",
    "report",
    "rotation",
    "status",
    "trail",
    "unused",
    "usage",
];

/// Actions that name the owner, not the key.
const OF_OWNER: [&str; 21] = [
    "archive",
    "blast",
    "close",
    "erase",
    "export",
    "exposure",
    "inventory",
    "issue",
    "known",
    "late",
    "list",
    "orgclose",
    "orgerase",
    "orgstart",
    "orgstop",
    "reinstate",
    "revokeall",
    "status",
    "suspend",
    "trail",
    "unused",
];

/// One line of the table, for one actor on one plan.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// `user` or `team`.
    pub whose: &'static str,
    pub action: &'static str,
    pub actor: &'static str,
    /// Whether the plan includes team keys.
    pub included: bool,
    pub expected: &'static str,
}

impl Cell {
    pub fn owner(&self) -> Owner {
        if self.whose == "user" { user("alice").into() } else { team("blue").into() }
    }

    /// Whether this is the cell of the same actor on the plan before.
    pub fn is_before(&self, other: &Self) -> bool {
        self.actor == other.actor && !self.included & other.included
    }

    /// Whether its success writes an event.
    pub fn is_told(&self) -> bool {
        self.is_change() || ["archive", "export"].contains(&self.action)
    }

    pub fn is_change(&self) -> bool {
        !READS.contains(&self.action)
    }

    /// The number of events that its success writes: one for each key that is written.
    pub fn events(&self) -> usize {
        match self.action {
            "archive" | "export" => 1,
            _ if !self.is_change() => 0,
            "edit" => 4,
            // The event is under the pseudonym, as all others are then.
            "orgerase" => 0,
            "into" | "rotate" | "widen" => 2,
            // The acting key is one of its owner's keys.
            "revokeall" if self.whose == "user" && self.actor == "k-alice" => 2,
            "revokeall" if self.whose == "team" && ["k-blue", "revoke-blue"].contains(&self.actor) => 2,
            _ => 1,
        }
    }

    pub fn names_a_key(&self) -> bool {
        !OF_OWNER.contains(&self.action)
    }
}

/// The cells, grouped by action.
pub fn by_action() -> Vec<Vec<Cell>> {
    let cells = all();
    cells.chunk_by(|one, other| (one.whose, one.action) == (other.whose, other.action)).map(<[Cell]>::to_vec).collect()
}

pub fn all() -> Vec<Cell> {
    let mut lines = TABLE.trim_matches('\n').lines();
    let actors: Vec<&str> = lines.next().unwrap().split_whitespace().filter(|word| *word != "|").skip(1).collect();
    let mut cells = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "|").collect();
        let plans: &[bool] = match words[2] {
            "any" => &[false, true],
            "high" => &[true],
            "low" => &[false],
            other => panic!("{other}"),
        };
        assert_eq!(words.len(), actors.len() + 3, "{line}");
        for (&actor, &expected) in actors.iter().zip(&words[3..]) {
            for &included in plans {
                cells.push(Cell { whose: words[0], action: words[1], actor, included, expected });
            }
        }
    }
    cells
}
