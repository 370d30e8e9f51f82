//! The markup of this page as links and forms, which is all that a browser without script makes of it.

use std::collections::BTreeMap;

/// A link, with the text of the row or the list item that it stands in.
#[derive(Clone, Debug)]
pub struct Link {
    pub text: String,
    pub href: String,
    pub near: String,
}

#[derive(Clone, Debug, Default)]
pub struct Form {
    pub is_post: bool,
    pub action: String,
    pub controls: Vec<Control>,
    pub buttons: Vec<Button>,
}

/// A field, as it would be sent.
#[derive(Clone, Debug)]
pub struct Control {
    pub name: String,
    pub value: String,
    pub kind: Kind,
    /// Whether it is sent as it is.
    pub is_on: bool,
    /// The values of a select list.
    pub options: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Hidden,
    Text,
    Check,
    Radio,
    Select,
}

#[derive(Clone, Debug)]
pub struct Button {
    pub name: String,
    pub value: String,
    pub text: String,
}

#[derive(Debug, Default)]
pub struct Markup {
    pub links: Vec<Link>,
    pub forms: Vec<Form>,
}

impl Markup {
    pub fn of(body: &str) -> Self {
        let mut markup = Self::default();
        let mut form: Option<Form> = None;
        let mut row_begins = 0;
        for (index, part) in body.split('<').enumerate().skip(1) {
            let (inside, _) = part.split_once('>').unwrap_or_else(|| panic!("{part}"));
            let (name, attributes) = tag(inside);
            let of = |attribute: &str| attributes.get(attribute).cloned().unwrap_or_default();
            let content = || text_until_end(body, index, name);
            match name {
                "tr" | "li" => row_begins = index,
                "a" => {
                    let near = text_until_end(body, row_begins, if is_row(body, row_begins) { "tr" } else { "li" });
                    markup.links.push(Link { text: content(), href: of("href"), near });
                }
                "form" => {
                    let is_post = of("method") == "post";
                    form = Some(Form { is_post, action: of("action"), ..Form::default() });
                }
                "/form" => markup.forms.extend(form.take()),
                "input" | "select" | "textarea" => {
                    let Some(form) = form.as_mut() else { continue };
                    let kind = match (name, of("type").as_str()) {
                        ("select", _) => Kind::Select,
                        (_, "hidden") => Kind::Hidden,
                        (_, "checkbox") => Kind::Check,
                        (_, "radio") => Kind::Radio,
                        _ => Kind::Text,
                    };
                    let is_on = !matches!(kind, Kind::Check | Kind::Radio) || attributes.contains_key("checked");
                    let (name, value) = (of("name"), of("value"));
                    form.controls.push(Control { name, value, kind, is_on, options: Vec::new() });
                }
                "option" => {
                    let Some(select) = form.as_mut().and_then(|form| form.controls.last_mut()) else { continue };
                    if attributes.contains_key("selected") || select.options.is_empty() {
                        select.value = of("value");
                    }
                    select.options.push(of("value"));
                }
                "button" if of("type") != "button" => {
                    let Some(form) = form.as_mut() else { continue };
                    form.buttons.push(Button { name: of("name"), value: of("value"), text: content() });
                }
                _ => {}
            }
        }
        markup
    }
}

fn is_row(body: &str, index: usize) -> bool {
    body.split('<').nth(index).is_some_and(|part| part.starts_with("tr"))
}

/// A start tag: its name and its attributes.
fn tag(inside: &str) -> (&str, BTreeMap<String, String>) {
    let (name, mut rest) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
    let mut attributes = BTreeMap::new();
    while let Some(at) = rest.find(|letter: char| !letter.is_whitespace() && letter != '/') {
        rest = &rest[at..];
        let end = rest.find(['=', ' ', '/']).unwrap_or(rest.len());
        let (attribute, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => ("", after),
        };
        attributes.insert(attribute.to_owned(), unescaped(value));
        rest = after;
    }
    (name, attributes)
}

/// The text from this tag to the end tag of its name.
fn text_until_end(body: &str, from: usize, name: &str) -> String {
    let end = format!("/{name}>");
    let mut text = String::new();
    for part in body.split('<').skip(from).take_while(|part| !part.starts_with(&end)) {
        text.push(' ');
        text.push_str(part.split_once('>').map_or("", |(_, text)| text));
    }
    unescaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn unescaped(text: &str) -> String {
    [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
