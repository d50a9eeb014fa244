//! Words and numbers for people: plurals, counts, durations, sizes, rates, and names cut to a width. Pure.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands where a name was cut.
const ELLIPSIS: &str = "...";

/// Returns how many columns a text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Returns `text` in at most `columns` columns, cut in the middle: both ends of a test's name tell more.
#[must_use]
pub fn elide_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(kept) = columns.checked_sub(ELLIPSIS.len()) else {
        return ".".repeat(columns);
    };
    // The end of a name is the test itself, so it gets the odd column.
    let front = kept / 2;
    let head = fitting(text.chars(), front);
    let tail = fitting(text.chars().rev(), kept - front);
    let end: String = tail.chars().rev().collect();
    format!("{head}{ELLIPSIS}{end}")
}

/// Takes characters while they fit into `columns`.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    characters
        .take_while(|character| {
            used += character.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

/// Cuts text into pieces of at most `columns` columns, wherever that is.
#[must_use]
pub fn chop(text: &str, columns: usize) -> Vec<String> {
    let (mut pieces, mut piece, mut taken) = (Vec::new(), String::new(), 0);
    for character in text.chars() {
        let wide = width(character.encode_utf8(&mut [0; 4]));
        if taken > 0 && taken + wide > columns {
            pieces.push(std::mem::take(&mut piece));
            taken = 0;
        }
        piece.push(character);
        taken += wide;
    }
    pieces.push(piece);
    pieces
}

/// Breaks text between words into lines of at most `columns` columns; a longer word has a line of its own.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns a number with commas between its thousands, such as `6,034,448`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Returns a count with its noun, such as `1 test`, `2 tests` or `2 matches`.
#[must_use]
pub fn plural(number: u64, noun: &str) -> String {
    let ending = match number {
        1 => "",
        _ if noun.ends_with('s') || noun.ends_with("ch") || noun.ends_with('x') => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", count(number))
}

/// Returns a duration in its two largest units, such as `3h46m`, `12s`, `1.25s` or `90ms`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..10 => format!("{:.2}s", time.as_secs_f64().min(9.99)),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Returns a size with one decimal in a binary unit, such as `1.9 GiB` or `512 B`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    // Tenths in integers: a float would round 1,023.99 KiB up to 1024.0 KiB.
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 {
        tenths /= 1_024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns a rate per second, such as `742/s` or `0.8/s`; `-/s` when it is no number.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        "-/s".to_owned()
    } else if per_second < 9.95 {
        format!("{:.1}/s", per_second.max(0.0))
    } else {
        format!("{per_second:.0}/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chop_cuts_anywhere_but_within_a_character() {
        assert_eq!(chop("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(chop("a日本b", 4), ["a日", "本b"]);
        assert_eq!(chop("日本", 1), ["日", "本"]);
        assert_eq!(chop("", 4), [""]);
    }

    #[test]
    fn wrap_breaks_between_words_only() {
        let lines = wrap("one two 日本 three-hundred", 8);
        assert_eq!(lines, ["one two", "日本", "three-hundred"]);
        assert_eq!(wrap("one two 日本", 12), ["one two 日本"]);
        assert_eq!(wrap("", 8), [""]);
    }

    #[test]
    fn elided_name_keeps_both_ends() {
        assert_eq!(elide_middle("ledger::sync::reconnect", 13), "ledge...nnect");
        assert_eq!(
            elide_middle("ledger::sync::reconnect", 14),
            "ledge...onnect"
        );
        assert_eq!(elide_middle("short", 5), "short");
        assert_eq!(elide_middle("longer", 2), "..");
        assert_eq!(elide_middle("名前名前名前", 9), "名...前");
    }

    #[test]
    fn plural_words_and_thousands_read_well() {
        assert_eq!(plural(0, "test"), "0 tests");
        assert_eq!(plural(1, "test"), "1 test");
        assert_eq!(plural(1_234_567, "match"), "1,234,567 matches");
        assert_eq!(plural(2, "pass"), "2 passes");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
    }

    #[test]
    fn duration_shows_two_units() {
        for (millis, shown) in [
            (0, "0ms"),
            (90, "90ms"),
            (1_250, "1.25s"),
            (9_999, "9.99s"),
            (12_000, "12s"),
            (61_000, "1m01s"),
            (13_560_000, "3h46m"),
            (90_000_000, "1d01h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn size_and_rate_never_show_a_full_next_unit() {
        for (bytes, shown) in [
            (512, "512 B"),
            (1_048_575, "1023.9 KiB"),
            (2_040_109_465, "1.8 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
        assert_eq!(rate(741.6), "742/s");
        assert_eq!(rate(0.84), "0.8/s");
        assert_eq!(rate(f64::NAN), "-/s");
    }

    proptest! {
        #[test]
        fn elided_text_fits_its_columns(text in "\\PC{0,60}", columns in 0_usize..40) {
            let shown = elide_middle(&text, columns);
            prop_assert!(shown == text || width(&shown) <= columns.max(width(&text).min(columns)));
        }
    }
}
