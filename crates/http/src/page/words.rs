use std::{collections::BTreeMap, fmt, sync::Arc};

use tower_api_keys::{
    Timestamp,
    sentence::{Argument, Sentence},
};

use super::english::{all, english};

type Say = dyn Fn(&Sentence) -> Option<String> + Send + Sync;

/// The words of the page, by id: English ones, or yours.
///
/// ```
/// use tower_api_keys_http::page::Words;
///
/// let words = Words::english()
///     .in_language("de")
///     .with("list.title", "API-Schlüssel")
///     .with("time.minutes", "vor {count} Minuten")
///     .sentences(|sentence| (sentence.id() == "denial.insufficient_role").then(|| "Das darfst du nicht.".to_owned()));
/// assert_eq!(Words::ids().find(|(id, _)| *id == "list.title"), Some(("list.title", "API Keys")));
/// # let _ = words;
/// ```
#[derive(Clone)]
pub struct Words {
    lang: String,
    own: BTreeMap<String, String>,
    say: Option<Arc<Say>>,
}

impl Words {
    /// English.
    #[must_use]
    pub fn english() -> Self {
        Self { lang: "en".to_owned(), own: BTreeMap::new(), say: None }
    }

    /// Sets the language that the document says it is in, such as `de`. Default: `en`.
    #[must_use]
    pub fn in_language(mut self, lang: impl Into<String>) -> Self {
        self.lang = lang.into();
        self
    }

    /// Other words for one [id](Self::ids). `{name}` stands where the English words have it. An id that ends with `_1` is
    /// for a `{count}` of one.
    #[must_use]
    pub fn with(mut self, id: impl Into<String>, text: impl Into<String>) -> Self {
        self.own.insert(id.into(), text.into());
        self
    }

    /// Other texts for the [sentences](tower_api_keys::sentence) of the library, such as denials, notes and flags.
    /// `None` keeps the English text. Default: English.
    #[must_use]
    pub fn sentences(mut self, say: impl Fn(&Sentence) -> Option<String> + Send + Sync + 'static) -> Self {
        self.say = Some(Arc::new(say));
        self
    }

    /// All ids with their English words, for translators.
    pub fn ids() -> impl Iterator<Item = (&'static str, &'static str)> {
        all()
    }

    pub(super) fn lang(&self) -> &str {
        &self.lang
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: &str) -> Option<&str> {
        self.own.get(id).map(String::as_str).or_else(|| english(id))
    }

    /// The words with this id, with these texts in their places. An unknown id is shown as it is.
    pub(super) fn say(&self, id: &str, given: &[(&str, String)]) -> String {
        let is_one = given.iter().any(|(name, text)| *name == "count" && text == "1");
        let one = if is_one { self.find(&format!("{id}_1")) } else { None };
        let mut rest = one.or_else(|| self.find(id)).unwrap_or(id);
        let mut said = String::with_capacity(rest.len());
        // In one pass: a text that is put in may have braces of its own.
        while let Some((before, from)) = rest.split_once('{') {
            said.push_str(before);
            let place = from.split_once('}').and_then(|(name, after)| {
                given.iter().find(|(known, _)| *known == name).map(|(_, text)| (text, after))
            });
            match place {
                Some((text, after)) => {
                    said.push_str(text);
                    rest = after;
                }
                None => {
                    said.push('{');
                    rest = from;
                }
            }
        }
        said.push_str(rest);
        said
    }

    /// A sentence of the library, with its times as the page shows times, and words of code in the quotes of a text.
    pub(super) fn sentence(&self, sentence: &Sentence) -> String {
        let time = |argument: &Argument| match argument {
            Argument::Time(at) => Some(self.minute(*at)),
            _ => None,
        };
        let own = self.say.as_ref().and_then(|say| say(sentence));
        own.unwrap_or_else(|| sentence.text_with(time).replace('`', "\""))
    }

    /// A date: `2 Nov 2026`.
    pub(super) fn date(&self, at: Timestamp) -> String {
        let iso = at.to_string();
        let mut parts = iso.split(['-', 'T']);
        let year = parts.next().unwrap_or_default();
        let month = parts.next().and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
        let day = parts.next().unwrap_or_default().trim_start_matches('0');
        let months = self.say("time.months", &[]);
        let month = months.split_whitespace().nth(month.saturating_sub(1)).unwrap_or_default();
        self.say("time.date", &[("day", day.to_owned()), ("month", month.to_owned()), ("year", year.to_owned())])
    }

    /// Date and minute: `2 Nov 2026, 09:14 UTC`.
    pub(super) fn minute(&self, at: Timestamp) -> String {
        let clock: String = at.to_string().chars().skip(11).take(5).collect();
        format!("{}, {clock} UTC", self.date(at))
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("lang", &self.lang).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_and_there_once() {
        assert!(all().is_sorted_by(|(one, _), (next, _)| one < next));
        assert!(all().all(|(id, text)| english(id) == Some(text)));
    }

    #[test]
    fn words_are_filled_in_once() {
        let words = Words::english().with("a", "{x} and {y}, {z}");
        assert_eq!(words.say("a", &[("x", "{y}".to_owned()), ("y", "2".to_owned())]), "{y} and 2, {z}");
        assert_eq!(words.say("no such id", &[]), "no such id");
        let hours = |count: u8| words.say("time.hours", &[("count", count.to_string())]);
        assert_eq!([hours(1), hours(2)], ["1 hour ago", "2 hours ago"]);
        assert_eq!(Words::english().with("list.title", "Keys").say("list.title", &[]), "Keys");
    }

    #[test]
    fn words_of_code_are_in_the_quotes_of_a_text() {
        let words = Words::english();
        let sentences = tower_api_keys::manage::sentences();
        assert!(sentences.iter().any(|sentence| sentence.to_string().contains('`')));
        assert!(sentences.iter().all(|sentence| !words.sentence(sentence).contains('`')));
    }

    #[test]
    fn times_in_sentences_are_for_people() {
        let words = Words::english();
        let with_time = |sentence: &Sentence| sentence.arguments().any(|(_, given)| matches!(given, Argument::Time(_)));
        let mut seen = 0;
        for sentence in tower_api_keys::manage::sentences().into_iter().filter(with_time) {
            let said = words.sentence(&sentence);
            assert!(said.contains("1 Mar 2026, 12:00 UTC") && !said.contains("2026-03-01T"), "{said}");
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }
}
