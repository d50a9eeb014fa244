//! The lines of a failure text that say most: its beginning, what is around its error, its end.

use crate::ui::escape;

/// Lines of each of the three parts.
const PART: usize = 4;
/// Longest line, in characters; the rest of it is left out.
const LONGEST: usize = 160;
/// What stands where lines were left out.
const CUT: &str = "[...]";

/// Returns at most a dozen lines of a failure text with marks where lines are left out. Control characters,
/// bidirectional marks and invalid bytes come out as escapes.
#[must_use]
pub fn excerpt(text: &[u8]) -> Vec<String> {
    let lines: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    let last = lines
        .iter()
        .rposition(|line| !line.trim_ascii().is_empty())
        .map_or(0, |at| at + 1);
    let lines = &lines[..last];
    let error = lines.iter().position(|line| line.starts_with(b"E "));
    let middle = error.map_or(0..0, |at| at.saturating_sub(1)..at + PART - 1);
    let kept = |at: &usize| *at < PART || *at + PART >= lines.len() || middle.contains(at);
    let mut shown = Vec::new();
    let mut next = 0;
    for at in (0..lines.len()).filter(kept) {
        if at > next {
            shown.push(CUT.to_owned());
        }
        shown.push(line(lines[at]));
        next = at + 1;
    }
    shown
}

fn line(bytes: &[u8]) -> String {
    // Enough bytes for every character to have four; a megabyte in one line is not read.
    let head = &bytes[..bytes.len().min(4 * LONGEST)];
    let spaced: Vec<u8> = head
        .iter()
        .flat_map(|byte| match byte {
            b'\t' => &b"    "[..],
            other => std::slice::from_ref(other),
        })
        .copied()
        .collect();
    let whole = escape::terminal(&spaced);
    if head.len() == bytes.len() && whole.chars().count() <= LONGEST {
        return whole;
    }
    let mut cut: String = whole.chars().take(LONGEST).collect();
    cut.push_str(CUT);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_kept_whole() {
        assert_eq!(excerpt(b"def f():\r\n\tx\n\n"), ["def f():", "    x"]);
        assert_eq!(excerpt(b""), Vec::<String>::new());
    }

    #[test]
    fn of_a_long_one_beginning_error_and_end_stay() {
        let mut text: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        text[50] = "E   AssertionError: 1 != 2".to_owned();
        let shown = excerpt(text.join("\n").as_bytes());
        assert_eq!(shown.len(), 4 + 1 + 4 + 1 + 4);
        assert_eq!(
            shown[3..8].join("|"),
            "line 3|[...]|line 49|E   AssertionError: 1 != 2|line 51"
        );
        assert_eq!(shown.last().unwrap(), "line 99");
    }

    #[test]
    fn what_could_act_is_shown_and_long_lines_are_cut() {
        assert_eq!(excerpt(b"\x1b[31m\xff"), ["\\u{1b}[31m\\xff"]);
        let long = excerpt(&vec![b'a'; 1_000_000]);
        assert_eq!(long.len(), 1);
        assert_eq!(long[0].chars().count(), LONGEST + CUT.len());
    }
}
