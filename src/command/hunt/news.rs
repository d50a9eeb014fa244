//! Which flags are news, and how one is told in a line.

use serde_json::{Value, json};

use crate::{
    model::{Flag, Group, HuntState, Role, TestId, Verdict},
    ui::{escape, text},
};

/// Names that a line lists for one role; the rest is counted.
const NAMED: usize = 3;

/// A claim without its counts: what a person would call another answer when it changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claim {
    test: Option<TestId>,
    verdict: Verdict,
    certified: bool,
    groups: Vec<(Role, Vec<TestId>, bool)>,
    unnamed: u32,
    factors: Vec<(String, String)>,
    order: Option<Vec<(TestId, u8)>>,
    since: Option<u64>,
}

impl Claim {
    pub(super) fn of(flag: &Flag) -> Self {
        let group = |group: &Group| (group.role, group.members.clone(), group.adjacent);
        Self {
            test: flag.test.clone(),
            verdict: flag.verdict,
            certified: flag.certified,
            groups: flag.groups.iter().map(group).collect(),
            unnamed: flag.unnamed,
            factors: flag.factors.clone(),
            order: flag.recipe.as_ref().map(|recipe| recipe.order.clone()),
            since: flag.since_iteration,
        }
    }
}

/// Says what a flag claims: verdict, test, and who or what is behind it. Everything is escaped.
pub(super) fn sentence(flag: &Flag) -> String {
    let subject = flag
        .test
        .as_ref()
        .map_or_else(|| "the hosts or containers of a night".to_owned(), named);
    let mut parts = vec![format!("{} {subject}", flag.verdict)];
    for role in Role::ALL {
        let groups: Vec<&Group> = flag
            .groups
            .iter()
            .filter(|group| group.role == *role)
            .collect();
        if !groups.is_empty() {
            parts.push(format!("{} {}", preposition(*role), alternatives(&groups)));
        }
    }
    if flag.unnamed > 0 {
        parts.push(format!(
            "and {} not named yet",
            text::plural(u64::from(flag.unnamed), "other cause")
        ));
    }
    for (factor, level) in &flag.factors {
        parts.push(format!(
            "with {}={}",
            escape::terminal(factor.as_bytes()),
            escape::terminal(level.as_bytes())
        ));
    }
    if let Some(iteration) = flag.since_iteration {
        parts.push(format!("since iteration {iteration}"));
    }
    parts.join(" ")
}

fn preposition(role: Role) -> &'static str {
    match role {
        Role::Polluter => "after",
        Role::StateSetter => "unless after",
        Role::Cleaner => "cleaned by",
        Role::Neighbour => "beside",
    }
}

/// Any of the groups suffices; all members of one are needed.
fn alternatives(groups: &[&Group]) -> String {
    let mut shown: Vec<String> = groups
        .iter()
        .take(NAMED)
        .map(|group| {
            let members: Vec<String> = group.members.iter().map(named).collect();
            let place = if group.adjacent {
                " directly before it"
            } else {
                ""
            };
            format!("{}{place}", members.join(" with "))
        })
        .collect();
    if groups.len() > NAMED {
        shown.push(format!("{} more", groups.len() - NAMED));
    }
    shown.join(" or ")
}

fn named(test: &TestId) -> String {
    escape::terminal(test.as_bytes())
}

/// Returns what a hook is told of a flag.
pub(super) fn facts(
    suite: &str,
    hunt: i64,
    flag: &Flag,
    handle: Option<&str>,
    token: Option<&str>,
) -> Value {
    let names = |tests: &[TestId]| tests.iter().map(escape::json_name).collect::<Vec<_>>();
    let groups = |role: Role| {
        flag.groups
            .iter()
            .filter(|group| group.role == role)
            .map(|group| names(&group.members))
            .collect::<Vec<_>>()
    };
    json!({
        "schema": "soakhound.flag/1",
        "suite": suite,
        "hunt": hunt,
        "test": flag.test.as_ref().map(escape::json_name),
        "handle": handle,
        "verdict": flag.verdict.word(),
        "certified": flag.certified,
        "polluters": groups(Role::Polluter),
        "state_setters": groups(Role::StateSetter),
        "cleaners": groups(Role::Cleaner),
        "neighbours": groups(Role::Neighbour),
        "unnamed": flag.unnamed,
        "factors": flag.factors.iter().map(|(factor, level)| json!({ "factor": factor, "level": level })).collect::<Vec<_>>(),
        "failures": flag.soak.failures,
        "trials": flag.soak.trials,
        "token": token,
        "repeat_for_95": flag.recipe.as_ref().map(|recipe| recipe.repeat),
        "says": sentence(flag),
    })
}

/// Returns what a hook is told of a hunt that could not go on.
pub(super) fn failed(suite: &str, hunt: i64, why: &str) -> Value {
    json!({
        "schema": "soakhound.hunt/1",
        "suite": suite,
        "hunt": hunt,
        "state": HuntState::Failed.word(),
        "reason": why,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Count;

    pub(in crate::command::hunt) fn test(name: &str) -> TestId {
        TestId::new(name).unwrap()
    }

    pub(in crate::command::hunt) fn flag(name: &str, verdict: Verdict) -> Flag {
        Flag {
            certified: true,
            ..Flag::bare(Some(test(name)), verdict)
        }
    }

    fn group(role: Role, members: &[&str]) -> Group {
        Group {
            role,
            members: members.iter().map(|name| test(name)).collect(),
            adjacent: false,
            with: Count::default(),
            with_decoy: Count::default(),
            without: Count::default(),
            ln_e: 8.0,
        }
    }

    #[test]
    fn sentence_names_every_role_with_its_alternatives() {
        let mut flag = flag("t::victim", Verdict::OdVictim);
        flag.groups = vec![
            group(Role::Cleaner, &["t::c"]),
            group(Role::Polluter, &["t::a", "t::b"]),
            group(Role::Polluter, &["t::d"]),
        ];
        flag.unnamed = 2;
        assert_eq!(
            sentence(&flag),
            "od-victim t::victim after t::a with t::b or t::d cleaned by t::c and 2 other causes not named yet"
        );
    }

    #[test]
    fn sentence_says_which_must_end_directly_before() {
        let mut flag = flag("t::brittle", Verdict::OdBrittle);
        flag.groups = vec![
            group(Role::StateSetter, &["t::a"]),
            group(Role::StateSetter, &["t::b"]),
        ];
        let anywhere = sentence(&flag);
        flag.groups[0].adjacent = true;
        assert_eq!(
            sentence(&flag),
            "od-brittle t::brittle unless after t::a directly before it or t::b"
        );
        assert_ne!(anywhere, sentence(&flag));
    }

    #[test]
    fn sentence_counts_what_it_does_not_list_and_escapes_names() {
        let mut flag = flag("t::\u{1b}[31m", Verdict::OdBrittle);
        flag.groups = ["a", "b", "c", "d", "e"]
            .map(|name| group(Role::StateSetter, &[name]))
            .to_vec();
        let said = sentence(&flag);
        assert!(
            said.ends_with("unless after a or b or c or 2 more"),
            "{said}"
        );
        assert!(!said.contains('\u{1b}'), "{said}");
    }

    #[test]
    fn counts_alone_are_no_news() {
        let before = flag("t::victim", Verdict::Nod);
        let mut after = before.clone();
        after.soak.trials = 100;
        assert_eq!(Claim::of(&before), Claim::of(&after));
        after.certified = false;
        assert_ne!(Claim::of(&before), Claim::of(&after));
    }
}
