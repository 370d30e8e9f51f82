use std::{
    fmt, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use http::{HeaderValue, Request, header::USER_AGENT, request::Parts};

use crate::{
    auth::Addresses,
    key::{contains_foreign_credential, may_hold_secret},
    lengths::CLIENT_CHARACTERS,
    text::is_invisible,
    usage::{Label, NamedClient, Origin},
};

/// The longest text of such a function that is processed, in bytes. It may be a header from a stranger.
const LOOKED_AT: usize = 1_024;

/// How to find client and network of a request. It is counted under them, beside key, outcome and the layer's
/// [label](super::ApiKeyLayer::source).
///
/// The client is the product name at the beginning of the `User-Agent`: `curl` of `curl/8.5.0`. The version is left
/// out: with it, each upgrade of a client would be another source, and the one before would seem to have gone. There is
/// no client if the name is no token (RFC 9110 §10.1.5), is longer than 256 bytes, holds a key, or has as many letters,
/// digits, `-` and `_` in a row as the secret of a key. Of a long name, the first 64 characters are kept.
///
/// For each key, 64 sources are distinguished, in all processes together as far as they see each other's counts: 64 of
/// accepted requests, 64 of requests that showed the key when it was dead, and 64 of requests that proved nothing. So a
/// caller that knows only a key's public id does not crowd out the caller that has the key. Requests from further
/// sources are counted under the client `other`, one for each label;
/// [`usage_sources_folded`](crate::auth::AuthMetrics::usage_sources_folded) says how often. Requests that name no key
/// in the store have the same bound, separately for each label.
///
/// If a service behind the layer refuses a request, that is counted under its source if the answer carries a
/// [`Refusal`](super::Refusal) in its extensions, as those of this crate do. Not seen: a handler's own 403, and an
/// answer whose extensions a layer in between removed.
///
/// ```
/// use tower_api_keys::{ApiKeyLayer, middleware::Sources, usage::Source};
///
/// # fn example<R>(layer: ApiKeyLayer<R>) -> Result<ApiKeyLayer<R>, tower_api_keys::InvalidId> {
/// // `intake/curl@203.0.113.0/24`, if the service sets `addresses`.
/// let sources = Sources::new().with_networks();
/// # Ok(
/// layer.source(Source::new("intake")?).sources(sources)
/// # )
/// # }
/// ```
///
/// # Security
/// Callers choose the name of their client: a source is a hint for people, and proves nothing.
#[derive(Clone, Default)]
pub struct Sources {
    ignores_agent: bool,
    client: Option<Arc<dyn Client>>,
    keeps_networks: bool,
    whole_addresses: bool,
}

/// A function of a request.
trait Client: Send + Sync {
    fn of(&self, request: &Parts) -> Option<String>;
}

impl<F: Fn(&Parts) -> Option<String> + Send + Sync> Client for F {
    fn of(&self, request: &Parts) -> Option<String> {
        self(request)
    }
}

impl Sources {
    /// The product of the `User-Agent` as the client, and no network.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A function that names the client, instead of the `User-Agent`; none for no client. It runs for each request, on
    /// the thread that serves it. If it panics, that request fails as if a handler had panicked.
    ///
    /// From the returned text, invisible characters and those that change the direction of text are removed. `/`
    /// becomes `_`, because it separates label and client in lines for people. 64 characters are kept. A text that may
    /// hold the secret of a key is no client, nor is a text of more than 1,024 bytes.
    #[must_use]
    pub fn with_client(mut self, client: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.client = Some(Arc::new(client));
        self
    }

    /// Adds the network of the client: `203.0.113.0/24`. Its address is found as set by
    /// [`ApiKeysBuilder::addresses`](crate::ApiKeysBuilder::addresses); without that, there is no network. Default: no
    /// networks.
    ///
    /// Only the first 24 bits of an IPv4 address are kept, and 48 of an IPv6 address: a network, not a person. An IPv4
    /// address written as IPv6 (`::ffff:203.0.113.7`) counts as IPv4.
    ///
    /// # Security
    /// Addresses are personal data in many places, and a key that moves between networks soon reaches 64 of them.
    #[must_use]
    pub fn with_networks(mut self) -> Self {
        self.keeps_networks = true;
        self
    }

    /// Keeps whole addresses: `203.0.113.7`. Default: networks, if [they are kept](Self::with_networks).
    #[must_use]
    pub fn with_whole_addresses(mut self) -> Self {
        self.whole_addresses = true;
        self
    }

    /// Does not look at the `User-Agent`. Default: it names the client, unless [`with_client`](Self::with_client) sets
    /// a function.
    #[must_use]
    pub fn without_user_agent(mut self) -> Self {
        self.ignores_agent = true;
        self
    }

    /// Whether there are functions to call besides reading the user agent.
    pub(crate) const fn asks(&self) -> bool {
        self.client.is_some() || self.keeps_networks
    }

    /// Calls the functions for client and network.
    #[inline(never)]
    pub(crate) fn ask<B>(&self, request: &mut Request<B>, addresses: Option<&Addresses>) -> NamedClient {
        let address = addresses.filter(|_| self.keeps_networks);
        let address = address.and_then(|addresses| addresses.find(request.headers(), request.extensions()));
        let network = address.map(|address| self.written(address)).unwrap_or_default();
        // Lent to the functions in the form that they expect, and put back. Taking the request apart and building it
        // again would move all of it, also for requests that call no function.
        let (mut parts, ()) = Request::new(()).into_parts();
        let swap = |request: &mut Request<B>, parts: &mut Parts| {
            mem::swap(request.method_mut(), &mut parts.method);
            mem::swap(request.uri_mut(), &mut parts.uri);
            mem::swap(request.version_mut(), &mut parts.version);
            mem::swap(request.headers_mut(), &mut parts.headers);
            mem::swap(request.extensions_mut(), &mut parts.extensions);
        };
        swap(request, &mut parts);
        let named = NamedClient { client: self.client_of(&parts), network };
        swap(request, &mut parts);
        named
    }

    /// The source of a request with this user agent at a layer with this label, with the results of the embedder's
    /// functions.
    pub(crate) fn origin<'a>(
        &self,
        label: &'a Label,
        named: Option<&'a NamedClient>,
        agent: Option<&'a HeaderValue>,
    ) -> Origin<'a> {
        match named {
            Some(named) => Origin::Named(label, named),
            None => Origin::Agent(label, self.agent(agent)),
        }
    }

    fn agent<'a>(&self, agent: Option<&'a HeaderValue>) -> Option<&'a [u8]> {
        agent.filter(|_| !self.ignores_agent).map(HeaderValue::as_bytes)
    }

    fn client_of(&self, request: &Parts) -> String {
        match &self.client {
            Some(client) => client.of(request).map(|client| clean(&client)).unwrap_or_default(),
            None => {
                self.agent(request.headers.get(USER_AGENT)).and_then(Origin::product).unwrap_or_default().to_owned()
            }
        }
    }

    fn written(&self, address: IpAddr) -> String {
        match address {
            address if self.whole_addresses => address.to_string(),
            IpAddr::V4(address) => {
                let [one, two, three, _] = address.octets();
                format!("{}/24", Ipv4Addr::new(one, two, three, 0))
            }
            IpAddr::V6(address) => {
                let [one, two, three, ..] = address.segments();
                format!("{}/48", Ipv6Addr::new(one, two, three, 0, 0, 0, 0, 0))
            }
        }
    }
}

/// The embedder's text, shortened, without characters that would disturb a list of sources. Nothing of a text that may
/// hold a secret, or that is too long.
fn clean(client: &str) -> String {
    if client.len() > LOOKED_AT {
        return String::new();
    }
    // Checked as it is kept: a `/` that became `_`, a letter of keys, may join the parts of one.
    let shown = client.chars().filter(|character| !is_invisible(*character));
    let shown: String = shown.map(|character| if character == '/' { '_' } else { character }).collect();
    let client = shown.trim();
    if may_hold_secret(client) || contains_foreign_credential(client) {
        return String::new();
    }
    client.chars().take(CLIENT_CHARACTERS).collect()
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
