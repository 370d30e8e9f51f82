use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn found(addresses: &Addresses, name: &'static str, lines: &[&str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    addresses.find(&headers, &Extensions::new()).map(|address| address.to_string())
}

#[test]
fn entries_of_x_forwarded_for_are_counted_from_the_right() {
    for (proxies, lines, expected) in [
        (1, &["203.0.113.7"][..], Some("203.0.113.7")),
        (1, &["1.1.1.1, 203.0.113.7"], Some("203.0.113.7")),
        (1, &["1.1.1.1,203.0.113.7\t "], Some("203.0.113.7")),
        (1, &["1.1.1.1", "203.0.113.7"], Some("203.0.113.7")),
        (2, &["1.1.1.1", "203.0.113.7, 10.0.0.1"], Some("203.0.113.7")),
        (2, &["1.1.1.1, 203.0.113.7", "10.0.0.1"], Some("203.0.113.7")),
        (3, &["203.0.113.7", "10.0.0.1", "10.0.0.2"], Some("203.0.113.7")),
        // Fewer entries than proxies: never the leftmost one.
        (2, &["203.0.113.7"], None),
        (3, &["203.0.113.7, 10.0.0.1"], None),
        (255, &["203.0.113.7"], None),
        (1, &[], None),
        // Ports, brackets, IPv6, and IPv4 written as IPv6.
        (1, &["203.0.113.7:443"], Some("203.0.113.7")),
        (1, &["[2001:db8::7]:443"], Some("2001:db8::7")),
        (1, &["[2001:db8::7]"], Some("2001:db8::7")),
        (1, &["2001:db8::7"], Some("2001:db8::7")),
        (1, &["::ffff:203.0.113.7"], Some("203.0.113.7")),
        // An entry that is no address gives none, and no other entry replaces it.
        (1, &["203.0.113.7, unknown"], None),
        (1, &["203.0.113.7, _hidden"], None),
        (1, &["203.0.113.7,"], None),
        (1, &["203.0.113.7", ""], None),
        (2, &["203.0.113.7,,10.0.0.1"], None),
        (1, &["203.0.113.007"], None),
        (1, &["203.0.113.7 10.0.0.1"], None),
        (1, &["203.0.113.7:"], None),
        (1, &["203.0.113.7:99999"], None),
        (1, &["[203.0.113.7]"], None),
        (1, &["fe80::1%eth0"], None),
        (1, &["[fe80::1%1]:80"], None),
        (1, &["for=203.0.113.7"], None),
        (1, &["\"203.0.113.7\""], None),
        (1, &["1.1.1.1\\, 203.0.113.7"], Some("203.0.113.7")),
        (2, &["203.0.113.7\\, 1.1.1.1"], None),
        (1, &["203.0.113.7\u{e9}"], None),
    ] {
        let addresses = Addresses::forwarded_for(proxies);
        assert_eq!(found(&addresses, "x-forwarded-for", lines).as_deref(), expected, "{proxies} {lines:?}");
    }
}

#[test]
fn elements_of_forwarded_are_counted_from_the_right() {
    for (proxies, lines, expected) in [
        (1, &["for=203.0.113.7"][..], Some("203.0.113.7")),
        (1, &["for=1.1.1.1, For=\"203.0.113.7:47011\";proto=https;by=10.0.0.1"], Some("203.0.113.7")),
        (1, &["proto=https;for=\"[2001:db8:cafe::17]:4711\""], Some("2001:db8:cafe::17")),
        (1, &["for=\"[2001:db8:cafe::17]\""], Some("2001:db8:cafe::17")),
        (2, &["for=1.1.1.1, for=203.0.113.7", "for=10.0.0.1;by=\"a, b\""], Some("203.0.113.7")),
        (1, &["for=203.0.113.7;host=\"a;b, c\""], Some("203.0.113.7")),
        (2, &["for=203.0.113.7"], None),
        (1, &["for=203.0.113.7, for=unknown"], None),
        (1, &["for=203.0.113.7, for=\"_hidden:80\""], None),
        (1, &["for=203.0.113.7, by=10.0.0.1"], None),
        (1, &["for=203.0.113.7;for=10.0.0.1"], None),
        (1, &["for=2001:db8::7"], None),
        (1, &["for=\"203.0.113.7"], None),
        (1, &["for=203.0.113.7\""], None),
        (1, &["for=\"203.0.\"113.7\""], None),
        (1, &["for=\"203.0.113\\.7\""], None),
        (1, &["for"], None),
        (1, &["for="], None),
        (1, &["for=203.0.113.7;"], None),
        (1, &["203.0.113.7"], None),
        (1, &["for=203.0.113.7,"], None),
        // An open quote from a client does not reach the proxy's part.
        (1, &["for=1.1.1.1;by=\", for=203.0.113.7"], Some("203.0.113.7")),
        (1, &["for=\"x, for=\"[2001:db8::7]\""], Some("2001:db8::7")),
        (2, &["by=\"", "for=203.0.113.7", "for=10.0.0.1"], Some("203.0.113.7")),
        (2, &["for=1.1.1.1;by=\"x, for=203.0.113.7"], None),
    ] {
        let addresses = Addresses::forwarded(proxies);
        assert_eq!(found(&addresses, "forwarded", lines).as_deref(), expected, "{proxies} {lines:?}");
    }
}

#[test]
fn a_peer_is_found_in_its_extension() {
    let peer: std::net::SocketAddr = "[::ffff:203.0.113.7]:80".parse().unwrap();
    let addresses = Addresses::peer(std::net::SocketAddr::ip);
    let mut extensions = Extensions::new();
    assert_eq!(addresses.find(&HeaderMap::new(), &extensions), None);
    extensions.insert(peer);
    assert_eq!(addresses.find(&HeaderMap::new(), &extensions), "203.0.113.7".parse().ok());
    assert_eq!(Addresses::given().find(&HeaderMap::new(), &extensions), None);
}

#[test]
fn no_proxies_are_no_setting() {
    assert!(!Addresses::forwarded(0).is_in_range() && !Addresses::forwarded_for(0).is_in_range());
    assert!(Addresses::forwarded(1).is_in_range() && Addresses::given().is_in_range());
}

proptest! {
    /// Only what the proxies add decides, no matter what a client sends in how many lines.
    #[test]
    fn nothing_that_a_client_sends_moves_the_address(
        sent in proptest::collection::vec("[ -~\t]{0,40}|(for=)?\"?1\\.1\\.1\\.1[\",;]{0,3}", 0..4),
        proxies in 1..4_u8,
        appends in any::<bool>(),
    ) {
        let mut of_proxies = vec!["203.0.113.7".to_owned()];
        of_proxies.extend((1..proxies).map(|number| format!("10.0.0.{number}")));
        for (name, is_forwarded) in [("x-forwarded-for", false), ("forwarded", true)] {
            let added: Vec<String> = of_proxies
                .iter()
                .map(|address| if is_forwarded { format!("for=\"{address}\";proto=https") } else { address.clone() })
                .collect();
            let mut lines = sent.clone();
            let added = added.join(", ");
            match lines.last_mut() {
                Some(last) if appends => *last = format!("{last}, {added}"),
                _ => lines.push(added),
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let addresses =
                if is_forwarded { Addresses::forwarded(proxies) } else { Addresses::forwarded_for(proxies) };
            let found = found(&addresses, name, &lines);
            prop_assert_eq!(found.as_deref(), Some("203.0.113.7"), "{:?}", lines);
        }
    }
}
