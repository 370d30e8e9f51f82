//! The templates, and how a value becomes text in them.

use std::fmt;

use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, value::Kwargs};

use super::words::Words;

macro_rules! sources {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../../templates/", $name)))),+] };
}

/// Every template, by its name.
const SOURCES: &[(&str, &str)] = sources![
    "all.html",
    "create.html",
    "delete.html",
    "edit.html",
    "evidence.html",
    "frame.html",
    "key.html",
    "leak.html",
    "lines.html",
    "list.html",
    "many.html",
    "nav.html",
    "notes.html",
    "parts.html",
    "pause.html",
    "people.html",
    "person.html",
    "problem.html",
    "refusals.html",
    "replayed.html",
    "reveal.html",
    "review.html",
    "rotate.html",
    "rotation.html",
    "standing.html",
    "team.html",
    "trail.html",
];

const FRAME: &str = "frame.html";

/// All templates, with the words of a page.
#[derive(Clone)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    pub(super) fn new(words: &Words) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_formatter(write);
        for (name, source) in SOURCES {
            // A template that does not parse is not there, and its screen answers 500. A test parses them all.
            let _ = environment.add_template(name, source);
        }
        let mut templates = Self(environment);
        templates.speak(words);
        templates
    }

    /// Another frame.
    pub(super) fn set_frame(&mut self, source: String) -> Result<(), Error> {
        self.0.add_template_owned(FRAME, source)
    }

    /// Other words.
    pub(super) fn speak(&mut self, words: &Words) {
        let words = words.clone();
        self.0.add_function("t", move |id: String, given: Kwargs| -> Result<String, Error> {
            let mut arguments = Vec::new();
            for name in given.args() {
                arguments.push((name, given.peek::<Value>(name)?.to_string()));
            }
            if !words.has(&id) {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("there are no words with the id {id}")));
            }
            Ok(words.say(&id, &arguments))
        });
    }

    pub(super) fn render(&self, name: &str, view: Value) -> Result<String, Error> {
        self.0.get_template(name)?.render(view)
    }

    /// Content within the frame.
    pub(super) fn framed(&self, frame: &Frame<'_>, content: String) -> Result<String, Error> {
        let content = Value::from_safe_string(content);
        let Frame { title, lang, css, js } = *frame;
        let css = Value::from(css.to_vec());
        self.0.get_template(FRAME)?.render(minijinja::context! { title, lang, css, js, content })
    }
}

/// What the frame shows, besides the content.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) lang: &'a str,
    pub(super) css: &'a [String],
    pub(super) js: &'a str,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Templates").finish()
    }
}

/// Writes a value as text of a document: nothing for an unknown one, and everything escaped but markup of ours. The
/// library's own formatter also escapes slashes, which makes every link longer and nothing safer.
fn write(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    match value.as_str() {
        Some(text) if value.is_safe() => out.write_str(text).map_err(Error::from),
        Some(text) => escape(out, text).map_err(Error::from),
        None => escape(out, &value.to_string()).map_err(Error::from),
    }
}

fn escape(out: &mut Output<'_>, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        let (plain, from) = rest.split_at(at);
        out.write_str(plain)?;
        let mut letters = from.chars();
        out.write_str(match letters.next() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('"') => "&quot;",
            _ => "&#39;",
        })?;
        rest = letters.as_str();
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for (name, source) in SOURCES {
            let mut environment = Environment::new();
            if let Err(error) = environment.add_template(name, source) {
                panic!("{name}: {error:#}");
            }
        }
    }

    #[test]
    fn every_word_of_a_template_is_there() {
        let words = Words::english();
        for (name, source) in SOURCES {
            for part in source.split("t(\"").skip(1) {
                let id = part.split('"').next().unwrap();
                // The rest of such an id is in the view.
                let begins = || id.ends_with('.') && Words::ids().any(|(known, _)| known.starts_with(id));
                assert!(words.has(id) || begins(), "{name}: {id}");
            }
            assert!(!source.contains("style=") && !source.contains("onclick"), "{name} has inline script or style");
        }
    }

    #[test]
    fn text_is_escaped_and_markup_is_not() {
        let mut templates = Templates::new(&Words::english());
        templates.set_frame("{{ title }}|{{ content }}|{{ js }}".to_owned()).unwrap();
        let frame = Frame { title: "<b>&\"'/", lang: "en", css: &[], js: "/a/b" };
        let text = templates.framed(&frame, "<i>ok</i>".to_owned()).unwrap();
        assert_eq!(text, "&lt;b&gt;&amp;&quot;&#39;/|<i>ok</i>|/a/b");
    }
}
