//! Makes untrusted text safe for one context each: terminal, JSON, XML. Cuts nothing; callers bound the input.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::model::TestId;

/// Returns text that cannot move a cursor, change a colour or reverse its direction.
///
/// Control characters (line ends too), bidirectional controls, other invisible format characters and
/// backslashes that would read as one of our escapes become `\u{..}`; bytes that are not UTF-8 become `\xNN`.
#[must_use]
pub fn terminal(bytes: &[u8]) -> String {
    escaped(bytes, |character, rest| {
        is_dangerous(character) || reads_as_escape(character, rest)
    })
}

/// As [`terminal`], but keeps line feeds, for text of several lines.
#[must_use]
pub fn terminal_lines(bytes: &[u8]) -> String {
    escaped(bytes, |character, rest| {
        character != '\n' && (is_dangerous(character) || reads_as_escape(character, rest))
    })
}

/// Escapes invalid bytes, and the characters that `must`; it also sees the text after the character.
fn escaped(bytes: &[u8], must: impl Fn(char, &str) -> bool) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().chars();
        while let Some(character) = rest.next() {
            if must(character, rest.as_str()) {
                push(&mut safe, format_args!("{}", character.escape_unicode()));
            } else {
                safe.push(character);
            }
        }
        for byte in chunk.invalid() {
            push(&mut safe, format_args!("\\x{byte:02x}"));
        }
    }
    safe
}

fn reads_as_escape(character: char, rest: &str) -> bool {
    character == '\\' && (rest.starts_with("u{") || rest.starts_with('x'))
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part)
        .expect("writing to a string cannot fail");
}

/// Can the character act on a terminal, or deceive a reader about the order of what is shown?
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{fffe}'..='\u{ffff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns a test's name for JSON: a string, or `{"b64": ..}` where it is not UTF-8.
#[must_use]
pub fn json_name(test: &TestId) -> Value {
    json_bytes(test.as_bytes())
}

/// Returns untrusted bytes for JSON: a string, or `{"b64": ..}` where they are not UTF-8.
#[must_use]
pub fn json_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "b64": BASE64_STANDARD.encode(bytes) }),
    }
}

/// Returns a JSON value as text in one line that does not act on a terminal either: what [`terminal`] would escape
/// becomes `\uXXXX`, so that readers of JSON get every character back.
#[must_use]
pub fn json_text(value: &Value) -> String {
    let plain = value.to_string();
    if !plain.contains(is_dangerous) {
        return plain;
    }
    let mut safe = String::with_capacity(plain.len() + 64);
    for character in plain.chars() {
        if is_dangerous(character) {
            // Only inside strings: the rest of the text is ours.
            for unit in character.encode_utf16(&mut [0; 2]) {
                push(&mut safe, format_args!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Returns text whose characters XML 1.0 allows; the others become `\u{..}` or `\xNN`.
///
/// Markup (`<`, `&`, quotes) is left for the XML writer, which escapes it once.
#[must_use]
pub fn xml(bytes: &[u8]) -> String {
    escaped(bytes, |character, _| {
        !matches!(
            character,
            '\t' | '\n' | '\r' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..
        )
    })
}

/// Returns text that is escaped already as a code span of Markdown that holds in a table, too: nothing in it formats,
/// links or pings. Empty text is a span of one space.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let pad = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    // A table ends a cell at a bar even in a code span, unless a backslash is before it.
    format!("{fence}{pad}{}{pad}{fence}", text.replace('|', "\\|"))
}

/// Returns a line of text that is escaped already as Markdown that shows just it: every character that could format,
/// link, ping or open a tag is written as an entity.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '~'
            | '&' | '@' | '$' => {
                push(&mut safe, format_args!("&#{};", u32::from(character)));
            }
            plain => safe.push(plain),
        }
    }
    // A scheme would become a link by itself.
    safe.replace("://", "&#58;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_shows_what_would_act_or_deceive() {
        for (bytes, shown) in [
            (&b"plain [1/2]"[..], "plain [1/2]"),
            ("tests/é/名前".as_bytes(), "tests/é/名前"),
            (b"\x1b[2J\x07", "\\u{1b}[2J\\u{7}"),
            (b"a\r\n\tb\x7f", "a\\u{d}\\u{a}\\u{9}b\\u{7f}"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("a\u{202e}b\u{2066}".as_bytes(), "a\\u{202e}b\\u{2066}"),
            (b"a\xff\xc3(", "a\\xff\\xc3("),
            (b"\\u{1b} \\xff \\n", "\\u{5c}u{1b} \\u{5c}xff \\n"),
        ] {
            assert_eq!(terminal(bytes), shown);
        }
    }

    #[test]
    fn terminal_lines_keep_line_feeds_alone() {
        assert_eq!(terminal_lines(b"a\nb\r\n"), "a\nb\\u{d}\n");
    }

    #[test]
    fn markdown_neither_formats_nor_links_nor_pings() {
        assert_eq!(markdown_code("a|b"), "`a\\|b`");
        assert_eq!(markdown_code("`a``"), "``` `a`` ```");
        assert_eq!(markdown_code(""), "`  `");
        assert_eq!(
            markdown("*a* <b> @c #1"),
            "&#42;a&#42; &#60;b&#62; &#64;c &#35;1"
        );
        assert_eq!(
            markdown("see http://x.y, www.z"),
            "see http&#58;//x.y, www&#46;z"
        );
    }

    #[test]
    fn json_name_keeps_every_byte() {
        let name = |bytes: &[u8]| json_name(&TestId::new(bytes).unwrap());
        assert_eq!(name(b"a\n\x1b"), json!("a\n\u{1b}"));
        assert_eq!(name(b"\xff\x00"), json!({ "b64": "/wA=" }));
    }

    #[test]
    fn json_text_reads_back_and_does_not_act() {
        let value = json!({"a\u{202e}": "b\u{9b}31m\u{e0041}\u{7f}\n\\u202e"});
        let text = json_text(&value);
        assert!(!text.contains(is_dangerous), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert_eq!(json_text(&json!({"é": [1]})), r#"{"é":[1]}"#);
    }

    #[test]
    fn xml_has_only_allowed_characters() {
        assert_eq!(xml(b"<a>\n\x00\x1b\xff"), "<a>\n\\u{0}\\u{1b}\\xff");
        assert_eq!(xml("\u{fffe}".as_bytes()), "\\u{fffe}");
    }

    proptest! {
        #[test]
        fn terminal_leaves_nothing_dangerous_whatever_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let shown = terminal(&bytes);
            prop_assert!(!shown.chars().any(is_dangerous), "{shown:?}");
        }

        #[test]
        fn terminal_tells_different_names_apart(a in "[\\\\ux{}1b\u{1b}]{0,8}", b in "[\\\\ux{}1b\u{1b}]{0,8}") {
            prop_assert_eq!(a == b, terminal(a.as_bytes()) == terminal(b.as_bytes()));
        }
    }
}
