use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    key::KeyId,
    owner::{TeamId, UserId},
    time::Timestamp,
};

/// A sentence for people: its id, its arguments, and its English text.
///
/// It serializes as `{"id": …, "arguments": {name: {"type": …, "value": …}}, "text": …}`.
///
/// ```
/// use tower_api_keys::{manage::RotationVerdict, sentence::Argument};
///
/// let sentence = RotationVerdict::StillUsedBy(2).sentence();
/// assert_eq!(sentence.id(), "rotation.still_used_by");
/// assert_eq!(sentence.argument("sources"), Some(&Argument::Number(2)));
/// assert_eq!(sentence.to_string(), "The old key is still used by 2 sources.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    id: Cow<'static, str>,
    /// The English text, with a place `{name}` for each argument. `{name:one|other}` chooses by a number, or by whether
    /// an owner is a user or a team.
    template: Cow<'static, str>,
    arguments: Vec<Given>,
}

/// An argument by its name in the template.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    name: &'static str,
    argument: Argument,
    /// The text to show instead of the argument.
    said: Option<Box<str>>,
}

impl Sentence {
    /// A sentence with all arguments that the template names.
    pub(crate) fn new(
        id: impl Into<Cow<'static, str>>,
        template: impl Into<Cow<'static, str>>,
        arguments: Vec<(&'static str, Argument)>,
    ) -> Self {
        let given = |(name, argument)| Given { name, argument, said: None };
        Self { id: id.into(), template: template.into(), arguments: arguments.into_iter().map(given).collect() }
    }

    /// The id: words in snake case, separated by dots, such as `flag.vague_name`. Stable.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The English text, with `{name}` for an argument, and `{name:one|other}` for a word that depends on it: by a
    /// number, the first word for 1; by an owner, the first word for a user and the second for a team. For translators.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The arguments, by name.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = (&'static str, &Argument)> {
        self.arguments.iter().map(|given| (given.name, &given.argument))
    }

    /// The argument with this name.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        self.given(name).map(|given| &given.argument)
    }

    fn given(&self, name: &str) -> Option<&Given> {
        self.arguments.iter().find(|given| given.name == name)
    }

    /// The English text, with other texts for the arguments for which `say` returns one: a person's name instead of an
    /// id, or a time in a form for people.
    ///
    /// ```
    /// use tower_api_keys::{UserId, record::ActorId, sentence::Argument};
    /// # fn example(explanation: tower_api_keys::manage::Explanation) {
    ///
    /// for check in &explanation.checks {
    ///     let text = check.sentence.text_with(|argument| match argument {
    ///         Argument::User(user) if user.as_str() == "u-4711" => Some("Alice Jones".to_owned()),
    ///         _ => None,
    ///     });
    ///     println!("{text}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn text_with(&self, say: impl Fn(&Argument) -> Option<String>) -> String {
        fill(self, &say)
    }

    /// The same sentence with the texts that `say` returns for arguments, also in its parts.
    pub(crate) fn saying<'s>(&self, say: &dyn Fn(&Argument) -> Option<&'s str>) -> Self {
        let mut saying = self.clone();
        for Given { argument, said, .. } in &mut saying.arguments {
            if let Some(text) = say(argument) {
                *said = Some(text.into());
            }
            if let Argument::Sentence(part) = argument {
                **part = part.saying(say);
            }
        }
        saying
    }

    /// The text as the text of an error: without a first capital and without the last full stop, if these belong to the
    /// sentence. Names that people gave are not changed.
    pub(crate) fn as_error(&self) -> impl fmt::Display + use<> {
        let mut sentence = self.clone();
        sentence.begin_small();
        sentence.end_open();
        sentence.to_string()
    }

    fn begin_small(&mut self) {
        if let Some(place) = self.template.strip_prefix('{') {
            let name = place.split_once('}').map(|(name, _)| name.to_owned());
            name.and_then(|name| self.part(&name)).into_iter().for_each(Self::begin_small);
            return;
        }
        let mut letters = self.template.chars();
        if let Some(first) = letters.next() {
            self.template = first.to_lowercase().chain(letters).collect();
        }
    }

    fn end_open(&mut self) {
        if let Some(template) = self.template.strip_suffix('.') {
            self.template = template.to_owned().into();
        } else if let Some(place) = self.template.strip_suffix('}') {
            let name = place.rsplit_once('{').map(|(_, name)| name.to_owned());
            name.and_then(|name| self.part(&name)).into_iter().for_each(Self::end_open);
        }
    }

    /// The argument of this name that is a sentence.
    fn part(&mut self, name: &str) -> Option<&mut Self> {
        match &mut self.arguments.iter_mut().find(|given| given.name == name)?.argument {
            Argument::Sentence(part) => Some(part),
            _ => None,
        }
    }
}

/// The English text.
impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&fill(self, &|_| None))
    }
}

/// Whether this is its English text.
impl PartialEq<str> for Sentence {
    fn eq(&self, text: &str) -> bool {
        self.text_with(|_| None) == text
    }
}

/// Whether this is its English text.
impl PartialEq<&str> for Sentence {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Sentence", 3)?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("arguments", &Arguments(&self.arguments))?;
        out.serialize_field("text", &self.to_string())?;
        out.end()
    }
}

struct Arguments<'a>(&'a [Given]);

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|given| (given.name, &given.argument)))
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Sentence {
    fn schema_name() -> Cow<'static, str> {
        "Sentence".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let argument = generator.subschema_for::<Argument>();
        schemars::json_schema!({
            "description": "A sentence for people: which one, what it speaks of, and how it reads in English.",
            "type": "object",
            "properties": {
                "id": {
                    "description": "What is said: stable words in snake case, with dots between.",
                    "type": "string",
                    "pattern": "^[a-z0-9_]+(\\.[a-z0-9_]+)+$",
                },
                "arguments": {
                    "description": "What it speaks of, by name.",
                    "type": "object",
                    "additionalProperties": argument,
                },
                "text": { "description": "The English text.", "type": "string" },
            },
            "required": ["id", "arguments", "text"],
        })
    }
}

/// Sentences one after the other, with a space between.
pub(crate) fn joined<'a>(sentences: impl IntoIterator<Item = &'a Sentence>) -> String {
    sentences.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// An argument of a [`Sentence`].
///
/// It serializes as `{"type": "number", "value": 2}`, with the type in snake case.
///
/// ```
/// use tower_api_keys::sentence::Argument;
///
/// assert_eq!(serde_json::to_string(&Argument::Number(2))?, r#"{"type":"number","value":2}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Argument {
    /// A duration, in whole milliseconds.
    DurationMs(u64),
    /// A key.
    Key(KeyId),
    /// Several words: scopes.
    List(Vec<String>),
    /// A number.
    Number(u64),
    /// A part of the sentence that is itself a sentence or a few words.
    Sentence(Box<Sentence>),
    /// The source of requests.
    Source(Place),
    /// A part of the service that acts by itself.
    System(String),
    /// A team.
    Team(TeamId),
    /// A text that a person chose: a label, a program, a sentence of the service.
    Text(String),
    /// A time.
    Time(Timestamp),
    /// A person.
    User(UserId),
    /// A word in snake case, such as a code.
    Word(String),
}

/// A [`Source`](crate::usage::Source) in a sentence: its parts, empty if not known.
///
/// ```
/// use tower_api_keys::sentence::Argument;
/// # use tower_api_keys::usage::Source;
/// # fn example(argument: &Argument) {
///
/// if let Argument::Source(place) = argument {
///     println!("{} {} {}", place.label, place.client, place.network);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Place {
    /// The label of the layer.
    pub label: String,
    /// The program that called.
    pub client: String,
    /// The address that it called from, or its network.
    pub network: String,
    /// All three in one line.
    #[serde(skip)]
    line: String,
}

impl Place {
    pub(crate) fn new([label, client, network]: [&str; 3], line: String) -> Self {
        Self { label: label.to_owned(), client: client.to_owned(), network: network.to_owned(), line }
    }
}

/// The English text.
impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DurationMs(millis) => Length(*millis).fmt(f),
            Self::Key(key) => key.fmt(f),
            Self::List(words) => f.write_str(&words.join(", ")),
            Self::Number(number) => number.fmt(f),
            Self::Sentence(sentence) => sentence.fmt(f),
            Self::Source(place) => f.write_str(&place.line),
            Self::System(label) => write!(f, "the system ({label})"),
            Self::Text(text) | Self::Word(text) => f.write_str(text),
            Self::Team(team) => team.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::User(user) => user.fmt(f),
        }
    }
}

/// A duration in one unit, in whole numbers.
struct Length(u64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u64 = 1_000;
        const MINUTE: u64 = 60 * SECOND;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let (count, unit) = match self.0 {
            millis if millis >= 2 * DAY => (millis / DAY, "days"),
            millis if millis >= 2 * HOUR => (millis / HOUR, "hours"),
            millis if millis >= 2 * MINUTE => (millis / MINUTE, "minutes"),
            millis if millis >= 2 * SECOND => (millis / SECOND, "seconds"),
            _ => return f.write_str("a second or less"),
        };
        write!(f, "{count} {unit}")
    }
}

/// The text of a sentence, with the texts that `say` returns for arguments.
///
/// A place whose argument is missing stays in the text: tests find it.
fn fill(sentence: &Sentence, say: &dyn Fn(&Argument) -> Option<String>) -> String {
    let mut text = String::with_capacity(sentence.template().len());
    let mut rest = sentence.template();
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((place, behind)) = after.split_once('}') else {
            rest = &rest[before.len()..];
            break;
        };
        let (name, words) = place.split_once(':').map_or((place, None), |(name, words)| (name, Some(words)));
        match (sentence.given(name), words) {
            (Some(given), Some(words)) => text.push_str(choose(&given.argument, words)),
            (Some(given), None) => text.push_str(&said(given, say)),
            (None, _) => {
                text.push('{');
                text.push_str(place);
                text.push('}');
            }
        }
        rest = behind;
    }
    text.push_str(rest);
    text
}

fn said(given: &Given, say: &dyn Fn(&Argument) -> Option<String>) -> String {
    say(&given.argument).unwrap_or_else(|| match (&given.said, &given.argument) {
        (Some(text), _) => text.to_string(),
        (None, Argument::Sentence(part)) => fill(part, say),
        (None, argument) => argument.to_string(),
    })
}

/// One of two words: the first for 1 and for a user.
fn choose<'a>(argument: &Argument, words: &'a str) -> &'a str {
    let (first, second) = words.split_once('|').unwrap_or((words, words));
    let is_first = match argument {
        Argument::List(list) => list.len() == 1,
        Argument::Number(number) => *number == 1,
        Argument::User(_) => true,
        _ => false,
    };
    if is_first { first } else { second }
}
