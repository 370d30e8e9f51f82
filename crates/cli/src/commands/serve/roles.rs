//! What the people who are signed in may do: nothing but their own keys, unless a header or a file says more.

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use percent_encoding::percent_decode_str;
use tower_api_keys::{
    TeamId, UserId,
    manage::{Rights, TeamRole},
};

/// What the groups of a header begin with that mean something here. Other groups give no rights.
const OURS: &str = "apikeys:";

/// The longest file that is read.
const MOST: u64 = 1024 * 1024;

/// Something that gives roles and cannot be read. Then nobody has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The rights of everybody: over their own keys.
pub(super) fn own() -> Rights {
    // There are no plans here: who manages a team may make its keys.
    Rights::none().team_keys_included()
}

/// The rights for the groups in a header, with commas between them, such as `apikeys:admin,apikeys:team:sales:member`.
pub(super) fn of_groups(groups: &str) -> Result<Rights, Unreadable> {
    let ours = groups.split(',').filter_map(|group| group.trim().strip_prefix(OURS));
    of_roles(ours)
}

/// The rights of a user according to a file: JSON with a list of roles for each user, such as
/// `{"alice": ["admin"], "bob": ["team:sales:member"]}`.
pub(super) fn of_file(file: &Path, user: &UserId) -> Result<Rights, Unreadable> {
    let mut text = String::new();
    let read = fs::File::open(file).and_then(|file| file.take(MOST + 1).read_to_string(&mut text));
    if read.is_err() || text.len() as u64 > MOST {
        return Err(Unreadable);
    }
    let users: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).map_err(|_| Unreadable)?;
    // All of it has to be good: a mistake in one line says that nobody has looked at the others either.
    let mut rights = own();
    for (name, roles) in users {
        let of_this_user = of_roles(roles.iter().map(String::as_str))?;
        if name == user.as_str() {
            rights = of_this_user;
        }
    }
    Ok(rights)
}

fn of_roles<'a>(roles: impl Iterator<Item = &'a str>) -> Result<Rights, Unreadable> {
    let mut teams = BTreeMap::new();
    let mut rights = own();
    for role in roles {
        match role.split(':').collect::<Vec<_>>().as_slice() {
            ["admin"] => rights = rights.org_admin(),
            ["auditor"] => rights = rights.auditor(),
            ["team", id, role] => {
                let id = decoded(id).and_then(|id| TeamId::new(id).ok()).ok_or(Unreadable)?;
                let known = [TeamRole::Member, TeamRole::Admin, TeamRole::Owner];
                let role = known.into_iter().find(|known| known.as_str() == *role).ok_or(Unreadable)?;
                if teams.insert(id, role).is_some() {
                    return Err(Unreadable);
                }
            }
            _ => return Err(Unreadable),
        }
    }
    Ok(teams.into_iter().fold(rights, |rights, (team, role)| rights.team(team, role)))
}

/// An id in which colons, commas and percent signs are percent-encoded.
fn decoded(text: &str) -> Option<String> {
    let is_whole = |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let is_encoded = text.split('%').skip(1).all(is_whole);
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned()).filter(|_| is_encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(id: &str) -> TeamId {
        TeamId::new(id).unwrap()
    }

    #[test]
    fn groups_with_our_prefix_give_roles_and_others_give_none() {
        assert_eq!(of_groups("").unwrap(), own());
        assert_eq!(of_groups("staff, admin,team:sales:admin,").unwrap(), own());
        assert_eq!(of_groups("staff, apikeys:admin").unwrap(), own().org_admin());
        let expected = own().auditor().team(team("a:b,c"), TeamRole::Owner).team(team("sales"), TeamRole::Member);
        assert_eq!(
            of_groups("apikeys:auditor,apikeys:team:sales:member,apikeys:team:a%3Ab%2cc:owner").unwrap(),
            expected
        );
        for group in [
            "",
            "root",
            "Admin",
            "system:ops",
            "team:sales",
            "team:sales:boss",
            "team::member",
            "team:%FF:member",
            "team:50%:member",
            "team:a:b:member",
            "admin ",
            "team:sales:member,apikeys:team:sales:admin",
        ] {
            let group = format!("apikeys:{group}");
            let is_trimmed = group.ends_with(' ');
            assert_eq!(of_groups(&group).is_err(), !is_trimmed, "{group}");
        }
    }

    #[test]
    fn a_file_is_good_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roles.json");
        let of = |text: &str, user: &str| {
            fs::write(&file, text).unwrap();
            of_file(&file, &UserId::new(user).unwrap())
        };
        let text = r#"{"alice": ["admin"], "bob": ["team:sales:member"], "carol": []}"#;
        assert_eq!(of(text, "alice").unwrap(), own().org_admin());
        assert_eq!(of(text, "bob").unwrap(), own().team(team("sales"), TeamRole::Member));
        assert_eq!((of(text, "carol").unwrap(), of(text, "Alice").unwrap()), (own(), own()));
        for text in [
            "",
            "[]",
            r#"{"alice": "admin"}"#,
            r#"{"alice": ["admin"], "bob": ["boss"]}"#,
            r#"{"alice": ["apikeys:admin"]}"#,
        ] {
            assert_eq!(of(text, "alice"), Err(Unreadable), "{text}");
        }
        assert_eq!(of_file(folder.path(), &UserId::new("alice").unwrap()), Err(Unreadable));
        assert_eq!(of_file(&folder.path().join("none"), &UserId::new("alice").unwrap()), Err(Unreadable));
    }
}
