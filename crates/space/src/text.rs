//! Words that people choose: titles, names, languages. Cleaned once, here; everywhere else they are merely escaped.
//!
//! A stranger's text may carry control characters or bidirectional overrides, which let it reorder the page around it.
//! They are taken out, not refused: a pasted title should work. Joiners and plain direction marks stay, since Arabic and
//! Persian need them.

use crate::Refusal;

/// What a space is called: 1 to 200 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Title(String);

impl Title {
    /// Longest title, in characters: two lines on a phone.
    pub const CHARS_MAX: usize = 200;

    /// Cleans a title. [`Refusal::TitleEmpty`] or [`Refusal::TitleTooLong`] if what is left breaks a limit.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        // No sensible title needs this many bytes, and cleaning should not cost more.
        if text.len() > Self::CHARS_MAX * 8 {
            return Err(Refusal::TitleTooLong);
        }
        match clean(text) {
            title if title.is_empty() => Err(Refusal::TitleEmpty),
            title if title.chars().count() > Self::CHARS_MAX => Err(Refusal::TitleTooLong),
            title => Ok(Self(title)),
        }
    }

    /// The title as text. Still to be escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a person is called in a space: up to 64 bytes on one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Longest name, in bytes of UTF-8: about 30 letters of Arabic, and what fits a pass.
    pub const BYTES_MAX: usize = 64;

    /// Cleans a name. [`Refusal::NameEmpty`] or [`Refusal::NameTooLong`] if what is left breaks a limit.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > Self::BYTES_MAX * 8 {
            return Err(Refusal::NameTooLong);
        }
        match clean(text) {
            name if name.is_empty() => Err(Refusal::NameEmpty),
            name if name.len() > Self::BYTES_MAX => Err(Refusal::NameTooLong),
            name => Ok(Self(name)),
        }
    }

    /// The name as text. Still to be escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why something is not as it was said: 1 to 280 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(String);

impl Reason {
    /// Longest reason, in characters: four lines on a phone.
    pub const CHARS_MAX: usize = 280;

    /// Cleans a reason. [`Refusal::ReasonEmpty`] or [`Refusal::ReasonTooLong`] if what is left breaks a limit.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > Self::CHARS_MAX * 8 {
            return Err(Refusal::ReasonTooLong);
        }
        match clean(text) {
            reason if reason.is_empty() => Err(Refusal::ReasonEmpty),
            reason if reason.chars().count() > Self::CHARS_MAX => Err(Refusal::ReasonTooLong),
            reason => Ok(Self(reason)),
        }
    }

    /// The reason as text. Still to be escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The language that is mostly spoken: a BCP 47 tag, checked for shape only (RFC 5646 §2.1), in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Language(String);

impl Language {
    /// Longest tag: RFC 5646 §4.4.1 asks for room for 35.
    pub const BYTES_MAX: usize = 35;

    /// Reads a tag. [`Refusal::NotALanguage`] if it is not shaped like one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut subtags = text.split('-');
        let primary = subtags.next().unwrap_or_default();
        let shaped = text.len() <= Self::BYTES_MAX
            && (2..=8).contains(&primary.len())
            && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
            && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if shaped { Ok(Self(text.to_ascii_lowercase())) } else { Err(Refusal::NotALanguage) }
    }

    /// The tag as text; needs no escaping.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One line without what could change the text around it.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() {
            gap = true; // line and paragraph separators too
        } else if !is_dangerous(character) {
            if gap && !cleaned.is_empty() {
                cleaned.push(' ');
            }
            gap = false;
            cleaned.push(character);
        }
    }
    // Nothing but invisible marks is no text.
    if cleaned.chars().all(|character| is_mark(character) || character == ' ') { String::new() } else { cleaned }
}

/// Controls, embeddings, overrides and isolates (UAX #9), and characters that exist to hide others.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{ad}' | '\u{180e}' | '\u{2060}'..='\u{2064}' | '\u{e0000}'..='\u{e007f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
}

/// Invisible but needed: zero-width joiner and non-joiner, direction marks.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_overrides_are_taken_out_and_lines_joined() {
        let check = |text: &str, title: &str| assert_eq!(Title::parse(text).map(|t| t.0), Ok(title.to_owned()));
        check("  a \n\t b\r\n", "a b");
        check("\u{202e}moc.elpmaxe\u{202c}", "moc.elpmaxe");
        check("a\u{0}\u{7}\u{1b}[2Jb", "a[2Jb");
        check("\u{2067}حوار\u{2069} hiwar", "حوار hiwar");
        check("می\u{200c}خواهم", "می\u{200c}خواهم");
        check("one\u{2028}two\u{2029}three", "one two three");
        check("👩‍👩‍👧 talk", "👩‍👩‍👧 talk");
        check("</script><b>", "</script><b>");
    }

    #[test]
    fn empty_and_endless_texts_are_refused() {
        for empty in ["", " \n", "\u{202e}\u{202c}", "\u{200b}\u{200f}"] {
            assert_eq!(Title::parse(empty), Err(Refusal::TitleEmpty), "{empty:?}");
            assert_eq!(Name::parse(empty), Err(Refusal::NameEmpty), "{empty:?}");
        }
        assert!(Title::parse(&"ح".repeat(200)).is_ok());
        assert_eq!(Title::parse(&"ح".repeat(201)), Err(Refusal::TitleTooLong));
        assert_eq!(Title::parse(&"x".repeat(1_000_000)), Err(Refusal::TitleTooLong));
        assert!(Name::parse(&"ح".repeat(32)).is_ok());
        assert_eq!(Name::parse(&"ح".repeat(33)), Err(Refusal::NameTooLong));
        assert_eq!(Name::parse(&"x".repeat(10_000)), Err(Refusal::NameTooLong));
    }

    #[test]
    fn languages_have_the_shape_of_a_tag() {
        for (text, tag) in [("ar", "ar"), ("AR-EG", "ar-eg"), ("zh-Hant-TW", "zh-hant-tw"), ("und", "und")] {
            assert_eq!(Language::parse(text).map(|language| language.0), Ok(tag.to_owned()));
        }
        for bad in ["", "a", "ar_EG", "ar-", "ar--eg", "\"><script>", "123", &"a-".repeat(30)] {
            assert_eq!(Language::parse(bad), Err(Refusal::NotALanguage), "{bad:?}");
        }
    }
}
