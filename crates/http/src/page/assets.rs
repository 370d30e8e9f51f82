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

    /// The colours of one scheme, by name.
    fn colours(scheme: &str) -> Vec<(&str, [f64; 3])> {
        let pairs = scheme.split("--").skip(1).map(|pair| {
            let (name, value) = pair.split_once(": #").unwrap();
            let hex = value.split(';').next().unwrap();
            let long: String =
                if hex.len() == 3 { hex.chars().flat_map(|one| [one, one]).collect() } else { hex.into() };
            let part = |at: usize| f64::from(u8::from_str_radix(&long[at..at + 2], 16).unwrap()) / 255.0;
            (name, [part(0), part(2), part(4)])
        });
        pairs.collect()
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = colour.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn every_text_has_the_contrast_that_people_need() {
        let schemes: Vec<_> = CSS.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        assert_eq!(schemes.len(), 2, "light and dark");
        for scheme in schemes {
            let colours = colours(scheme);
            let of = |wanted: &str| luminance(colours.iter().find(|(name, _)| *name == wanted).unwrap().1);
            let contrast = |one: f64, other: f64| (one.max(other) + 0.05) / (one.min(other) + 0.05);
            for text in ["text", "quiet", "accent", "danger", "warn", "ok"] {
                for back in ["back", "soft"] {
                    let has = contrast(of(text), of(back));
                    assert!(has >= 4.5, "{text} on {back}: {has:.2}");
                }
            }
            assert!(contrast(of("line"), of("back")) >= 3.0, "the borders of fields");
        }
    }

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
