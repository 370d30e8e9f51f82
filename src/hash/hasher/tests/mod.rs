//! The hasher under load, with peppers, and when it is dropped.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        atomic::Ordering,
        mpsc::{Sender, channel},
    },
    task::{Context, Poll, Waker},
};

use argon2::{Algorithm, Argon2, PasswordHash, PasswordVerifier, Version};

use super::*;
use crate::hash::{
    HasherSetupErrorKind, Pepper,
    cpu_time::CpuTime,
    job::{Job, Unheard},
    queue::Queued,
    tag::TagKey,
};

mod load;

const ID: [u8; 20] = *b"some-public-id-of-20";
const OTHER_ID: [u8; 20] = *b"another-public-id-20";

/// One thread, and waits that no test reaches.
fn config() -> HasherConfig {
    HasherConfig::new()
        .with_params(Argon2Params::MACHINE_SECRET)
        .with_threads(1)
        .with_check_wait(Duration::from_secs(60))
        .without_relief()
}

fn hasher(config: HasherConfig) -> Hasher {
    Hasher::new(config).unwrap()
}

fn peppers(known: &[(u32, u8)], current: Option<u32>) -> Peppers {
    let known = known.iter().fold(Peppers::new(), |peppers, &(id, byte)| {
        peppers.with(PepperId::new(id), Pepper::from_bytes([byte; Pepper::LENGTH]))
    });
    match current {
        Some(id) => known.current(PepperId::new(id)).unwrap(),
        None => known,
    }
}

/// A hash with these params and this pepper, which is never run.
fn stored(params: Argon2Params, pepper: Option<u32>) -> KeyHash {
    KeyHash::assemble(params, [1; 16], [2; 32], TagKey::new(None).tag("text"), pepper.map(PepperId::new))
}

fn verdict(result: Result<(), VerifyError>) -> Option<VerifyErrorKind> {
    result.err().map(|error| error.kind())
}

fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Occupies the only thread until the sender is dropped.
fn occupy(hasher: &Hasher) -> Sender<()> {
    let (release, released) = channel();
    let (begun, begins) = channel();
    let released = std::sync::Mutex::new(released);
    let job = move |_: &mut Memory| {
        begun.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        Ok(())
    };
    hasher.0.pool.submit(Urgency::Issue, || Queued::new(Job::new(job, Unheard))).unwrap();
    begins.recv().unwrap();
    release
}

/// Returns when the only thread has no work left.
fn drain(hasher: &Hasher) {
    let (done, is_done) = channel();
    let job = move |_: &mut Memory| {
        done.send(()).unwrap();
        Ok(())
    };
    hasher.0.pool.submit(Urgency::Rehash, || Queued::new(Job::new(job, Unheard))).unwrap();
    is_done.recv().unwrap();
}

#[tokio::test]
async fn stored_hash_is_verified_by_the_argon2_crate_alone() {
    let made = hasher(config().with_params(Argon2Params::STANDARD)).hash("user.id.secret").await.unwrap();
    let parsed = PasswordHash::new(made.phc()).unwrap();
    assert!(Argon2::default().verify_password(b"user.id.secret", &parsed).is_ok());
    assert!(Argon2::default().verify_password(b"user.id.secreT", &parsed).is_err());
}

#[tokio::test]
async fn peppered_hash_is_verified_by_the_argon2_crate_with_its_secret() {
    let made = hasher(config().with_peppers(peppers(&[(1, 7)], Some(1)))).hash("user.id.secret").await.unwrap();
    let parsed = PasswordHash::new(made.phc()).unwrap();
    let argon2 = Argon2::new_with_secret(&[7; 32], Algorithm::Argon2id, Version::V0x13, argon2::Params::default());
    assert!(argon2.unwrap().verify_password(b"user.id.secret", &parsed).is_ok());
    assert!(Argon2::default().verify_password(b"user.id.secret", &parsed).is_err());
}

#[tokio::test]
async fn the_hashed_text_is_accepted_from_its_stored_parts() {
    let hasher = hasher(config().with_peppers(peppers(&[(1, 7)], Some(1))));
    let made = hasher.hash("user.id.secret").await.unwrap();
    let pepper = made.pepper().map(PepperId::as_u32);
    let read = KeyHash::from_parts(made.phc(), made.tag().to_bytes(), pepper).unwrap();
    assert!(hasher.check_tag("user.id.secret", &read).is_ok());
    assert_eq!(verdict(hasher.verify(ID, "user.id.secret", &read).await), None);
}

#[tokio::test]
async fn two_hashes_of_one_text_share_no_salt() {
    let hasher = hasher(config());
    let (one, two) = (hasher.hash("text").await.unwrap(), hasher.hash("text").await.unwrap());
    assert_ne!(one.salt(), two.salt());
    assert_ne!(one.output(), two.output());
}

#[tokio::test]
async fn a_hash_moved_onto_another_row_fails() {
    let hasher = hasher(config());
    let moved = hasher.hash("user.mallory.secret").await.unwrap();
    let tag = hasher.check_tag("user.alice.secret", &moved).unwrap_err();
    assert_eq!(tag.kind(), TagErrorKind::Mismatch);
    assert_eq!(verdict(hasher.verify(ID, "user.alice.secret", &moved).await), Some(VerifyErrorKind::Mismatch));
}

#[tokio::test]
async fn a_tag_that_matches_proves_nothing() {
    let hasher = hasher(config());
    let other = hasher.hash("other").await.unwrap();
    let forged = KeyHash::assemble(
        other.params(),
        *other.salt(),
        *other.output(),
        hasher.hash("text").await.unwrap().tag(),
        None,
    );
    assert!(hasher.check_tag("text", &forged).is_ok());
    assert_eq!(verdict(hasher.verify(ID, "text", &forged).await), Some(VerifyErrorKind::Mismatch));
}

#[tokio::test]
async fn another_pepper_under_the_same_id_matches_neither_tag_nor_hash() {
    let made = hasher(config().with_peppers(peppers(&[(1, 7)], Some(1)))).hash("text").await.unwrap();
    let wrong = hasher(config().with_peppers(peppers(&[(1, 8)], Some(1))));
    assert_eq!(wrong.check_tag("text", &made).unwrap_err().kind(), TagErrorKind::Mismatch);
    assert_eq!(verdict(wrong.verify(ID, "text", &made).await), Some(VerifyErrorKind::Mismatch));
}

#[tokio::test]
async fn the_pepper_of_the_record_counts_and_not_the_current_one() {
    let old = hasher(config().with_peppers(peppers(&[(1, 7)], Some(1)))).hash("text").await.unwrap();
    let new = hasher(config().with_peppers(peppers(&[(1, 7), (2, 8)], Some(2))));
    assert!(new.check_tag("text", &old).is_ok());
    assert_eq!(verdict(new.verify(ID, "text", &old).await), None);
}

#[tokio::test]
async fn an_unknown_pepper_is_corrupt_and_costs_no_run() {
    let hasher = hasher(config());
    let stored = stored(Argon2Params::MACHINE_SECRET, Some(1));
    assert_eq!(hasher.check_tag("text", &stored).unwrap_err().kind(), TagErrorKind::UnknownPepper);
    assert_eq!(verdict(hasher.verify(ID, "text", &stored).await), Some(VerifyErrorKind::Corrupt));
    assert_eq!(hasher.rehash("text", &stored).await.unwrap_err().kind(), HashErrorKind::Corrupt);
    assert_eq!(hasher.runs(), 0);
}

#[tokio::test]
async fn a_cost_that_is_not_accepted_is_corrupt_and_costs_no_run() {
    let hasher = hasher(config().with_accepted([Argon2Params::STANDARD]));
    for (memory_kib, iterations) in [(63, 1), (19_457, 1), (64, 3), (1024 * 1024, 64)] {
        let stored = stored(Argon2Params::new(memory_kib, iterations).unwrap(), None);
        assert_eq!(verdict(hasher.verify(ID, "text", &stored).await), Some(VerifyErrorKind::Corrupt));
        assert!(!hasher.wants_rehash(&stored));
    }
    assert_eq!(hasher.runs(), 0);
}

#[test]
fn rehashing_goes_upward_only() {
    let standard = Argon2Params::STANDARD;
    let low_memory = Argon2Params::LOW_MEMORY;
    let machine = Argon2Params::MACHINE_SECRET;
    for (from, from_pepper, to, to_pepper, wanted) in [
        (standard, None, standard, None, false),
        (machine, None, standard, None, true),
        (machine, None, low_memory, None, true),
        (standard, None, machine, None, false),
        (standard, None, low_memory, None, false),
        (low_memory, None, standard, None, false),
        (standard, None, standard, Some(1), true),
        (standard, Some(1), standard, Some(2), true),
        (standard, Some(2), standard, Some(1), false),
        (standard, Some(1), standard, Some(1), false),
        (standard, Some(1), standard, None, false),
        (standard, Some(1), machine, Some(2), true),
        (machine, Some(2), standard, Some(1), true),
    ] {
        let hasher = hasher(config().with_params(to).with_peppers(peppers(&[(1, 7), (2, 8)], to_pepper)));
        let stored = stored(from, from_pepper);
        assert_eq!(hasher.wants_rehash(&stored), wanted, "{from:?} {from_pepper:?} -> {to:?} {to_pepper:?}");
    }
}

#[tokio::test]
async fn rehashing_takes_the_newer_pepper_and_the_stronger_cost() {
    let known = |current| peppers(&[(1, 7), (2, 8)], Some(current));
    let strong = Argon2Params::new(128, 1).unwrap();
    let newer_pepper = hasher(config().with_peppers(known(2)));
    let stronger_cost = hasher(config().with_params(strong).with_peppers(known(1)));
    let first = newer_pepper.hash("text").await.unwrap();

    let second = stronger_cost.rehash("text", &first).await.unwrap();

    assert_eq!((second.params(), second.pepper()), (strong, Some(PepperId::new(2))));
    assert!(!newer_pepper.wants_rehash(&second) && !stronger_cost.wants_rehash(&second));
    assert_eq!(verdict(newer_pepper.verify(ID, "text", &second).await), None);
}

#[test]
fn key_check_values_tell_peppers_apart() {
    let values = |known: &[(u32, u8)]| hasher(config().with_peppers(peppers(known, None))).key_check_values();
    let (right, wrong) = (values(&[(1, 7), (2, 8)]), values(&[(1, 7), (2, 9)]));
    assert_eq!(right.iter().map(|(id, _)| id.as_u32()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(right[0], wrong[0]);
    assert_ne!(right[1], wrong[1]);
    assert!(values(&[]).is_empty());
}

#[test]
fn a_hasher_refuses_a_configuration_that_makes_no_sense() {
    let error = Hasher::new(config().with_threads(0)).unwrap_err();
    assert_eq!(error.kind(), HasherSetupErrorKind::Threads);
}

#[test]
fn debug_of_a_hasher_shows_no_pepper() {
    let hasher = hasher(config().with_peppers(peppers(&[(1, b'x')], Some(1))));
    assert_eq!(
        format!("{hasher:?}"),
        "Hasher { params: Argon2Params { memory_kib: 64, iterations: 1 }, \
         peppers: Peppers { known: [PepperId(1)], current: Some(PepperId(1)) }, .. }"
    );
}
