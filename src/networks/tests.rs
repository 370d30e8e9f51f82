use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn networks(list: &[&str]) -> Networks {
    Networks::new(list).unwrap()
}

fn rule(list: &[&str]) -> NetworkRule {
    Networks::new(list).unwrap_err().0
}

#[test]
fn each_network_has_one_form() {
    for (list, text) in [
        (&["203.0.113.0/24"][..], "203.0.113.0/24"),
        (&["203.0.113.7"], "203.0.113.7/32"),
        (&["203.0.113.7/32", "203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107/128"], "203.0.113.7/32"),
        (&["::ffff:203.0.113.0/120"], "203.0.113.0/24"),
        (&["::ffff:128.0.0.0/97"], "128.0.0.0/1"),
        (&["2001:DB8:0::/32"], "2001:db8::/32"),
        (&["2001:db8::1"], "2001:db8::1/128"),
        // Not sorted like texts.
        (&["::1", "100.0.0.0/8", "9.0.0.0/8", "9.0.0.0/9"], "9.0.0.0/8 9.0.0.0/9 100.0.0.0/8 ::1/128"),
    ] {
        let networks = networks(list);
        assert_eq!(networks.to_string(), text);
        assert_eq!(text.parse::<Networks>().unwrap(), networks);
        let json = serde_json::to_value(&networks).unwrap();
        assert_eq!(json, serde_json::json!(text.split(' ').collect::<Vec<_>>()));
        assert_eq!(serde_json::from_value::<Networks>(json).unwrap(), networks);
    }
}

#[test]
fn what_is_no_network_is_refused() {
    for text in [
        "",
        " ",
        "a",
        "203.0.113",
        "203.0.113.0/",
        "/24",
        "203.0.113.0/33",
        "203.0.113.0/+8",
        "203.0.113.0/08",
        "203.0.113.0/-1",
        "203.0.113.0/256",
        "203.0.113.0/24/8",
        "203.0.113.0 /24",
        " 203.0.113.0/24",
        "203.0.113.007",
        "0xcb.0.113.0/24",
        "203.0.113.0/255.255.255.0",
        "2001:db8::/129",
        "fe80::1%eth0",
        "[2001:db8::]/32",
        "203.0.113.*",
        "203.0.113.0-203.0.113.9",
        "localhost",
        "203.0.113.0/24,198.51.100.0/24",
    ] {
        assert_eq!(rule(&[text]), NetworkRule::Text, "{text:?}");
    }
    for text in ["203.0.113.7/24", "10.0.0.1/8", "2001:db8::1/32", "::ffff:203.0.113.7/120", "::ffff:203.0.113.0/64"] {
        assert_eq!(rule(&[text]), NetworkRule::HostBits, "{text:?}");
    }
    for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
        assert_eq!(rule(&[text]), NetworkRule::Everywhere, "{text:?}");
    }
    assert_eq!(rule(&[]), NetworkRule::Empty);
    assert_eq!("".parse::<Networks>().unwrap_err().0, NetworkRule::Empty);
    for text in ["203.0.113.0/24  198.51.100.0/24", "203.0.113.0/24 ", " "] {
        assert_eq!(text.parse::<Networks>().unwrap_err().0, NetworkRule::Text, "{text:?}");
    }
}

#[test]
fn thirty_two_are_enough() {
    let many = |count: u8| Networks::new((0..count).map(|number| format!("10.0.{number}.0/24")));
    assert!(many(32).is_ok());
    assert_eq!(many(33).unwrap_err().0, NetworkRule::TooMany);
    assert!(Networks::new(["10.0.0.0/8"; 64]).is_ok());
    assert_eq!(Networks::new(std::iter::repeat("10.0.0.0/8")).unwrap_err().0, NetworkRule::TooMany);
}

#[test]
fn halves_are_the_whole() {
    let (whole, halves) = (networks(&["10.0.0.0/8"]), networks(&["10.0.0.0/9", "10.128.0.0/9"]));
    assert!(whole.is_within(&halves) && halves.is_within(&whole));
    assert!(!whole.is_within(&networks(&["10.0.0.0/9"])) && !whole.is_within(&networks(&["::a00:0/104"])));
    assert!(!networks(&["10.0.0.0/8", "::1"]).is_within(&whole));
}

/// Bits of an address, and how many of them count. IPv4 in the low bits, with its own count.
#[derive(Clone, Copy, Debug)]
struct Model {
    is_four: bool,
    bits: u128,
    length: u32,
}

impl Model {
    const fn width(self) -> u32 {
        if self.is_four { 32 } else { 128 }
    }

    /// The bits that count.
    fn head(self, bits: u128) -> Option<u128> {
        bits.checked_shr(self.width() - self.length)
    }

    fn address(self, bits: u128) -> IpAddr {
        if self.is_four {
            Ipv4Addr::from_bits(u32::try_from(bits).unwrap()).into()
        } else {
            Ipv6Addr::from_bits(bits).into()
        }
    }

    fn text(self) -> String {
        let cut = self.head(self.bits).unwrap() << (self.width() - self.length);
        format!("{}/{}", self.address(cut), self.length)
    }

    fn contains(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(four) => self.is_four && self.head(four.to_bits().into()) == self.head(self.bits),
            IpAddr::V6(six) if six.to_bits() >> 32 == 0xffff => {
                self.is_four && self.head(six.to_bits() & 0xffff_ffff) == self.head(self.bits)
            }
            IpAddr::V6(six) => !self.is_four && self.head(six.to_bits()) == self.head(self.bits),
        }
    }
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![
        (any::<u32>(), 1..=32_u32).prop_map(|(bits, length)| Model { is_four: true, bits: bits.into(), length }),
        // Except for the first, these bits are never an IPv4 address.
        (any::<u128>(), 1..=128_u32).prop_map(|(bits, length)| Model { is_four: false, bits: bits | 1 << 127, length }),
    ]
}

/// An address, or one near the edge of a network.
fn address(of: Vec<Model>) -> impl Strategy<Value = (Vec<Model>, IpAddr)> {
    let count = of.len();
    (Just(of), 0..count, 0..130_u32, any::<u128>()).prop_map(|(of, which, flip, random)| {
        let near = of[which];
        let bits = if flip < near.width() { near.bits ^ (1 << flip) } else { random };
        let bits = if near.is_four { bits & 0xffff_ffff } else { bits };
        let address = near.address(bits);
        (of, address)
    })
}

proptest! {
    #[test]
    fn containment_is_equality_of_the_bits_that_count(
        (models, address) in proptest::collection::vec(model(), 1..5).prop_flat_map(address),
    ) {
        let networks = Networks::new(models.iter().map(|model| model.text())).unwrap();
        let expected = models.iter().any(|model| model.contains(address));
        prop_assert_eq!(networks.contains(address), expected, "{} {}", networks, address);
        if let IpAddr::V4(four) = address {
            prop_assert_eq!(networks.contains(four.to_ipv6_mapped().into()), expected);
        }
        // Written as IPv6, each is the same network.
        let mapped = models.iter().map(|model| match model.address(model.bits) {
            IpAddr::V4(_) => format!("::ffff:{}/{}", model.text().split('/').next().unwrap(), model.length + 96),
            IpAddr::V6(_) => model.text(),
        });
        prop_assert_eq!(&Networks::new(mapped).unwrap(), &networks);
        prop_assert_eq!(&networks.to_string().parse::<Networks>().unwrap(), &networks);
    }

    #[test]
    fn what_is_within_contains_no_other_address(
        wide in proptest::collection::vec(model(), 1..4),
        deeper in 0..40_u32,
        address in any::<u32>(),
    ) {
        let narrow = wide.iter().map(|model| Model { length: (model.length + deeper).min(model.width()), ..*model });
        let narrow = Networks::new(narrow.map(Model::text)).unwrap();
        let wide = Networks::new(wide.into_iter().map(Model::text)).unwrap();
        prop_assert!(narrow.is_within(&wide));
        let address = IpAddr::from(Ipv4Addr::from_bits(address));
        prop_assert!(!narrow.contains(address) || wide.contains(address));
        prop_assert_eq!(wide.is_within(&narrow), wide == narrow || IpNet::aggregate(&wide.0) == IpNet::aggregate(&narrow.0));
    }
}
