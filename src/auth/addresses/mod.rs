//! Finds the address that a request comes from.

mod chain;

use std::{fmt, net::IpAddr, sync::Arc};

use chain::{forwarded, forwarded_for, nth_from_the_right};
use http::{Extensions, HeaderMap};

/// How to find the address that a request comes from: for keys with a list of [`Networks`](crate::Networks), and for
/// [`Sources`](crate::middleware::Sources) that keep networks. Set once, in
/// [`ApiKeysBuilder::addresses`](crate::ApiKeysBuilder::addresses), so that both use the same address, and so that no
/// key gets a list that is never checked.
///
/// Choose by what is in front of the service:
///
/// | in front of the service | use |
/// |---|---|
/// | nothing | [`peer`](Self::peer) |
/// | proxies that add to `X-Forwarded-For` | [`forwarded_for`](Self::forwarded_for), with their number |
/// | proxies that add to `Forwarded` (RFC 7239) | [`forwarded`](Self::forwarded), with their number |
/// | something else | [`by`](Self::by) |
/// | callers that do not use HTTP | [`given`](Self::given) |
///
/// If no address is found, a key with a list is refused. Other keys are not affected.
///
/// ```
/// use tower_api_keys::{ApiKeys, auth::Addresses, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// // A load balancer, and behind it a reverse proxy: both add to `X-Forwarded-For`.
/// let keys = ApiKeys::builder(MemoryStore::new()).addresses(Addresses::forwarded_for(2)).build().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Security
/// A header is only as good as the proxy that wrote it. A caller that reaches the service past the proxies can write
/// anything: allow connections from the proxies only. If several parties wrote a header, only the part of the trusted
/// proxies is read. It is at the right end; what a client sent is left of it.
#[derive(Clone)]
pub struct Addresses(Way);

#[derive(Clone)]
enum Way {
    By(Arc<dyn Find>),
    Forwarded { proxies: u8 },
    ForwardedFor { proxies: u8 },
    Given,
}

/// The embedder's function.
trait Find: Send + Sync {
    fn find(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr>;
}

impl<F: Fn(&HeaderMap, &Extensions) -> Option<IpAddr> + Send + Sync> Find for F {
    fn find(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        self(headers, extensions)
    }
}

impl Addresses {
    /// The address of the connection, which the server puts into an extension of this type.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    /// use tower_api_keys::auth::Addresses;
    ///
    /// // axum, with `into_make_service_with_connect_info::<SocketAddr>()`
    /// let addresses = Addresses::peer(|peer: &ConnectInfo<SocketAddr>| peer.0.ip());
    /// // a server that puts the bare address there
    /// let addresses = Addresses::peer(SocketAddr::ip);
    /// ```
    ///
    /// # Security
    /// Behind a proxy this is the proxy's address: a list that contains it admits all callers that come through the
    /// proxy.
    #[must_use]
    pub fn peer<T: Send + Sync + 'static>(address: impl Fn(&T) -> IpAddr + Send + Sync + 'static) -> Self {
        Self::by(move |_, extensions| extensions.get::<T>().map(&address))
    }

    /// The address that the outermost of this many trusted proxies saw, according to `X-Forwarded-For`: the entry at
    /// this position, counted from the right through all lines of the header. 1 to 255 proxies, each of which must add
    /// exactly one entry.
    ///
    /// There is no address if the header has fewer entries, or if that entry is not an address: a name, `unknown`, or
    /// empty. A port behind the address is ignored.
    #[must_use]
    pub const fn forwarded_for(proxies: u8) -> Self {
        Self(Way::ForwardedFor { proxies })
    }

    /// Like [`forwarded_for`](Self::forwarded_for), for `Forwarded` (RFC 7239): the `for` of the element at this
    /// position, counted from the right.
    ///
    /// There is no address if the header has fewer elements, or if that element has no `for`, two of them, a name such
    /// as `unknown` or `_hidden`, or breaks the grammar.
    #[must_use]
    pub const fn forwarded(proxies: u8) -> Self {
        Self(Way::Forwarded { proxies })
    }

    /// The address that this function finds. It runs for requests whose key has a list or has to be looked up, and for
    /// all requests if [`Sources`](crate::middleware::Sources) keep networks. It runs on the thread that serves the
    /// request; if it panics, that request fails as if a handler had panicked.
    ///
    /// ```
    /// use tower_api_keys::auth::Addresses;
    ///
    /// // A proxy that replaces the header, no matter what the client sent.
    /// let addresses = Addresses::by(|headers, _| headers.get("x-real-ip")?.to_str().ok()?.parse().ok());
    /// ```
    ///
    /// # Security
    /// Never use the first entry of a list that clients can begin.
    #[must_use]
    pub fn by(address: impl Fn(&HeaderMap, &Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Way::By(Arc::new(address)))
    }

    /// The address given to [`Authenticator::authenticate_from`](crate::Authenticator::authenticate_from): for a
    /// service that does not use HTTP, and for a node that manages keys while others check them. A layer finds no
    /// address.
    #[must_use]
    pub const fn given() -> Self {
        Self(Way::Given)
    }

    /// Whether the number of proxies is valid.
    pub(super) const fn is_in_range(&self) -> bool {
        !matches!(self.0, Way::Forwarded { proxies: 0 } | Way::ForwardedFor { proxies: 0 })
    }

    /// The address of a request, before it is changed.
    pub(crate) fn find(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let found = match &self.0 {
            Way::By(function) => function.find(headers, extensions),
            Way::Forwarded { proxies } => nth_from_the_right(headers, "forwarded", *proxies).and_then(forwarded),
            Way::ForwardedFor { proxies } => {
                nth_from_the_right(headers, "x-forwarded-for", *proxies).and_then(forwarded_for)
            }
            Way::Given => None,
        };
        found.map(|address| address.to_canonical())
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::By(_) => f.write_str("Addresses::by(..)"),
            Way::Forwarded { proxies } => write!(f, "Addresses::forwarded({proxies})"),
            Way::ForwardedFor { proxies } => write!(f, "Addresses::forwarded_for({proxies})"),
            Way::Given => f.write_str("Addresses::given()"),
        }
    }
}

/// What is known of a call's origin, before a search.
#[derive(Clone, Copy)]
pub(crate) enum CameFrom<'a> {
    /// What the caller of the authenticator said.
    Said(Option<IpAddr>),
    /// A request, whose address is looked for only if it matters.
    Request(&'a HeaderMap, &'a Extensions),
}

impl CameFrom<'_> {
    pub(super) fn address(self, addresses: Option<&Addresses>) -> Option<IpAddr> {
        match self {
            Self::Said(address) => address,
            Self::Request(headers, extensions) => addresses?.find(headers, extensions),
        }
    }
}

#[cfg(test)]
mod tests;
