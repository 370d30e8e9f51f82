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

/// The longest text of such a function that is looked at, in bytes. It may be a header that a stranger sent.
const LOOKED_AT: usize = 1_024;

/// How client and network of a request are found: what it is counted under beside key, outcome and the layer's
/// [label](super::ApiKeyLayer::source).
///
/// The client is the name of the product that the `User-Agent` begins with: `curl` of `curl/8.5.0`. The version is left
/// out, or each upgrade of a client would be another source, and the one before seem to have gone. A name that is no
/// token (RFC 9110 §10.1.5), is longer than 256 bytes, holds a key, or has as many letters, digits, `-` and `_` in a
/// row as the secret of one, is no client; of a long one, the first 64 characters are kept.
///
/// For each key, 64 sources are told apart, in all processes together as far as they see each other's counts: 64 of
/// requests that were accepted, and beside them 64 of those that showed the key when it was dead, and 64 of those that
/// proved nothing, so that who knows no more than a key's public id does not crowd out who has it. What comes from more
/// is counted under the client `other`, one for each label; how often that happens is
/// [`usage_sources_folded`](crate::auth::AuthMetrics::usage_sources_folded). Requests that name no key in the store are
/// bounded in the same way, those with each label by themselves.
///
/// What a service behind the layer refuses is counted under the source of its request if the answer carries a
/// [`Refusal`](super::Refusal) in its extensions, as those of this crate do; a 403 of a handler's own is not seen, nor one
/// whose extensions a layer in between took away.
///
/// ```
/// use tower_api_keys::{ApiKeyLayer, middleware::Sources, usage::Source};
///
/// # fn example<R>(layer: ApiKeyLayer<R>) -> Result<ApiKeyLayer<R>, tower_api_keys::InvalidId> {
/// // `intake/curl@203.0.113.0/24`, where the service said how addresses are found.
/// let sources = Sources::new().with_networks();
/// # Ok(
/// layer.source(Source::new("intake")?).sources(sources)
/// # )
/// # }
/// ```
///
/// # Security
/// Callers choose what their client says of itself: a source is a hint for people, and proves nothing.
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

    /// A function that names the client, in the place of the `User-Agent`; none for no client. It runs for each request, on
    /// the thread that serves it: if it panics, that request fails as if a handler had.
    ///
    /// Of what it returns, characters that show nothing or turn the text around are left out, `/` becomes `_`, since a
    /// line for people has it between label and client, and 64 characters are kept. A text that may hold the secret of
    /// a key is no client, nor is one of more than 1,024 bytes.
    #[must_use]
    pub fn with_client(mut self, client: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.client = Some(Arc::new(client));
        self
    }

    /// Adds the network of the client: `203.0.113.0/24`. Its address is found as the service said
    /// ([`ApiKeysBuilder::addresses`](crate::ApiKeysBuilder::addresses)); if it did not, there is none. Default: no networks.
    ///
    /// Only the first 24 bits of an address are kept, 48 of one of version 6: a network, not a person. An IPv4 address that
    /// is written as one of version 6 (`::ffff:203.0.113.7`) is taken for what it is.
    ///
    /// # Security
    /// Addresses are personal data in many places, and 64 networks are soon reached by a key that roams.
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

    /// Does not look at the `User-Agent`. Default: it names the client, unless [`with_client`](Self::with_client) says who
    /// does.
    #[must_use]
    pub fn without_user_agent(mut self) -> Self {
        self.ignores_agent = true;
        self
    }

    /// Whether there is more to ask than the user agent.
    pub(crate) const fn asks(&self) -> bool {
        self.client.is_some() || self.keeps_networks
    }

    /// Asks them for client and network.
    #[inline(never)]
    pub(crate) fn ask<B>(&self, request: &mut Request<B>, addresses: Option<&Addresses>) -> NamedClient {
        let address = addresses.filter(|_| self.keeps_networks);
        let address = address.and_then(|addresses| addresses.find(request.headers(), request.extensions()));
        let network = address.map(|address| self.written(address)).unwrap_or_default();
        // Lent to the functions in the shape that they know, and put back: to take the request apart and together again
        // would move all of it, on the path of those who do not ask, too.
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

    /// From where a request with this user agent comes that arrived at a layer with this label, if that is what the
    /// embedder's functions said.
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

/// What an embedder says, without what would disturb a list of sources, and short. Nothing of a text that may hold a
/// secret, or that is endless.
fn clean(client: &str) -> String {
    if client.len() > LOOKED_AT {
        return String::new();
    }
    // As it is kept: a slash that becomes a letter of keys may join what is left of one.
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
