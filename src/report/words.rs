//! Verdicts, causes and evidence in words and numbers. Test names come out escaped.

use crate::{
    model::{Count, Flag, Group, Reach, Recipe, Role, TestId, Verdict},
    plan::Handles,
    stats,
    ui::{escape, text},
};

/// Error probability of every interval shown: 95 %.
const ALPHA: f64 = 0.05;
/// Longest level of a factor in a table.
const LEVEL_COLUMNS: usize = 18;

/// Short names for the tests of a suite.
pub struct Names<'a>(Handles<'a>);

impl<'a> Names<'a> {
    /// Takes the suite's tests as they are now.
    #[must_use]
    pub fn of(tests: &'a [TestId]) -> Self {
        Self(Handles::of(tests))
    }

    /// Returns a test's handle; also of one that the suite no longer has.
    #[must_use]
    pub fn handle(&self, test: &TestId) -> String {
        self.0.handle(test).to_string()
    }

    /// Returns handle and name, escaped.
    #[must_use]
    pub fn both(&self, test: &TestId) -> String {
        format!(
            "{} {}",
            self.handle(test),
            escape::terminal(test.as_bytes())
        )
    }
}

/// Returns the anytime-valid 95 % interval of a failure rate; `None` without trials.
#[must_use]
pub fn interval(count: Count) -> Option<(f64, f64)> {
    (count.trials > 0).then(|| stats::confidence_sequence(count, ALPHA))
}

/// Returns a rate as percent with two or three digits: `2.9 %`, `0.031 %`, never `100 %` for less.
#[must_use]
pub fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    let digits = match percent {
        10.0.. => 0,
        1.0.. => 1,
        0.1.. => 2,
        _ => 3,
    };
    if percent <= 0.0 {
        "0 %".to_owned()
    } else if percent >= 99.5 && rate < 1.0 {
        format!("{:.2} %", (percent * 100.0).floor() / 100.0)
    } else if percent < 0.0005 {
        "<0.001 %".to_owned()
    } else {
        format!("{percent:.digits$} %")
    }
}

/// Returns a count with its rate and interval: `182 of 6,270 (2.9 %; 2.5 to 3.3 %)`.
#[must_use]
pub fn counted(count: Count) -> String {
    let of = fraction(count);
    match interval(count) {
        None => format!("{of} runs"),
        Some((low, high)) => format!("{of} (95 %: {} to {})", percent(low), percent(high)),
    }
}

fn fraction(count: Count) -> String {
    format!(
        "{} of {}",
        text::count(count.failures),
        text::count(count.trials)
    )
}

/// Returns what an e-value means: how often evidence like this comes about by accident, at most.
#[must_use]
pub fn one_in(ln_e: f64) -> String {
    let decades = ln_e / std::f64::consts::LN_10;
    if ln_e <= 0.0 {
        "no evidence".to_owned()
    } else if decades < 9.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 10^9"
        )]
        let e = ln_e.exp() as u64;
        format!("1 in {}", text::count(e))
    } else {
        format!("1 in 10^{:.0}", decades.floor())
    }
}

/// Returns the groups that hold a role.
#[must_use]
pub fn holders(flag: &Flag, role: Role) -> Vec<&Group> {
    flag.groups
        .iter()
        .filter(|group| group.role == role)
        .collect()
}

/// Returns the cause in a few columns, for a table.
#[must_use]
pub fn cause(flag: &Flag, names: &Names<'_>) -> String {
    let short = |word: &str, role| by_groups(word, &holders(flag, role), names);
    match flag.verdict {
        Verdict::Infrastructure => "the machine".to_owned(),
        Verdict::Broken => flag.since_iteration.map_or_else(
            || "always".to_owned(),
            |since| format!("since iteration {since}"),
        ),
        Verdict::Environment => match flag.factors.first() {
            Some((factor, level)) => {
                let set = escape::terminal(format!("{factor}={level}").as_bytes());
                text::elide_middle(&set, LEVEL_COLUMNS)
            }
            None => "a factor".to_owned(),
        },
        Verdict::Nio => "its second run".to_owned(),
        Verdict::OdVictim | Verdict::Ndod => short("after", Role::Polluter),
        Verdict::OdBrittle => short("without", Role::StateSetter),
        Verdict::Interference => short("beside", Role::Neighbour),
        Verdict::Position => flag.threshold.map_or_else(
            || "its place".to_owned(),
            |tests| match tests {
                0 | 1 => "unless first".to_owned(),
                _ => format!("after {} tests", text::count(tests.into())),
            },
        ),
        Verdict::Nod => "alone".to_owned(),
        Verdict::Undetermined => "-".to_owned(),
    }
}

/// `after m8ty31`, `after m8ty31+c0xw52` (both needed), `after any of 3`.
fn by_groups(word: &str, groups: &[&Group], names: &Names<'_>) -> String {
    match groups {
        [] => format!("{word} others"),
        [one] => match &*one.members {
            [] => format!("{word} others"),
            [a] => format!("{word} {}", names.handle(a)),
            [a, b] => format!("{word} {}+{}", names.handle(a), names.handle(b)),
            more => format!("{word} {} together", more.len()),
        },
        several => format!("{word} any of {}", several.len()),
    }
}

/// Returns what the verdict says about the test, as a sentence.
#[must_use]
pub fn meaning(flag: &Flag) -> String {
    let adjacent = flag.groups.iter().any(|group| group.adjacent);
    match flag.verdict {
        Verdict::Infrastructure => {
            "many tests failed at once where none was to blame: the machine's doing".to_owned()
        }
        Verdict::Broken => match flag.since_iteration {
            None => "always fails, in every order and alone".to_owned(),
            Some(since) => {
                format!("always fails since iteration {since}, never before: a regression")
            }
        },
        Verdict::Environment if flag.certified => format!(
            "fails or passes by its environment: fails with {}",
            settings(&flag.factors)
        ),
        Verdict::Environment => format!(
            "seems to fail by its surroundings: nearly all failures fell on {}",
            settings(&flag.factors)
        ),
        Verdict::Nio => {
            "passes, and fails when it runs again in the same process: it spoils its own state"
                .to_owned()
        }
        Verdict::OdVictim if adjacent => {
            "fails only directly after another test, and not without it".to_owned()
        }
        Verdict::OdVictim => "fails after another test, and not without it".to_owned(),
        Verdict::OdBrittle => "fails alone: it passes only after another test".to_owned(),
        Verdict::Interference => "fails while another test runs elsewhere".to_owned(),
        Verdict::Position => match flag.threshold {
            Some(0 | 1) => "fails unless it is the first test of its process".to_owned(),
            Some(tests) => format!(
                "fails once about {} ran before it, whichever they are",
                text::plural(tests.into(), "test")
            ),
            None => "fails late in a process, whatever ran before".to_owned(),
        },
        Verdict::Ndod => "fails without any other test too, but more often after one".to_owned(),
        Verdict::Nod => {
            "fails at random, also alone: no order and no factor explains it".to_owned()
        }
        Verdict::Undetermined if flag.soak.failures <= 1 => "failed once, not explained".to_owned(),
        Verdict::Undetermined => "fails now and then, not explained yet".to_owned(),
    }
}

/// Returns what a test with this verdict does, in a few words that follow its name.
#[must_use]
pub fn brief(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Infrastructure => "failed with the machine",
        Verdict::Broken => "always fails",
        Verdict::Environment => "fails by its environment",
        Verdict::Nio => "fails when it runs again",
        Verdict::OdVictim => "fails after",
        Verdict::OdBrittle => "fails without",
        Verdict::Interference => "fails beside",
        Verdict::Position => "fails late in a process",
        Verdict::Ndod => "fails at random, more often after",
        Verdict::Nod => "fails at random",
        Verdict::Undetermined => "fails, not explained yet",
    }
}

/// Returns what a group of so many members does to some tests: `makes 41 tests fail`.
#[must_use]
pub fn does(role: Role, members: usize, tests: &str) -> String {
    let together = if members > 1 { "together " } else { "" };
    let s = if members > 1 { "" } else { "s" };
    match role {
        Role::Polluter => format!("{together}make{s} {tests} fail"),
        Role::StateSetter => format!("must {together}run before {tests}"),
        Role::Cleaner => format!("{together}clean{s} up for {tests}"),
        Role::Neighbour => format!("running elsewhere {together}disturb{s} {tests}"),
    }
}

/// Does [`brief`] of this verdict end in a word that the name of another test follows?
#[must_use]
pub fn names_another(verdict: Verdict) -> bool {
    match verdict {
        Verdict::OdVictim | Verdict::OdBrittle | Verdict::Interference | Verdict::Ndod => true,
        Verdict::Infrastructure
        | Verdict::Broken
        | Verdict::Environment
        | Verdict::Nio
        | Verdict::Position
        | Verdict::Nod
        | Verdict::Undetermined => false,
    }
}

/// Does the group decide whether the test fails? Cleaners only undo what others did.
#[must_use]
pub fn decides(group: &Group) -> bool {
    match group.role {
        Role::Polluter | Role::StateSetter | Role::Neighbour => true,
        Role::Cleaner => false,
    }
}

/// Returns a revision as people know it, escaped: a commit by the beginning of its hash, another label whole.
#[must_use]
pub fn revision(label: &str) -> String {
    const SHORT: usize = 9;
    let is_hash = label.len() > SHORT && label.bytes().all(|byte| byte.is_ascii_hexdigit());
    let label = if is_hash { &label[..SHORT] } else { label };
    text::elide_middle(&escape::terminal(label.as_bytes()), LEVEL_COLUMNS)
}

/// Returns factor levels as `NAME=level`.
#[must_use]
pub fn settings(levels: &[(String, String)]) -> String {
    let levels: Vec<String> = levels
        .iter()
        .map(|(factor, level)| escape::terminal(format!("{factor}={level}").as_bytes()))
        .collect();
    levels.join(" ")
}

/// Returns the evidence for a group: its three arms, and what their difference is worth.
#[must_use]
pub fn arms(group: &Group, what: (&str, &str)) -> Vec<String> {
    let (with, without) = what;
    let line = |arm: &str, count: Count| format!("{arm:<20} fails {}", counted(count));
    let mut lines = vec![line(with, group.with)];
    if group.with_decoy.trials > 0 {
        lines.push(line("after decoys", group.with_decoy));
    }
    lines.push(line(without, group.without));
    lines.push(format!(
        "by accident at most {} (e-value of the weaker comparison)",
        one_in(group.ln_e)
    ));
    lines
}

/// Returns where the state lives.
#[must_use]
pub fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Process => "in the memory of one process",
        Reach::Container => "outside the process: files, ports or daemons of one container",
        Reach::Host => "outside the container: it reaches other containers of the host",
    }
}

/// Returns how often to repeat a recipe, and why.
#[must_use]
pub fn repeats(recipe: &Recipe) -> String {
    let again = text::plural(recipe.repeat.into(), "run");
    let show = if recipe.repeat == 1 { "shows" } else { "show" };
    let worst = if recipe.repeat_at_worst > recipe.repeat {
        format!(" (at worst {})", text::count(recipe.repeat_at_worst.into()))
    } else {
        String::new()
    };
    format!(
        "failed {}; {again} {show} it at least once with 95 %{worst}",
        fraction(recipe.seen),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_never_rounds_to_certainty() {
        for (rate, shown) in [
            (0.0, "0 %"),
            (0.000_001, "<0.001 %"),
            (0.000_31, "0.031 %"),
            (0.0028, "0.28 %"),
            (0.029, "2.9 %"),
            (0.34, "34 %"),
            (0.999_96, "99.99 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(rate), shown);
        }
    }

    #[test]
    fn one_in_reads_well_at_every_size() {
        assert_eq!(one_in(0.0), "no evidence");
        assert_eq!(one_in(1000_f64.ln() + 1e-9), "1 in 1,000");
        assert_eq!(one_in(300.0), "1 in 10^130");
    }
}
