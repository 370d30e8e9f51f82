use std::{error::Error, time::Duration};

use super::{ManageError, ManageErrorKind};
use crate::{
    auth::AuthError,
    hash::{HashError, HashErrorKind, VerifyError, VerifyErrorKind},
    random::RandomnessError,
    time::{ClockReading, Timestamp},
};

/// The parts of sentences with a meaning of their own, of an error and all its causes.
fn told(error: &dyn Error) -> Vec<String> {
    let (mut texts, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        texts = format!("{texts};{error}");
        cause = error.source();
    }
    texts.split([':', ';', ',']).map(|part| part.trim().to_owned()).collect()
}

fn assert_told_once(error: &dyn Error) {
    let told = told(error);
    for (place, part) in told.iter().enumerate() {
        let others = told.iter().enumerate().filter(|(other, _)| *other != place);
        assert!(!others.map(|(_, other)| other).any(|other| other.contains(part.as_str())), "{part:?} of {told:?}");
    }
}

#[test]
fn what_a_cause_says_is_not_said_again_by_what_came_of_it() {
    use HashErrorKind::{Corrupt, Crowded, Failed, Overloaded, Randomness, Starved};
    let second = Duration::from_secs(1);
    for waited in [None, Some(second)] {
        for kind in [Corrupt, Crowded, Failed, Overloaded, Starved] {
            assert_told_once(&ManageError::from(HashError::not_done(kind, waited, second)));
        }
        for (kind, because) in [
            (VerifyErrorKind::Overloaded, AuthError::overloaded as fn(_, VerifyError) -> _),
            (VerifyErrorKind::Starved, AuthError::starved),
        ] {
            assert_told_once(&because(None, VerifyError::not_done(kind, waited, second)));
        }
    }
    assert_told_once(&ManageError::from(HashError::caused(Randomness, RandomnessError::injected())));
    assert_told_once(&ManageError::new(ManageErrorKind::Randomness).with_source(RandomnessError::injected()));
    let doubted = ClockReading::doubted(Timestamp::MIN, Timestamp::MAX).has_passed(Timestamp::MAX);
    assert_told_once(&ManageError::from(doubted.unwrap_err()));
}
