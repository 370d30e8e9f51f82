use std::{error::Error, fmt, future::Future};

use http::{HeaderValue, Uri};
use tower_api_keys::{Actor, TeamId};

use super::{contacts::Contacts, render::Templates, words::Words};

/// How the page looks, and where it leads to.
///
/// ```
/// use tower_api_keys_http::page::{Page, Words};
///
/// let page = Page::new("Auxot")
///     .api_at("https://api.example.com/whoami")?
///     .upgrade_at("/settings/license")?
///     .brand_css("/static/brand.css")?
///     .words(Words::english().with("list.title", "Keys for programs"));
/// # let _ = page;
/// # Ok::<(), tower_api_keys_http::page::PageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Page {
    pub(super) product: String,
    pub(super) api_at: Option<String>,
    pub(super) upgrade_at: Option<String>,
    pub(super) brand_css: Option<String>,
    /// The origin of that stylesheet, if it is not the page's own.
    pub(super) brand_origin: Option<String>,
    pub(super) contacts: Option<Contacts>,
    pub(super) words: Words,
    pub(super) templates: Templates,
}

impl Page {
    /// A page for the keys of this product. People read its name in the first sentence.
    #[must_use]
    pub fn new(product: impl Into<String>) -> Self {
        let words = Words::english();
        Self {
            product: product.into(),
            api_at: None,
            upgrade_at: None,
            brand_css: None,
            brand_origin: None,
            contacts: None,
            templates: Templates::new(&words),
            words,
        }
    }

    /// An endpoint of yours that takes a key: shown as a call to try, next to a new key. Default: no such call.
    ///
    /// # Errors
    /// If it is neither an absolute path nor an `http` or `https` URL.
    pub fn api_at(mut self, url: &str) -> Result<Self, PageError> {
        self.api_at = Some(address(url)?.to_owned());
        Ok(self)
    }

    /// Where people go to upgrade their plan. Default: no link.
    ///
    /// # Errors
    /// As for [`api_at`](Self::api_at).
    pub fn upgrade_at(mut self, url: &str) -> Result<Self, PageError> {
        self.upgrade_at = Some(address(url)?.to_owned());
        Ok(self)
    }

    /// A stylesheet after the page's own: it can set `--accent`, `--danger`, `--warn` and `--ok`, or anything else. If
    /// it is on another origin, the `Content-Security-Policy` allows styles of that origin.
    ///
    /// # Errors
    /// As for [`api_at`](Self::api_at).
    pub fn brand_css(mut self, url: &str) -> Result<Self, PageError> {
        let url = address(url)?;
        let parsed: Uri = url.parse().map_err(|_| PageError(Problem::Address))?;
        self.brand_origin = match (parsed.scheme_str(), parsed.authority()) {
            (Some(scheme), Some(authority)) => Some(format!("{scheme}://{authority}")),
            _ => None,
        };
        self.brand_css = Some(url.to_owned());
        Ok(self)
    }

    /// A document around every screen, as a template of minijinja. It gets `title`, `lang`, `css` (a list of
    /// addresses), `js` (an address) and `content`, which is markup. Default: a plain document.
    ///
    /// ```
    /// use tower_api_keys_http::page::Page;
    ///
    /// let frame = "<!doctype html><html lang='{{ lang }}'><head><title>{{ title }}</title>\
    ///     {% for sheet in css %}<link rel='stylesheet' href='{{ sheet }}'>{% endfor %}\
    ///     <script src='{{ js }}' defer></script></head><body><main>{{ content }}</main></body></html>";
    /// let page = Page::new("Auxot").frame(frame)?;
    /// # let _ = page;
    /// # Ok::<(), tower_api_keys_http::page::PageError>(())
    /// ```
    ///
    /// # Errors
    /// If it is not a template.
    pub fn frame(mut self, source: impl Into<String>) -> Result<Self, PageError> {
        self.templates.set_frame(source.into()).map_err(|error| PageError(Problem::Frame(error)))?;
        Ok(self)
    }

    /// The names of people who can help, beside a button that does not work: admins of the team, or of the
    /// organization if no team is meant. It gets the person who asks, too. At most five names are shown. The page waits
    /// for half a second; an answer that comes later is not shown. Default: no names.
    ///
    /// ```
    /// use tower_api_keys_http::page::Page;
    ///
    /// // In your service: the admins of the team, from your own tables.
    /// let page = Page::new("Auxot").whom_to_ask(|_actor, _team| async { vec!["Alice Jones".to_owned()] });
    /// # let _ = page;
    /// ```
    #[must_use]
    pub fn whom_to_ask<F>(mut self, ask: impl Fn(Actor, Option<TeamId>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<String>> + Send + 'static,
    {
        self.contacts = Some(Contacts::new(ask));
        self
    }

    /// Other words, or another language. Default: [`Words::english`].
    #[must_use]
    pub fn words(mut self, words: Words) -> Self {
        self.templates.speak(&words);
        self.words = words;
        self
    }
}

/// An address that can stand in a link: never `javascript:`, and nothing that a header could not hold.
fn address(url: &str) -> Result<&str, PageError> {
    let is_path = url.starts_with('/') && !url.starts_with("//");
    let is_url = url.starts_with("https://") || url.starts_with("http://");
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>;,\\".contains(&byte));
    if (is_path || is_url) && is_plain && HeaderValue::from_str(url).is_ok() {
        Ok(url)
    } else {
        Err(PageError(Problem::Address))
    }
}

/// Why a [`Page`] cannot be made so.
#[derive(Debug)]
pub struct PageError(Problem);

#[derive(Debug)]
enum Problem {
    Address,
    Frame(minijinja::Error),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Address => "an address of the page must be an absolute path, or a URL with http or https",
            Problem::Frame(_) => "the frame of the page is not a template",
        })
    }
}

impl Error for PageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Problem::Address => None,
            Problem::Frame(error) => Some(error),
        }
    }
}
