//! The networks that a key may be used from.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::{
    lengths::MOST_NETWORKS,
    sentence::{Sentence, told_words},
};

/// The networks that a key may be used from: 1 to 32, each as an address and a prefix length (CIDR), such as
/// `203.0.113.0/24` and `2001:db8::/32`. A single address is a network of one.
///
/// An address is allowed if one of the networks contains it. An IPv4 address written as IPv6 (`::ffff:203.0.113.7`)
/// counts as IPv4, in a list and as a caller's address: an IPv6 network never contains an IPv4 address, and an IPv4
/// network never an IPv6 address. A program that reaches the service by both needs both.
///
/// A network with address bits beyond its length, such as `203.0.113.7/24`, is refused: one of the two is a mistake,
/// and it is unknown which. Length 0 is refused, because it would allow everything: a key that may be used from
/// anywhere has no list. More than 32 networks are refused, because every request checks them one by one.
///
/// The text form is sorted, with each network once and single blanks between them; serde has the same as a list of
/// texts.
///
/// ```
/// use tower_api_keys::Networks;
///
/// let office = Networks::new(["2001:db8::/32", "203.0.113.0/24", "198.51.100.7"])?;
/// assert_eq!(office.to_string(), "198.51.100.7/32 203.0.113.0/24 2001:db8::/32");
/// assert!(office.contains("203.0.113.7".parse()?) && office.contains("::ffff:203.0.113.7".parse()?));
/// assert!(!office.contains("203.0.114.7".parse()?));
///
/// assert!(Networks::new(["203.0.113.0/25"])?.is_within(&office));
/// assert!(Networks::new(["203.0.113.7/24"]).is_err() && Networks::new(["0.0.0.0/0"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Networks(
    // Shared by the cache and by records that are read.
    Arc<Vec<IpNet>>,
);

impl Networks {
    /// These networks.
    ///
    /// # Errors
    /// [`InvalidNetworks`] if there is none, if there are more than 32, or if one breaks a rule above.
    pub fn new(networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidNetworks> {
        let mut kept = Vec::new();
        for text in networks {
            kept.push(network(text.as_ref()).map_err(InvalidNetworks)?);
            // Refused before it is sorted, even if it only repeats networks.
            if kept.len() > 2 * MOST_NETWORKS {
                return Err(InvalidNetworks(NetworkRule::TooMany));
            }
        }
        kept.sort_unstable();
        kept.dedup();
        match kept.len() {
            0 => Err(InvalidNetworks(NetworkRule::Empty)),
            count if count > MOST_NETWORKS => Err(InvalidNetworks(NetworkRule::TooMany)),
            _ => Ok(Self(Arc::new(kept))),
        }
    }

    /// Whether one of them contains this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // Compares the differing bits, because each request with such a key runs this: `IpNet::contains` computes the
        // first and the last address of each network every time, which is 213 more instructions for four of them. No
        // length is 0.
        match address.to_canonical() {
            IpAddr::V4(address) => self.0.iter().any(|network| match network {
                IpNet::V4(four) => (four.addr().to_bits() ^ address.to_bits()) >> (32 - four.prefix_len()) == 0,
                IpNet::V6(_) => false,
            }),
            IpAddr::V6(address) => self.0.iter().any(|network| match network {
                IpNet::V4(_) => false,
                IpNet::V6(six) => (six.addr().to_bits() ^ address.to_bits()) >> (128 - six.prefix_len()) == 0,
            }),
        }
    }

    /// Whether `wider` contains every address that these contain, no matter how it is split into networks.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        let whole = IpNet::aggregate(&wider.0);
        self.0.iter().all(|network| whole.iter().any(|wide| wide.contains(network)))
    }

    /// The networks in their text form, in order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(ToString::to_string)
    }
}

/// One network, in its only form.
fn network(text: &str) -> Result<IpNet, NetworkRule> {
    let (address, length) = match text.split_once('/') {
        None => (text, None),
        Some((address, length)) => (address, Some(prefix_length(length)?)),
    };
    let address: IpAddr = address.parse().map_err(|_| NetworkRule::Text)?;
    let written = match length {
        None => IpNet::from(address),
        Some(length) => IpNet::new(address, length).map_err(|_| NetworkRule::Text)?,
    };
    if written.trunc() != written {
        return Err(NetworkRule::HostBits);
    }
    let network = match written {
        IpNet::V6(six) => mapped(six.addr(), six.prefix_len()).map_or(written, IpNet::V4),
        IpNet::V4(_) => written,
    };
    if network.prefix_len() == 0 { Err(NetworkRule::Everywhere) } else { Ok(network) }
}

/// 1 to 3 digits without a zero before them: there is one way to write a length.
fn prefix_length(text: &str) -> Result<u8, NetworkRule> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(NetworkRule::Text)
}

/// The IPv4 network that is written like this; none for an IPv6 network wider than all of IPv4.
fn mapped(address: Ipv6Addr, length: u8) -> Option<Ipv4Net> {
    Ipv4Net::new(address.to_ipv4_mapped()?, length.checked_sub(96)?).ok()
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Networks({:?})", self.to_string())
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            network.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Networks {
    type Err = InvalidNetworks;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.split(' ').filter(|_| !text.is_empty()))
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidNetworks;

    fn try_from(networks: Vec<String>) -> Result<Self, Self::Error> {
        Self::new(networks)
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        networks.iter().collect()
    }
}

/// The texts are not a valid list of networks.
///
/// ```
/// use tower_api_keys::Networks;
///
/// let error = Networks::new(["203.0.113.7/24"]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the address does not match the length of the network: write 203.0.113.0/24 for the whole network, or 203.0.113.7 for one address"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.sentence().as_error())]
pub struct InvalidNetworks(NetworkRule);

impl InvalidNetworks {
    /// The rule that they break, in a sentence.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        self.0.sentence()
    }

    /// The sentence of each rule.
    pub(crate) fn sentences() -> Vec<Sentence> {
        NetworkRule::ALL.map(NetworkRule::sentence).to_vec()
    }
}

told_words! {
    enum NetworkRule as "invalid_networks",
    sentence {
        Empty = "empty":
            "A list of networks must contain at least one network: to allow every network, leave the list out.",
        Everywhere = "everywhere":
            "A network of length 0 means every network: to allow every network, leave the list out.",
        HostBits = "host_bits":
            "The address does not match the length of the network: write 203.0.113.0/24 for the whole network, or \
             203.0.113.7 for one address.",
        Text = "text":
            "A network must be an IP address, or an IP address with a slash and a length: 203.0.113.0/24, \
             2001:db8::/32.",
        TooMany = "too_many": "A key can have at most 32 networks.",
    }
}

#[cfg(test)]
mod tests;
