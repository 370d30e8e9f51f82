use crate::{
    manage::advice::{
        Advice, EvidenceKind, NextStep, Recommendation, Weight,
        signals::{AdvisedKey, advise},
    },
    record::{KeyRecord, KeyRow},
    time::Timestamp,
    usage::{UsageDetail, UsageRow},
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-03-01T12:00:00Z.
const NOW: i64 = 1_772_366_400_000;

/// Accepted requests: the source, the number, and how many hours ago the first and the last were.
type Seen = (&'static str, i64, i64, i64);

/// A description; kind, name and labels of the key; its usage; and the expected advice.
struct Case<'a>(&'a str, &'a str, &'a str, &'a str, &'a [Seen], Recommendation, NextStep);

fn advice_of(kind: &str, name: &str, labels: &str, seen: &[Seen], change: impl Fn(&mut KeyRow)) -> Advice {
    let mut row = KeyRow {
        kind: kind.into(),
        name: name.into(),
        labels: labels.into(),
        created_at: NOW - 400 * DAY,
        ..KeyRow::example()
    };
    change(&mut row);
    let rows = seen.iter().map(|&(source, count, first, last)| usage_row("success", source, count, first, last));
    let usage = UsageDetail::of(&rows.collect::<Vec<_>>()).unwrap();
    let (record, now) = (KeyRecord::try_from(&row).unwrap(), Timestamp::from_millis(NOW).unwrap());
    advise(&AdvisedKey::new(&record, now, true), &usage, now)
}

fn usage_row(outcome: &str, source: &str, count: i64, first: i64, last: i64) -> UsageRow {
    UsageRow {
        key: None,
        outcome: outcome.into(),
        count,
        first_at: NOW - first * HOUR,
        last_at: NOW - last * HOUR,
        ..UsageRow::seen_from(source)
    }
}

#[test]
fn advice_follows_the_table_that_people_use() {
    use NextStep::{
        AskThePeople, IssuePersonalKey, IssuePersonalKeyBeside, IssueTeamKeyBeside, Nothing, RotateIntoTeam, WaitForUse,
    };
    use Recommendation::{KeepPersonal, KeepTeam, MakePersonalKey, MakeTeamKey, NotEnoughEvidence};
    let networks = [
        ("@203.0.113.0/24", 40, 700, 2),
        ("@198.51.100.0/24", 31, 650, 5),
        ("@192.0.2.0/24", 12, 600, 9),
        ("@2001:db8:1::/48", 9, 500, 1),
        ("api/@2001:db8:2::/48", 8, 400, 3),
    ];
    let programs = [
        ("api/python-requests", 40, 700, 2),
        ("api/Go-http-client", 31, 650, 5),
        ("api/axios", 12, 600, 9),
        ("api/okhttp", 9, 500, 1),
    ];
    let doors = [
        ("api/curl", 4, 700, 2),
        ("agents/curl", 5, 650, 5),
        ("console/curl", 4, 600, 9),
        ("files/curl", 9, 500, 1),
        ("search/curl", 8, 400, 3),
    ];
    let cases = [
        // Personal keys.
        Case("curl on a laptop", "user", "Alice's laptop", "{}", &[("api/curl", 37, 900, 20)], KeepPersonal, Nothing),
        Case("curl, no name", "user", "", "{}", &[("api/curl", 37, 900, 20)], KeepPersonal, Nothing),
        Case("Postman", "user", "", "{}", &[("api/PostmanRuntime", 220, 900, 20)], KeepPersonal, Nothing),
        Case(
            "Postman, label and name of CI",
            "user",
            "CI deploy",
            r#"{"installed":"jenkins"}"#,
            &[("api/PostmanRuntime", 220, 900, 20)],
            KeepPersonal,
            Nothing,
        ),
        Case("vscode", "user", "VS Code", "{}", &[("vscode", 3_000, 2_000, 1)], KeepPersonal, Nothing),
        Case(
            "vscode and a loop of its own",
            "user",
            "",
            "{}",
            &[("api/vscode", 3_000, 2_000, 1), ("api/python-requests", 31, 720, 0)],
            KeepPersonal,
            Nothing,
        ),
        Case("a browser", "user", "", "{}", &[("api/Mozilla", 12, 900, 20)], KeepPersonal, Nothing),
        Case("GitHub Actions", "user", "", "{}", &[("api/GitHub-Actions", 51, 900, 20)], MakeTeamKey, RotateIntoTeam),
        Case(
            "GitHub Actions named laptop",
            "user",
            "Alice's laptop",
            "{}",
            &[("api/GitHub-Actions", 51, 900, 20)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "the runner itself",
            "user",
            "",
            "{}",
            &[("GitHubActionsRunner-linux-x64", 5, 90, 20)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case("GitLab runner", "user", "", "{}", &[("api/gitlab-runner", 8, 90, 2)], MakeTeamKey, RotateIntoTeam),
        Case("Terraform", "user", "", "{}", &[("api/Terraform", 8, 90, 2)], MakeTeamKey, RotateIntoTeam),
        Case(
            "CI and Postman",
            "user",
            "",
            "{}",
            &[("api/GitHub-Actions", 51, 900, 20), ("api/PostmanRuntime", 220, 900, 20)],
            MakeTeamKey,
            IssueTeamKeyBeside,
        ),
        Case("one try of CI", "user", "", "{}", &[("api/GitHub-Actions", 2, 90, 89)], NotEnoughEvidence, WaitForUse),
        Case(
            "one try of CI beside an editor",
            "user",
            "",
            "{}",
            &[("api/GitHub-Actions", 2, 90, 89), ("vscode", 900, 900, 1)],
            KeepPersonal,
            Nothing,
        ),
        Case(
            "CI a year ago, an editor now",
            "user",
            "",
            "{}",
            &[("api/Jenkins", 500, 9_000, 8_000), ("vscode", 900, 900, 1)],
            KeepPersonal,
            Nothing,
        ),
        Case("CI a year ago", "user", "", "{}", &[("api/Jenkins", 500, 9_000, 8_000)], MakeTeamKey, RotateIntoTeam),
        Case(
            "GitHub Actions with its networks",
            "user",
            "",
            "{}",
            &[("api/GitHub-Actions@203.0.113.0/24", 9, 900, 20), ("api/GitHub-Actions@2001:db8:7::/48", 7, 800, 30)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "a library on a laptop that roams",
            "user",
            "",
            "{}",
            &[
                ("api/python-requests@203.0.113.7", 9, 900, 20),
                ("api/python-requests@203.0.113.9", 7, 800, 30),
                ("api/python-requests@198.51.100.7", 5, 700, 40),
                ("python-requests@2001:db8:7::9", 4, 600, 50),
            ],
            KeepPersonal,
            Nothing,
        ),
        Case(
            "one program in many networks",
            "user",
            "",
            "{}",
            &[
                ("api/axios@203.0.113.0/24", 40, 700, 2),
                ("api/axios@198.51.100.0/24", 31, 650, 5),
                ("api/axios@192.0.2.0/24", 12, 600, 9),
                ("api/axios@2001:db8:1::/48", 9, 500, 1),
                ("api/@2001:db8:2::/48", 8, 400, 3),
            ],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case("cron, every 24 hours", "user", "", "{}", &[("api/curl", 31, 720, 0)], MakeTeamKey, RotateIntoTeam),
        Case(
            "cron, every hour, named laptop",
            "user",
            "laptop",
            "{}",
            &[("api/python-requests", 337, 340, 4)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case("not quite every 24 hours", "user", "", "{}", &[("api/curl", 28, 720, 0)], KeepPersonal, Nothing),
        Case("a burst", "user", "", "{}", &[("api/curl", 9_000, 30, 29)], KeepPersonal, Nothing),
        Case(
            "ten thousand a week",
            "user",
            "",
            "{}",
            &[("api/Go-http-client", 9_000, 170, 0)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "intake webhook",
            "user",
            "",
            "{}",
            &[("intake/Go-http-client", 400, 170, 0)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "intake webhook without a client",
            "user",
            "",
            "{}",
            &[("intake/", 400, 170, 0)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "intake webhook tried by hand",
            "user",
            "",
            "{}",
            &[("intake/PostmanRuntime", 9, 170, 0)],
            KeepPersonal,
            Nothing,
        ),
        Case(
            "GitHub's own hooks",
            "user",
            "",
            "{}",
            &[("api/GitHub-Hookshot", 9, 170, 0)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case("five networks", "user", "", "{}", &networks, MakeTeamKey, RotateIntoTeam),
        Case("four networks", "user", "", "{}", &networks[..4], KeepPersonal, Nothing),
        Case("four programs", "user", "", "{}", &programs, MakeTeamKey, RotateIntoTeam),
        Case("three programs", "user", "", "{}", &programs[1..], KeepPersonal, Nothing),
        Case("one client at five doors", "user", "", "{}", &doors, KeepPersonal, Nothing),
        Case("too many to tell apart", "user", "", "{}", &[("api/other", 90, 700, 1)], MakeTeamKey, RotateIntoTeam),
        Case("never used", "user", "", "{}", &[], NotEnoughEvidence, WaitForUse),
        Case("never used, name of CI", "user", "GitHub Actions - deploy", "{}", &[], NotEnoughEvidence, WaitForUse),
        Case(
            "name of CI, used by a script",
            "user",
            "GitHub Actions - deploy",
            "{}",
            &[("api/curl", 31, 900, 20)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "label of a shared host, used by a script",
            "user",
            "sync of agents",
            r#"{"installed":"k8s"}"#,
            &[("", 31, 900, 20)],
            MakeTeamKey,
            RotateIntoTeam,
        ),
        Case(
            "name that says both",
            "user",
            "laptop deploy",
            "{}",
            &[("api/curl", 31, 900, 20)],
            NotEnoughEvidence,
            AskThePeople,
        ),
        // Team keys.
        Case("team: CI", "team", "laptop", "{}", &[("api/GitHub-Actions", 51, 900, 20)], KeepTeam, Nothing),
        Case(
            "team: CI and Postman",
            "team",
            "",
            "{}",
            &[("api/GitHub-Actions", 51, 900, 20), ("api/PostmanRuntime", 220, 900, 20)],
            KeepTeam,
            IssuePersonalKeyBeside,
        ),
        Case(
            "team: only Postman",
            "team",
            "CI deploy",
            "{}",
            &[("api/PostmanRuntime", 220, 900, 20)],
            MakePersonalKey,
            IssuePersonalKey,
        ),
        Case("team: vscode", "team", "", "{}", &[("api/vscode", 220, 900, 20)], MakePersonalKey, IssuePersonalKey),
        Case("team: curl", "team", "", "{}", &[("api/curl", 31, 900, 20)], KeepTeam, Nothing),
        Case(
            "team: curl, named laptop",
            "team",
            "Bob's macbook",
            "{}",
            &[("api/curl", 31, 900, 20)],
            MakePersonalKey,
            IssuePersonalKey,
        ),
        Case("team: cron", "team", "", "{}", &[("api/curl", 31, 720, 0)], KeepTeam, Nothing),
        Case("team: never used", "team", "CI pipeline", "{}", &[], NotEnoughEvidence, WaitForUse),
    ];
    for Case(case, kind, name, labels, seen, recommendation, next) in cases {
        let advice = advice_of(kind, name, labels, seen, |_| {});
        assert_eq!((advice.recommendation, advice.next), (recommendation, next), "{case}: {:#?}", advice.evidence);
        assert!(!advice.evidence.is_empty(), "{case}");
    }
}

#[test]
fn what_was_recorded_is_told_before_what_was_written_and_the_weightiest_first() {
    let seen = [("intake/curl", 9, 900, 20), ("api/Jenkins", 12, 90, 2), ("api/vscode", 1, 5, 5)];
    let advice = advice_of("user", "laptop", r#"{"installed":"server"}"#, &seen, |_| {});
    let told: Vec<_> = advice.evidence.iter().map(|evidence| (evidence.kind, evidence.weight)).collect();
    assert_eq!(
        told,
        [
            (EvidenceKind::Client, Weight::Strong),
            (EvidenceKind::SourceLabel, Weight::Moderate),
            (EvidenceKind::Client, Weight::Weak),
            (EvidenceKind::Name, Weight::Weak),
            (EvidenceKind::Label, Weight::Weak),
        ]
    );
    assert!(advice.evidence[0].to_string().starts_with("`Jenkins` is a CI or deploy pipeline: 12 requests in 3 days"));
}

#[test]
fn refused_requests_are_no_evidence() {
    let row = KeyRow { kind: "user".into(), name: String::new(), labels: "{}".into(), ..KeyRow::example() };
    let usage = UsageDetail::of(&[usage_row("key_revoked", "api/GitHub-Actions", 500, 900, 1)]).unwrap();
    let (record, now) = (KeyRecord::try_from(&row).unwrap(), Timestamp::from_millis(NOW).unwrap());
    let advice = advise(&AdvisedKey::new(&record, now, true), &usage, now);
    assert_eq!(advice.recommendation, Recommendation::NotEnoughEvidence);
    assert!(advice.evidence[0].to_string().starts_with("No request with it has been accepted yet"));
    assert_eq!(advice.cadence, None);
}

#[test]
fn a_dead_key_needs_no_advice() {
    let seen = [("api/GitHub-Actions", 51, 900, 20)];
    for kill in [|row: &mut KeyRow| row.revoked_at = Some(NOW - 1), |row: &mut KeyRow| row.expires_at = Some(NOW)] {
        let advice = advice_of("user", "", "{}", &seen, kill);
        assert_eq!((advice.recommendation, advice.next), (Recommendation::AlreadyDead, NextStep::Nothing));
    }
}

#[test]
fn a_key_that_another_key_made_is_a_programs() {
    let by_key = |row: &mut KeyRow| row.created_via_key = Some("BBBBBBBBBBBBBBBBBBBB".into());
    let advice = advice_of("user", "", "{}", &[("api/curl", 31, 900, 20)], by_key);
    assert_eq!(advice.recommendation, Recommendation::MakeTeamKey);
    assert_eq!(advice_of("user", "", "{}", &[], by_key).recommendation, Recommendation::NotEnoughEvidence);
}

#[test]
fn the_answer_is_plain_words_for_programs() {
    let advice = advice_of("user", "", "{}", &[("api/GitHub-Actions", 51, 900, 20)], |_| {});
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(json["recommendation"], "make_team_key");
    assert_eq!(json["next"], "rotate_into_team");
    assert_eq!(json["evidence"][0]["kind"], "client");
    assert_eq!(json["evidence"][0]["points_to"], "ci_deploy");
    assert_eq!(json["evidence"][0]["weight"], "strong");
    assert_eq!(json["cadence"]["count"], 51);
}
