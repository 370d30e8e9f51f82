use super::{Argument, Sentence, sentences};
use crate::owner::{Owner, TeamId, UserId};

sentences! {
    fn all;

    fn used(owner: &Owner, sources: usize) =
        "test.used": "The {owner:user|team} {owner} uses it from {sources} {sources:source|sources}.";
    fn because(why: Sentence) = "test.because": "So it is: {why}";
}

fn of(owner: Owner, sources: usize) -> Sentence {
    used(&owner, sources)
}

#[test]
fn words_go_by_numbers_and_owners() {
    let (alice, blue) = (Owner::User(UserId::new("alice").unwrap()), Owner::Team(TeamId::new("blue").unwrap()));
    assert_eq!(of(alice.clone(), 1), "The user alice uses it from 1 source.");
    assert_eq!(of(alice, 0), "The user alice uses it from 0 sources.");
    assert_eq!(of(blue, 2), "The team blue uses it from 2 sources.");
}

#[test]
fn people_can_be_called_by_their_names() {
    let inner = of(Owner::User(UserId::new("alice").unwrap()), 1);
    let named = |argument: &Argument| matches!(argument, Argument::User(_)).then(|| "Alice Jones".to_owned());
    assert_eq!(because(inner).text_with(named), "So it is: The user Alice Jones uses it from 1 source.");
}

#[test]
fn what_somebody_wrote_is_no_template() {
    let blue = Owner::Team(TeamId::new("{sources}").unwrap());
    assert_eq!(of(blue, 2), "The team {sources} uses it from 2 sources.");
}

#[test]
fn a_sentence_serializes_with_its_arguments() {
    let json = serde_json::to_value(of(Owner::Team(TeamId::new("blue").unwrap()), 2)).unwrap();
    let expected = serde_json::json!({
        "id": "test.used",
        "arguments": {"owner": {"type": "team", "value": "blue"}, "sources": {"type": "number", "value": 2}},
        "text": "The team blue uses it from 2 sources.",
    });
    assert_eq!(json, expected);
}

#[test]
fn an_error_has_no_capital_and_no_full_stop() {
    let sentence = Sentence::new("test.error", "Not here. Ask again.", Vec::new());
    assert_eq!(sentence.as_error().to_string(), "not here. Ask again");
    let part = because(Sentence::new("test.part", "Not here.", Vec::new()));
    let whole = Sentence::new("test.whole", "{part}", vec![("part", part.into())]);
    assert_eq!(whole.as_error().to_string(), "so it is: Not here");
}

#[test]
fn an_error_leaves_names_as_they_are() {
    let ada = UserId::new("Ada").unwrap();
    let sentence = Sentence::new("test.error", "{user} has left {user}", vec![("user", (&ada).into())]);
    assert_eq!(sentence.as_error().to_string(), "Ada has left Ada");
    let named = sentence.saying(&|_| Some("Ada Jr."));
    assert_eq!(named.as_error().to_string(), "Ada Jr. has left Ada Jr.");
    let stop = Sentence::new("test.error", "Left by {user}.", vec![("user", (&ada).into())]);
    assert_eq!(stop.saying(&|_| Some("Ada Jr.")).as_error().to_string(), "left by Ada Jr.");
}

#[test]
fn every_sentence_that_is_declared_is_listed() {
    let listed = all();
    let ids: Vec<_> = listed.iter().map(Sentence::id).collect();
    assert_eq!(ids, ["test.used", "test.because"]);
}
