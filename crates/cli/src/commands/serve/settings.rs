//! What the operator of the server decides about proxies.

use std::net::IpAddr;

use tower_api_keys::{Networks, auth::Addresses};

use crate::failure::Failure;

/// The proxies whose word about addresses counts.
pub(super) struct Proxies(Networks);

impl Proxies {
    /// Those of this option; none if there are none.
    pub(super) fn named(option: &str, networks: &[String]) -> Result<Option<Self>, Failure> {
        if networks.is_empty() {
            return Ok(None);
        }
        let networks = Networks::new(networks).map_err(|error| Failure::option(option, &error))?;
        Ok(Some(Self(networks)))
    }

    pub(super) fn include(&self, peer: IpAddr) -> bool {
        self.0.contains(peer)
    }
}

/// Where the address of a client is found. The header is removed from requests that do not come from a named proxy.
pub(super) fn addresses(proxies: Option<&Proxies>, between: u8) -> Option<Addresses> {
    proxies.map(|_| Addresses::forwarded_for(between))
}
