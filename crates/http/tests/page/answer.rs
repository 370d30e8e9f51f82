//! What a request got, and what to ask of it.

use axum::http::{HeaderMap, StatusCode};

/// What a request got.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Checks the status and the headers that every screen has.
    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        if self.header("content-type") == Some("text/html; charset=utf-8") {
            let policy = self.header("content-security-policy").unwrap();
            for rule in ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
                assert!(policy.contains(rule), "{policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            for inline in [" style=", " onclick", " onload", "<script>", "javascript:", "<style"] {
                assert!(!self.body.contains(inline), "{inline} in {}", self.body);
            }
            assert!(self.body.contains("<h1>") || !self.body.contains("<main"), "a screen has a heading");
        }
        self
    }

    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        assert!(self.text().contains(text), "{text:?} is not in\n{}", self.text());
        self
    }

    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        assert!(!self.text().contains(text), "{text:?} is in\n{}", self.text());
        self
    }

    #[track_caller]
    pub fn markup(&self, part: &str) -> &Self {
        assert!(self.body.contains(part), "{part:?} is not in\n{}", self.body);
        self
    }

    #[track_caller]
    pub fn no_markup(&self, part: &str) -> &Self {
        assert!(!self.body.contains(part), "{part:?} is in\n{}", self.body);
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What people read: the text between the tags, with single spaces.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for letter in self.body.chars() {
            match letter {
                '<' => {
                    inside = true;
                    text.push(' ');
                }
                '>' => inside = false,
                _ if !inside => text.push(letter),
                _ => {}
            }
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to))
    }

    /// The hidden fields of its forms, each name once.
    pub fn hidden(&self) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for field in self.body.split("<input type=\"hidden\" name=\"").skip(1) {
            let (name, rest) = field.split_once('"').unwrap();
            let value = rest.split_once("value=\"").unwrap().1.split_once('"').unwrap().0;
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        fields
    }

    /// The text of the key that it reveals.
    #[track_caller]
    pub fn secret(&self) -> String {
        let field = self.body.split("data-secret").next().unwrap().rsplit("<input").next().unwrap();
        field.split_once("value=\"").unwrap_or_else(|| panic!("{}", self.body)).1.split_once('"').unwrap().0.to_owned()
    }
}
