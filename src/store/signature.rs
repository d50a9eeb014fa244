//! What makes two failures alike: the line of a failure text that names its error, without its numbers.

/// Version of [`signature`], stored beside each of its results.
pub const SIGNATURE_ALGORITHM: i64 = 1;

/// Longest signature in characters; enough for an exception and the start of its message.
const MAX_SIGNATURE: usize = 200;

/// Returns the signature of a failure text: its first line that pytest marks with `E `, otherwise its
/// last line with a letter in it; each run of hexadecimal or decimal digits becomes `#`.
///
/// Empty when no line qualifies. Never longer than 200 characters; bytes that are not UTF-8 are replaced.
#[must_use]
pub fn signature(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let marked = text.lines().find_map(|line| line.strip_prefix("E "));
    let worded = || {
        text.lines()
            .rev()
            .find(|line| line.contains(char::is_alphabetic))
    };
    let line = marked.or_else(worded).unwrap_or_default().trim();
    let mut out = String::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            let hexadecimal = c == '0' && rest.next_if_eq(&'x').is_some();
            let more = |c: &char| c.is_ascii_digit() || hexadecimal && c.is_ascii_hexdigit();
            while rest.next_if(more).is_some() {}
            out.push('#');
        } else {
            // Control characters would reach a terminal through the shell's views.
            out.push(if c.is_control() { ' ' } else { c });
        }
    }
    out.chars().take(MAX_SIGNATURE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_in_numbers_and_addresses_have_one_signature() {
        for (text, expected) in [
            (
                "x\nE   AssertionError: 12 != 0x7fa3\nE   more",
                "AssertionError: # != #",
            ),
            ("Traceback\nKeyError: 'a'\n---\n", "KeyError: 'a'"),
            ("", ""),
            ("Z\u{1b}[31m", "Z [#m"),
        ] {
            assert_eq!(signature(text.as_bytes()), expected);
        }
        assert_eq!(signature(&[b'a'; 5000]).len(), 200);
    }
}
