//! The two languages in which the server speaks to people; the texts are in `locales/*/server.ftl`.

use std::sync::OnceLock;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

const ARABIC: &str = include_str!("../../locales/ar/server.ftl");
const ENGLISH: &str = include_str!("../../locales/en/server.ftl");
/// Longest `Accept-Language` looked at; the rest of a longer one is not.
const ACCEPT_BYTES_MAX: usize = 512;

/// A language that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// العربية
    Arabic,
    /// English
    English,
}

impl Language {
    /// The language that the client likes best (RFC 9110 §12.5.4); English when it likes neither.
    pub fn of(headers: &HeaderMap) -> Self {
        let header = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let header = header.get(..ACCEPT_BYTES_MAX).unwrap_or(header);
        let mut best = (Self::English, 0.0);
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(language) = Self::of_tag(parts.next().unwrap_or_default()) else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if quality > best.1 {
                best = (language, quality);
            }
        }
        best.0
    }

    /// The language of a tag such as `ar-EG`, if the server speaks it.
    pub fn of_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next() {
            Some(primary) if primary.eq_ignore_ascii_case("ar") => Some(Self::Arabic),
            Some(primary) if primary.eq_ignore_ascii_case("en") => Some(Self::English),
            _ => None,
        }
    }

    /// Its tag.
    pub fn code(self) -> &'static str {
        match self {
            Self::Arabic => "ar",
            Self::English => "en",
        }
    }

    /// `rtl` or `ltr`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::Arabic => "rtl",
            Self::English => "ltr",
        }
    }

    /// What stands between two things of which each may have commas.
    pub fn semicolon(self) -> &'static str {
        match self {
            Self::Arabic => "؛ ",
            Self::English => "; ",
        }
    }

    /// The text of `key`, or of `key.attribute`. A missing text is a bug that a test finds; people see the key then.
    pub fn say(self, key: &str, args: &[(&str, Word<'_>)]) -> String {
        let (id, attribute) = key.split_once('.').map_or((key, None), |(id, attribute)| (id, Some(attribute)));
        let bundle = self.bundle();
        let pattern = bundle.get_message(id).and_then(|message| match attribute {
            None => message.value(),
            Some(attribute) => message.get_attribute(attribute).map(|attribute| attribute.value()),
        });
        let Some(pattern) = pattern else { return key.to_owned() };
        let mut given = FluentArgs::new();
        for (name, word) in args {
            match word {
                Word::Text(text) => given.set(*name, *text),
                Word::Number(number) => given.set(*name, *number),
            }
        }
        bundle.format_pattern(pattern, Some(&given), &mut Vec::new()).into_owned()
    }

    fn bundle(self) -> &'static FluentBundle<FluentResource> {
        static BUNDLES: OnceLock<[FluentBundle<FluentResource>; 2]> = OnceLock::new();
        let [arabic, english] = BUNDLES.get_or_init(|| {
            [(ARABIC, "ar"), (ENGLISH, "en")].map(|(text, language)| {
                let language: LanguageIdentifier = language.parse().expect("our own tags are well formed");
                let texts = FluentResource::try_new(text.to_owned()).expect("our own texts are well formed");
                let mut bundle = FluentBundle::new_concurrent(vec![language]);
                // What is put in is ours (limits, reasons); people's words are isolated by markup instead.
                bundle.set_use_isolating(false);
                bundle.add_resource(texts).expect("our own keys are unique");
                bundle
            })
        });
        match self {
            Self::Arabic => arabic,
            Self::English => english,
        }
    }
}

/// Something to put into a text.
#[derive(Clone, Copy, Debug)]
pub enum Word<'a> {
    /// Words, or the name of a choice.
    Text(&'a str),
    /// A number, which also chooses the plural.
    Number(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn accepted(header: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(header).expect("a header"));
        Language::of(&headers)
    }

    #[test]
    fn the_best_liked_language_is_spoken() {
        for (header, language) in [
            ("ar", Language::Arabic),
            ("ar-EG,ar;q=0.9,en;q=0.8", Language::Arabic),
            ("en-GB,en;q=0.9,ar;q=0.8", Language::English),
            ("fr, ar;q=0.5", Language::Arabic),
            ("en;q=0.1, AR-sa;q=0.2", Language::Arabic),
            ("fr", Language::English),
            ("*", Language::English),
            ("ar;q=0", Language::English),
            ("ar;q=x,;;q=,,-", Language::English),
        ] {
            assert_eq!(accepted(header), language, "{header}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn both_languages_have_the_same_keys() {
        let keys = |text: &str| {
            let ours = |line: &&str| line.contains(" = ") && !line.starts_with([' ', '#']) || line.starts_with("    .");
            text.lines().filter(ours).filter_map(|line| line.split(" =").next().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(keys(ARABIC), keys(ENGLISH));
        assert!(keys(ENGLISH).len() > 50);
    }

    #[test]
    fn plurals_follow_the_language() {
        let paused = |spaces| Language::Arabic.say("status-paused", &[("spaces", Word::Number(spaces))]);
        assert!(paused(1).contains("حوار واحد") && paused(2).contains("حوارين"));
        assert!(paused(3).contains("3 حوارات") && paused(11).contains("11 حوارًا"));
    }
}
