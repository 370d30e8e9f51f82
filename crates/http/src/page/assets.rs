//! The stylesheet and the script. Their names have their hashes, so that browsers keep them until they change.

const CSS: &str = include_str!("../../assets/page.css");
const JS: &str = include_str!("../../assets/page.js");

/// The names of both.
#[derive(Debug)]
pub(super) struct Assets {
    css: String,
    js: String,
}

impl Assets {
    pub(super) fn new() -> Self {
        let hash = |content: &str| blake3::hash(content.as_bytes()).to_hex().chars().take(16).collect::<String>();
        Self { css: format!("page.{}.css", hash(CSS)), js: format!("page.{}.js", hash(JS)) }
    }

    pub(super) fn css_name(&self) -> &str {
        &self.css
    }

    pub(super) fn js_name(&self) -> &str {
        &self.js
    }

    /// The media type and the content of a file.
    pub(super) fn find(&self, name: &str) -> Option<(&'static str, &'static str)> {
        match name {
            _ if name == self.css => Some(("text/css; charset=utf-8", CSS)),
            _ if name == self.js => Some(("text/javascript; charset=utf-8", JS)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_small_and_load_nothing() {
        assert!(CSS.len() <= 10 * 1_024, "the stylesheet has {} bytes", CSS.len());
        assert!(JS.len() <= 6 * 1_024, "the script has {} bytes", JS.len());
        for word in ["url(", "@import", "http://", "https://"] {
            assert!(!CSS.contains(word), "{word}");
        }
        for word in ["eval(", "innerHTML", "localStorage", "sessionStorage", "http://", "https://", "Function("] {
            assert!(!JS.contains(word), "{word}");
        }
    }
}
