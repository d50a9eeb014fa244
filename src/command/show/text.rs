//! A test's card in words and numbers, for people. Test names come out escaped.

use super::card::Card;
use crate::{
    command::{
        asked::Asked,
        finding::{Certainty, Found, Names, words},
    },
    model::{Group, Recipe, Role, Verdict},
    report::sentence,
    ui::{escape, text},
};

/// Questions that are listed in full; the rest is summed up.
const QUESTIONS: usize = 12;
/// Explanations and sentences that are listed.
const LISTED: usize = 6;
/// Columns beside a heading, of 80.
const BESIDE: usize = 71;

/// Lines with a heading on the left of the first.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// Adds one line, or several below one heading; nothing for none.
    fn add(&mut self, heading: &str, lines: impl IntoIterator<Item = String>) {
        for (place, line) in lines.into_iter().enumerate() {
            let heading = if place == 0 { heading } else { "" };
            for (part, line) in fold(&line).into_iter().enumerate() {
                let heading = if part == 0 { heading } else { "" };
                self.0
                    .push(format!("{heading:<9}{line}").trim_end().to_owned());
            }
        }
    }

    fn one(&mut self, heading: &str, line: impl Into<String>) {
        self.add(heading, [line.into()]);
    }
}

/// Breaks what is too long for its place: between words, and within those that are too long themselves. A token stays in
/// one piece, to be copied as it is.
fn fold(line: &str) -> Vec<String> {
    let within = |line: String| {
        if line.starts_with("sk1") {
            vec![line]
        } else {
            text::chop(&line, BESIDE)
        }
    };
    if text::width(line) <= BESIDE {
        return vec![line.to_owned()];
    }
    text::wrap(line, BESIDE)
        .into_iter()
        .flat_map(within)
        .collect()
}

/// Returns the card as lines of at most 80 columns, but for tokens.
pub(super) fn lines(card: &Card) -> Vec<String> {
    let names = Names::of(&card.tests);
    let mut lines = Lines::default();
    lines.one(&card.handle, escape::terminal(card.test.as_bytes()));
    owners(&mut lines, card);
    verdict(&mut lines, card);
    counts(&mut lines, card);
    if let Some(found) = &card.found {
        for group in &found.flag.groups {
            lines.add(heading(group.role), of_group(group, &names));
        }
        if found.flag.unnamed > 0 {
            lines.one(
                "others",
                format!(
                    "at least {} more: it also fails where none of these ran before",
                    text::plural(found.flag.unnamed.into(), "cause")
                ),
            );
        }
        whereabouts(&mut lines, found);
        if let Some(recipe) = &found.flag.recipe {
            lines.add("recipe", of_recipe(recipe, found.token.as_deref(), &names));
        }
    }
    lines.add(
        "likely",
        card.explanations()
            .iter()
            .take(LISTED)
            .map(|(what, share)| {
                format!(
                    "{} {}",
                    words::percent(*share),
                    escape::terminal(what.as_bytes())
                )
            }),
    );
    seen(&mut lines, card);
    probes(&mut lines, card, &names);
    let sentences = |some: &[String]| -> Vec<String> {
        let safe = some.iter().map(|one| escape::terminal(one.as_bytes()));
        safe.collect()
    };
    lines.add("excluded", sentences(card.ruled_out()));
    if let Some(settles) = card
        .found
        .as_ref()
        .and_then(|found| found.flag.settles.as_ref())
    {
        lines.add("settles", sentences(std::slice::from_ref(settles)));
    }
    lines.add(
        "before",
        card.earlier.iter().take(LISTED).map(|(at, flag)| {
            let sure = if flag.certified {
                "certified"
            } else {
                "not certified"
            };
            format!("{}: {}, {sure}", at.rfc3339(), flag.verdict)
        }),
    );
    lines.0
}

fn owners(lines: &mut Lines, card: &Card) {
    if let Some(why) = &card.owners_unknown {
        lines.one(
            "owner",
            format!("not known: {}", escape::terminal(why.as_bytes())),
        );
    } else if !card.owners.is_empty() {
        let owners = escape::terminal(card.owners.join(" ").as_bytes());
        lines.one("owner", text::elide_middle(&owners, BESIDE));
    }
}

fn verdict(lines: &mut Lines, card: &Card) {
    let Some(found) = &card.found else {
        let word = if card.never_failed() {
            "has never failed on record"
        } else {
            "has failed, and nothing is claimed about it"
        };
        lines.one("verdict", word);
        return;
    };
    let sure = match found.certainty() {
        Certainty::Certified => "certified",
        Certainty::Suspected => "suspected; may vanish",
        Certainty::Open => "not certified",
    };
    lines.one("verdict", format!("{}, {sure}", found.flag.verdict));
    lines.one("", words::meaning(&found.flag));
    if let Some(why) = found.no_action {
        lines.one("", format!("no action needed: {}", why.meaning()));
    }
    if let Some(fixed) = &found.fixed {
        let of = (fixed.passes, fixed.under.as_str());
        let said = sentence::passes(of, fixed.before, fixed.since.as_deref());
        lines.add("fixed", said);
    }
    if let Some(ln_e) = found.ln_e() {
        lines.one("", format!("by accident at most {}", words::one_in(ln_e)));
    }
}

fn counts(lines: &mut Lines, card: &Card) {
    let (skipped, void) = card.aside;
    let runs = text::plural(card.soak.trials, "run");
    if card.never_failed() {
        lines.one("soak", format!("never failed in {runs}"));
        if let Some(bound) = card.bound() {
            lines.one(
                "",
                format!(
                    "so it fails in at most {} of them, with 95 %",
                    words::percent(bound)
                ),
            );
        }
        if let Some(covered) = card.pair_coverage {
            lines.one(
                "pairs",
                format!(
                    "{} of the suite's ordered pairs have run in one process",
                    words::percent(covered)
                ),
            );
        }
    } else {
        lines.one("soak", format!("failed {}", words::counted(card.soak)));
    }
    if let Some(share) = card.found.as_ref().and_then(|found| found.fragility) {
        lines.one(
            "share",
            format!(
                "{} of 1,000 full runs in your CI's order are red for it (95 %: {} to {})",
                sentence::per_1000(share.per_1000),
                sentence::per_1000(share.interval.0),
                sentence::per_1000(share.interval.1)
            ),
        );
    }
    if skipped + void > 0 {
        lines.one(
            "",
            format!(
                "{} skipped, {} void: not counted",
                text::count(skipped),
                text::count(void)
            ),
        );
    }
    let infra = card.standing.as_ref().map_or(0, |standing| standing.infra);
    if infra > 0 {
        lines.one(
            "",
            format!(
                "{} set aside as the machine's doing",
                text::plural(infra, "failure")
            ),
        );
    }
    let alone = card.alone();
    if alone.trials > 0 {
        lines.one("alone", format!("failed {}", words::counted(alone)));
    }
}

fn heading(role: Role) -> &'static str {
    match role {
        Role::Polluter => "polluter",
        Role::StateSetter => "setter",
        Role::Cleaner => "cleaner",
        Role::Neighbour => "beside",
    }
}

fn of_group(group: &Group, names: &Names<'_>) -> Vec<String> {
    let mut lines: Vec<String> = group.members.iter().map(|test| names.both(test)).collect();
    if group.members.len() > 1 {
        lines.push("  all of them are needed, in this order".to_owned());
    }
    if group.adjacent {
        lines.push("  only when it ends directly before".to_owned());
    }
    let arms = match group.role {
        Role::Polluter | Role::StateSetter => ("after it", "without"),
        Role::Cleaner => ("with it between", "without"),
        Role::Neighbour => ("beside it", "without"),
    };
    lines.extend(
        words::arms(group, arms)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines
}

fn whereabouts(lines: &mut Lines, found: &Found) {
    let flag = &found.flag;
    if flag.verdict == Verdict::Environment && !flag.factors.is_empty() {
        lines.one("factor", words::settings(&flag.factors));
    }
    if let Some(reach) = flag.reach {
        lines.one("state", format!("lives {}", words::reach(reach)));
    }
    lines.add(
        "files",
        flag.files_left
            .iter()
            .map(|path| escape::terminal(path.as_bytes())),
    );
}

fn of_recipe(recipe: &Recipe, token: Option<&str>, names: &Names<'_>) -> Vec<String> {
    let mut lines: Vec<String> = recipe
        .order
        .iter()
        .map(|(test, rep)| {
            let again = if *rep > 1 { " (again)" } else { "" };
            format!("{}{again}", names.both(test))
        })
        .collect();
    let beside = recipe.beside.iter();
    lines.extend(beside.map(|test| format!("  while {} runs elsewhere", names.both(test))));
    if !recipe.factors.is_empty() {
        lines.push(format!("  with {}", words::settings(&recipe.factors)));
    }
    lines.push(words::repeats(recipe));
    lines.extend(token.map(str::to_owned));
    lines
}

fn seen(lines: &mut Lines, card: &Card) {
    let first = card.found.as_ref().and_then(|found| found.first.as_ref());
    if let Some(first) = first {
        lines.one(
            "first",
            format!("{}, revision {}", first.time.rfc3339(), first.revision),
        );
    }
    lines.add(
        "failed",
        card.occasions.iter().flat_map(|failure| {
            let when = failure.seen.time.rfc3339();
            let revision = &failure.seen.revision;
            [
                format!("{when} {}, revision {revision}", failure.outcome),
                failure.token.clone(),
            ]
        }),
    );
    let signature = card
        .found
        .as_ref()
        .and_then(|found| found.signature.as_ref());
    if let Some(signature) = signature {
        lines.one("message", escape::terminal(signature.as_bytes()));
    }
}

fn probes(lines: &mut Lines, card: &Card, names: &Names<'_>) {
    if card.asked.is_empty() {
        return;
    }
    let probes: u64 = card.asked.iter().map(Asked::probes).sum();
    let executions: u64 = card.asked.iter().map(Asked::executions).sum();
    lines.one(
        "probes",
        format!(
            "{} of {}, {}, {} to certify",
            text::plural(probes, "probe"),
            text::plural(executions, "test execution"),
            text::plural(card.asked.len() as u64, "question"),
            text::plural(card.attempts(), "attempt"),
        ),
    );
    let skipped = card.asked.len().saturating_sub(QUESTIONS);
    if skipped > 0 {
        lines.one("", format!("… {} earlier", text::count(skipped as u64)));
    }
    lines.add(
        "",
        card.asked[skipped..].iter().map(|asked| asked.line(names)),
    );
}
