use base64ct::{Base64, Encoding};

use crate::{
    Actor, IssueKey,
    hash::{Argon2Params, Hasher, HasherConfig},
    key::{KeyFormat, PlaintextKey},
    manage::{
        InvalidInput, KeyMatches, ManageErrorKind, MatchConfidence, Rights, TeamRole,
        fixture::{Bench, person, system, team, team_id, user, user_id},
    },
    record::KeyRow,
};

const ID: &str = "AbCdEfGhIjKlMnOpQrSt";

async fn issued(bench: &Bench) -> PlaintextKey {
    bench.manager.issue(IssueKey::team(team_id("blue")), &system()).await.unwrap().into_plaintext()
}

/// The first characters of the id and the confidence, for each match.
fn shown(found: &KeyMatches) -> Vec<(String, MatchConfidence)> {
    found.keys.iter().map(|found| (found.key.id.as_str()[..6].to_owned(), found.evidence)).collect()
}

async fn evidence(bench: &Bench, text: &str) -> Vec<MatchConfidence> {
    let found = bench.manager.identify(text, &system()).await.unwrap();
    found.keys.iter().map(|found| found.evidence).collect()
}

#[tokio::test]
async fn a_whole_key_is_told_from_an_id_like_it() {
    let bench = Bench::new();
    let key = issued(&bench).await;
    let line = format!("Authorization: Bearer {}", key.expose_secret());
    assert_eq!(evidence(&bench, &line).await, [MatchConfidence::WholeKey]);

    let other = KeyFormat::unbranded().generate(key.kind()).unwrap();
    let forged = format!("team.{}.{}", key.id(), &other.expose_secret()[26..70]);
    let checksum = crc32fast::hash(forged.as_bytes()).to_be_bytes();
    let forged =
        format!("{forged}{}", <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string(&checksum[1..]));
    assert_eq!(evidence(&bench, &forged).await, [MatchConfidence::OtherSecret]);

    assert_eq!(evidence(&bench, &key.expose_secret()[..60]).await, [MatchConfidence::IdAndSecret]);
    assert_eq!(evidence(&bench, &key.redacted()).await, [MatchConfidence::Id]);
    assert_eq!(evidence(&bench, key.id().as_str()).await, [MatchConfidence::Id]);
    // For each key, the match with the highest confidence counts.
    let both = format!("{} {forged} {}", key.redacted(), key.expose_secret());
    assert_eq!(evidence(&bench, &both).await, [MatchConfidence::WholeKey]);
}

#[tokio::test]
async fn a_text_costs_at_most_a_hundred_proofs() {
    let hasher = Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_threads(1)).unwrap();
    let bench = Bench::with_hasher(hasher.clone());
    let mut text = String::new();
    for _ in 0..102 {
        text.push_str(issued(&bench).await.expose_secret());
        text.push('\n');
    }
    let before = hasher.runs();
    let found = evidence(&bench, &text).await;
    assert_eq!(hasher.runs() - before, 100);
    // The surest come first, and an answer has a hundred keys.
    assert_eq!(found, [MatchConfidence::WholeKey; 100]);
}

#[tokio::test]
async fn a_whole_key_is_proved_in_base64_and_found_in_another_case() {
    let bench = Bench::new();
    let key = issued(&bench).await;
    let k = key.expose_secret();
    let encoded = Base64::encode_string(format!("API_KEY={k}\n").as_bytes());
    assert_eq!(evidence(&bench, &format!("data:\n  .env: {encoded}\n")).await, [MatchConfidence::WholeKey]);
    // Hashed only once, however often it is in the text.
    let runs = bench.manager.identify(&format!("{k} {encoded} {encoded}"), &system()).await.unwrap();
    assert_eq!(shown(&runs).len(), 1);
    for text in [k.to_uppercase(), k.to_lowercase()] {
        assert_eq!(evidence(&bench, &text).await, [MatchConfidence::IdAndSecret], "{text}");
    }
    let member = person("stranger");
    assert_eq!(bench.manager.identify(&encoded, &member).await.unwrap(), KeyMatches::default());
}

#[tokio::test]
async fn a_part_finds_every_key_that_has_it_the_surest_first() {
    let bench = Bench::new();
    bench.plant(ID, &team("blue"), "*").await;
    bench.plant("xxAbCdEfGhxxxxxxxxxx", &team("blue"), "*").await;
    bench.plant("AbCdXXXXXXXXXXXXXXXX", &user("alice"), "*").await;
    let old = KeyRow { id: "AbCdEfxxxxxxxxxxxxxx".into(), revoked_at: Some(9), created_at: 1, ..KeyRow::example() };
    bench.plant_row(old).await;
    let found = async |text: &str| shown(&bench.manager.identify(text, &system()).await.unwrap());
    let of = |id: &str, evidence| (id.to_owned(), evidence);
    // A dead key comes after a live one, although it is older.
    assert_eq!(
        found("key=team.AbCdEf…").await,
        [of("AbCdEf", MatchConfidence::Beginning), of("AbCdEf", MatchConfidence::Beginning)]
    );
    let first = bench.manager.identify("key=team.AbCdEf…", &system()).await.unwrap().keys.remove(0);
    assert_eq!((first.key.id.as_str(), first.characters), (ID, 6));
    assert_eq!(found("team.AbCd").await.len(), 2);
    assert_eq!(found("user.AbCd").await, [of("AbCdXX", MatchConfidence::Beginning)]);
    assert_eq!(found("…CdEfGh…").await, [of("AbCdEf", MatchConfidence::Part), of("xxAbCd", MatchConfidence::Part)]);
    assert_eq!(found("AbCdE").await, []);
    assert_eq!(found(&format!("prefix-{ID}-suffix")).await, [of("AbCdEf", MatchConfidence::Id)]);
    // If the text has a whole id, other words are not taken for parts of ids.
    assert_eq!(found(&format!("{ID} xxAbCdEf")).await, [of("AbCdEf", MatchConfidence::Id)]);
}

#[tokio::test]
async fn what_the_actor_may_not_see_is_as_if_it_were_not_there() {
    let bench = Bench::new();
    let key = issued(&bench).await;
    let member = Actor::user(user_id("mo"), Rights::none().team(team_id("blue"), TeamRole::Member));
    for text in [key.expose_secret(), key.id().as_str(), &key.expose_secret()[..14], &key.id().as_str()[4..14]] {
        assert_eq!(bench.manager.identify(text, &member).await.unwrap().keys.len(), 1);
        let nothing = bench.manager.identify(text, &person("stranger")).await.unwrap();
        assert_eq!(nothing, KeyMatches::default());
        assert!(nothing.to_string().starts_with("This text contains no key that you have access to"));
        let elsewhere = person("mo").with_organization("elsewhere".parse().unwrap());
        let kind = bench.manager.identify(text, &elsewhere).await.unwrap_err().kind();
        assert_eq!(kind, ManageErrorKind::NotFound);
    }
}

#[tokio::test]
async fn keys_beyond_one_page_are_found_and_candidates_are_bounded() {
    let bench = Bench::new();
    for n in 0..2_100 {
        bench.plant_row(KeyRow { id: format!("SAME{n:016}"), created_at: n, ..KeyRow::example() }).await;
    }
    let last = bench.manager.identify("team.SAME0000000000002099", &system()).await.unwrap();
    assert_eq!((last.keys.len(), last.more), (1, false));
    let part = bench.manager.identify("…0000002098…", &system()).await.unwrap();
    assert_eq!((part.keys.len(), part.more), (1, false));
    let many = bench.manager.identify("team.SAME000", &system()).await.unwrap();
    assert_eq!((many.keys.len(), many.more), (100, true));
    assert_eq!(many.keys[0].key.id.as_str(), "SAME0000000000000000");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_counted() {
    let bench = Bench::new();
    bench.plant_row(KeyRow { id: ID.into(), hash: "!".into(), ..KeyRow::example() }).await;
    for text in [ID, "team.AbCdEf"] {
        let found = bench.manager.identify(text, &system()).await.unwrap();
        assert!(found.keys.is_empty() && found.unreadable > 0, "{found:?}");
        assert!(found.to_string().ends_with("cannot be read: tell the operator of the service."), "{found}");
    }
}

#[tokio::test]
async fn a_text_has_at_most_64_kib() {
    let bench = Bench::new();
    let longest = "team.AAAA ".repeat(6_553) + "123456";
    assert_eq!(longest.len(), 65_536);
    assert!(bench.manager.identify(&longest, &system()).await.unwrap().keys.is_empty());
    let error = bench.manager.identify(&format!("{longest}!"), &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::Fragment));
    assert!(!error.to_string().contains("AAAA") && !format!("{error:?}").contains("AAAA"));
}
