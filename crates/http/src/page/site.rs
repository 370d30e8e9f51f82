//! What all requests to one mounted page share.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};

use super::{assets::Assets, settings::Page, words::Words};

/// A page with its stylesheet, its script and its headers.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) page: Page,
    assets: Assets,
    policy: HeaderValue,
}

impl Site {
    pub(super) fn new(page: Page) -> Self {
        let own = "'self'";
        let styles = page.brand_origin.as_ref().map_or_else(|| own.to_owned(), |origin| format!("{own} {origin}"));
        let policy = format!(
            "default-src 'none'; style-src {styles}; script-src 'self'; connect-src 'self'; img-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        // The origin was checked, so this is always a header; if not, nothing is allowed.
        let policy = policy.parse().unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { page, assets: Assets::new(), policy }
    }

    pub(super) const fn words(&self) -> &Words {
        &self.page.words
    }

    /// The addresses of the stylesheets.
    pub(super) fn css(&self, mount: &str) -> Vec<String> {
        let own = format!("{mount}/assets/{}", self.assets.css_name());
        [own].into_iter().chain(self.page.brand_css.clone()).collect()
    }

    /// The address of the script.
    pub(super) fn js(&self, mount: &str) -> String {
        format!("{mount}/assets/{}", self.assets.js_name())
    }

    /// The headers of every screen.
    pub(super) fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        // With `no-referrer`, browsers send `Origin: null` with a form, and over plain HTTP no `Sec-Fetch-Site`: then the
        // page's own forms would be refused.
        [(CONTENT_SECURITY_POLICY, self.policy.clone()), (REFERRER_POLICY, HeaderValue::from_static("same-origin"))]
    }

    /// The stylesheet or the script.
    pub(super) fn asset(&self, path: &str) -> Response {
        let Some((media_type, content)) = self.assets.find(path.rsplit('/').next().unwrap_or_default()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        (headers, content).into_response()
    }
}
