//! Which texts are names, and how many ids fit into one question.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    Owner, TeamId, UserId,
    key::KeyId,
    manage::{
        NamedTeam, Names, Presence,
        fixture::{team, team_id, user, user_id},
        names::Mentions,
    },
    record::ActorId,
    sentence::Sentence,
};

#[test]
fn a_name_is_one_line_that_people_can_read() {
    let (alice, blue) = (user_id("alice"), team_id("blue"));
    for name in ["Alice Jones", "é", "李小龍", "O'Neil <b>", "laptop \u{1f469}\u{200d}\u{1f4bb}", &"x".repeat(100)]
    {
        let names = Names::none().with_user(alice.clone(), name).with_team(blue.clone(), name);
        assert_eq!((names.of_user(&alice), names.of_team(&blue)), (Some(name), Some(name)));
        assert_eq!(NamedTeam::new(blue.clone()).with_name(name).label(), name);
    }
    let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
    for bad in ["", " ", "\u{3000}", "a\nb", "a\u{202e}b", "\u{200b}", "a\0", &"x".repeat(101), key.expose_secret()] {
        let names = Names::none().with_user(alice.clone(), bad).with_team(blue.clone(), bad);
        assert_eq!((names.of_user(&alice), names.of_team(&blue)), (None, None), "{bad:?}");
        // An id with a bad name still exists, though the name cannot be shown.
        assert_eq!(names, Names::none().with_known(alice.clone()).with_known(blue.clone()), "{bad:?}");
        assert_eq!(NamedTeam::new(blue.clone()).with_name(bad).label(), "blue");
    }
    assert_eq!(Names::none().with_user(alice.clone(), " Alice\t").of_user(&alice), Some("Alice"));
    // A bad name removes no other name.
    assert_eq!(
        Names::none().with_user(alice.clone(), "Alice").with_user(alice.clone(), "").of_user(&alice),
        Some("Alice")
    );
}

#[test]
fn who_has_left_keeps_the_name_whatever_is_said_first() {
    let bob = user_id("bob");
    let first = Names::none().with_left(bob.clone()).with_user(bob.clone(), "Bob");
    assert_eq!(first, Names::none().with_user(bob.clone(), "Bob").with_left(bob.clone()));
    assert!(first.has_left(&bob) && !first.has_left(&user_id("alice")));
    let nameless = Names::none().with_left(bob.clone());
    assert_eq!(
        serde_json::to_value(&nameless).unwrap(),
        serde_json::json!({"users": {"bob": {"name": null, "left": true, "unknown": false}}, "teams": {}, "complete": true})
    );
    assert!(!nameless.is_empty() && nameless.of_user(&bob).is_none());
}

#[test]
fn nothing_said_is_not_the_same_as_unknown() {
    let (alice, blue) = (user("alice"), team("blue"));
    for owner in [alice.clone(), blue.clone()] {
        let presence = |names: Names| (names.presence(&owner), names.is_unknown(&owner));
        assert_eq!(presence(Names::none()), (None, false));
        assert_eq!(presence(Names::none().with_known(owner.clone())), (Some(Presence::Here), false));
        assert_eq!(presence(Names::none().with_unknown(owner.clone())), (Some(Presence::Unknown), true));
        // An answer about the same id of the other kind says nothing.
        let other = if owner == alice { team("alice") } else { user("blue") };
        assert_eq!(presence(Names::none().with_unknown(other)), (None, false));
    }
    let gone = Names::none().with_team(team_id("blue"), "Blue").with_unknown(blue.clone());
    assert_eq!((gone.of_team(&team_id("blue")), gone.is_unknown(&blue)), (Some("Blue"), true));
    let left = Names::none().with_unknown(alice.clone()).with_left(user_id("alice"));
    assert_eq!((left.presence(&alice), left.is_unknown(&alice)), (Some(Presence::Left), false));
    // A name in the same answer does not undo that.
    let named =
        Names::none().with_unknown(alice.clone()).with_user(user_id("alice"), "Alice").with_known(alice.clone());
    assert_eq!(named.presence(&alice), Some(Presence::Unknown));
}

#[test]
fn a_user_and_a_team_of_one_id_are_two() {
    let names = Names::none().with_user(user_id("x"), "A person").with_team(team_id("x"), "A team");
    assert_eq!(names.of_owner(&Owner::User(user_id("x"))), Some("A person"));
    assert_eq!(names.of_owner(&Owner::Team(team_id("x"))), Some("A team"));
    assert_eq!(names.of_actor(&ActorId::User(user_id("x"))), Some("A person"));
    assert_eq!(names.of_actor(&ActorId::Key(KeyId::LEAST)), None);
}

/// A name is not a template, and a sentence within a sentence also gets names.
#[test]
fn sentences_say_names_in_their_parts_and_keep_the_ids() {
    let part = Sentence::new("test.part", "by {user}", vec![("user", (&user_id("alice")).into())]);
    let whole =
        Sentence::new("test.whole", "{user}, {part}.", vec![("user", (&user_id("bob")).into()), ("part", part.into())]);
    let names = Names::none().with_user(user_id("alice"), "{user}").with_user(user_id("bob"), "Bob {part}");
    let named = whole.naming(&names);
    assert_eq!(named, "Bob {part}, by {user}.");
    assert_eq!(whole, "bob, by alice.");
    let mut json = [&named, &whole].map(|sentence| serde_json::to_value(sentence).unwrap());
    assert_eq!(json[0]["text"], "Bob {part}, by {user}.");
    for json in &mut json {
        json["text"].take();
        json["arguments"]["part"]["value"]["text"].take();
    }
    assert_eq!(json[0], json[1]);
    // A service that writes its own sentences still gets the ids.
    let say = |argument: &crate::sentence::Argument| (argument == &(&user_id("bob")).into()).then(|| "B.".to_owned());
    assert_eq!(named.text_with(say), "B., by {user}.");
}

proptest! {
    #[test]
    fn each_id_is_asked_about_once_and_no_question_is_too_long(
        users in proptest::collection::vec(0_u32..5_000, 0..300),
        teams in proptest::collection::vec(0_u32..5_000, 0..300),
        most in 1_usize..100,
    ) {
        let mut mentions = Mentions::default();
        users.iter().for_each(|id| mentions.user(&UserId::from(*id)));
        teams.iter().for_each(|id| mentions.team(&TeamId::from(*id)));
        let parts = mentions.parts(most);
        let (mut asked_users, mut asked_teams) = (Vec::new(), Vec::new());
        let count = parts.len();
        for (place, (users, teams)) in parts.into_iter().enumerate() {
            let size = users.len() + teams.len();
            let fits = if place + 1 < count { size == most } else { (1..=most).contains(&size) };
            prop_assert!(fits, "{}", size);
            asked_users.extend(users);
            asked_teams.extend(teams);
        }
        let users: BTreeSet<_> = users.into_iter().map(UserId::from).collect();
        let teams: BTreeSet<_> = teams.into_iter().map(TeamId::from).collect();
        prop_assert_eq!(asked_users, users.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(asked_teams, teams.into_iter().collect::<Vec<_>>());
    }
}
