use http::{
    HeaderName, HeaderValue,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE,
    },
};

pub(crate) static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Headers that a server needs for itself, and headers that browsers add by themselves.
const RESERVED: [HeaderName; 10] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a request without a key has instead, as far as it helps the caller to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    Nothing,
    /// A user name and a password, which some clients read from a file and send instead of the given header.
    Basic,
    KeyInQuery,
}

/// Which headers of a request carry keys. The default is both `Authorization: Bearer` and `x-api-key`.
///
/// A header that is not read is not searched for keys either: it reaches the inner service unchanged.
///
/// ```
/// use http::HeaderName;
/// use tower_api_keys::middleware::KeyHeaders;
///
/// let headers = KeyHeaders::bearer_and(HeaderName::from_static("x-acme-key"))?;
/// assert_ne!(headers, KeyHeaders::default());
/// assert!(KeyHeaders::only(http::header::COOKIE).is_err());
/// # Ok::<(), tower_api_keys::middleware::InvalidKeyHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHeaders {
    bearer: bool,
    key_header: Option<HeaderName>,
}

impl KeyHeaders {
    /// Only `Authorization: Bearer`.
    #[must_use]
    pub const fn only_bearer() -> Self {
        Self { bearer: true, key_header: None }
    }

    /// Only `x-api-key`.
    #[must_use]
    pub fn only_x_api_key() -> Self {
        Self { bearer: false, key_header: Some(X_API_KEY.clone()) }
    }

    /// Only a header of this name, whose whole value is the key.
    ///
    /// # Errors
    /// [`InvalidKeyHeader`] for headers that mean something else: `Authorization`, `Cookie`, `Host` and the like.
    pub fn only(name: HeaderName) -> Result<Self, InvalidKeyHeader> {
        Ok(Self { bearer: false, key_header: Some(key_header(name)?) })
    }

    /// `Authorization: Bearer`, and a header of this name instead of `x-api-key`.
    ///
    /// Use no name with an underscore, such as `api_key`: nginx and other proxies drop such headers unless configured
    /// otherwise, and every request then seems to come without a key.
    ///
    /// # Errors
    /// [`InvalidKeyHeader`] as for [`only`](Self::only).
    pub fn bearer_and(name: HeaderName) -> Result<Self, InvalidKeyHeader> {
        Ok(Self { bearer: true, key_header: Some(key_header(name)?) })
    }

    pub(crate) const fn reads_bearer(&self) -> bool {
        self.bearer
    }

    pub(crate) const fn key_header(&self) -> Option<&HeaderName> {
        self.key_header.as_ref()
    }

    /// The names, for `Vary`.
    pub(crate) fn vary(&self) -> HeaderValue {
        match (self.bearer, &self.key_header) {
            (true, Some(name)) if *name == X_API_KEY => HeaderValue::from_static("authorization, x-api-key"),
            // A header name is always a valid header value; `*` would be right in any case.
            (true, Some(name)) => HeaderValue::try_from(format!("authorization, {name}"))
                .unwrap_or_else(|_| HeaderValue::from_static("*")),
            (_, None) => HeaderValue::from_static("authorization"),
            (false, Some(name)) => name.clone().into(),
        }
    }

    /// What the caller of a request without a key is told: what happened, and which headers are read here.
    pub(crate) fn advice(&self, instead: Instead) -> String {
        const BEARER: &str = "in the Authorization header, after the word Bearer and a space";
        let happened = match instead {
            Instead::Nothing => "The request has no API key. Send one",
            Instead::Basic => {
                "The request has no API key. The Authorization header has a user name and a password (Basic), perhaps from \
                 a .netrc file or from the URL. Send an API key"
            }
            Instead::KeyInQuery => {
                "The API key is in the query of the URL. This service does not read it there, and it may now be in logs. \
                 Replace the key, and send the new one"
            }
        };
        match (self.bearer, &self.key_header) {
            (true, Some(name)) => format!("{happened} {BEARER}, or in the {name} header."),
            (_, None) => format!("{happened} {BEARER}."),
            (false, Some(name)) => format!("{happened} in the {name} header."),
        }
    }
}

impl Default for KeyHeaders {
    fn default() -> Self {
        Self { bearer: true, key_header: Some(X_API_KEY.clone()) }
    }
}

fn key_header(name: HeaderName) -> Result<HeaderName, InvalidKeyHeader> {
    if RESERVED.contains(&name) { Err(InvalidKeyHeader(())) } else { Ok(name) }
}

/// The header means something else and cannot carry keys.
///
/// ```
/// use tower_api_keys::middleware::KeyHeaders;
///
/// let error = KeyHeaders::only(http::header::HOST).unwrap_err();
/// assert_eq!(error.to_string(), "this header has another meaning in HTTP and cannot carry API keys: choose another name");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this header has another meaning in HTTP and cannot carry API keys: choose another name")]
pub struct InvalidKeyHeader(());
