//! What is behind a verdict: groups with their three arms, the recipe, what was ruled out.

use maud::{Markup, html};

use crate::model::{Count, Flag, Group, Recipe, Role};
use crate::report::digest::Card;
use crate::report::html::piece::{self, SENTENCE};
use crate::report::words::{self, percent};
use crate::ui::{escape, text};

/// Groups that are shown with their evidence.
const GROUPS: usize = 3;
/// Members of a group, tests of a recipe, files, sentences.
const LISTED: usize = 6;

/// All of it.
pub(super) fn of(card: &Card) -> Markup {
    let flag = &card.flag;
    let show = format!("show {}", card.handle);
    html! {
        @for group in flag.groups.iter().take(GROUPS) { (of_group(group)) }
        (piece::more(flag.groups.len(), GROUPS, &show))
        @if flag.unnamed > 0 {
            p { "At least " (text::plural(flag.unnamed.into(), "cause")) " more: it also fails where none of these ran before." }
        }
        (alone(flag))
        @if !flag.factors.is_empty() {
            p { "Fails with " code { bdi { (text::elide_middle(&words::settings(&flag.factors), SENTENCE)) } } }
        }
        @if let Some(reach) = flag.reach { p { "The state lives " (words::reach(reach)) "." } }
        (list("Files that are left behind", &flag.files_left, &show))
        @if let Some(recipe) = flag.recipe.as_ref().filter(|recipe| tells_more(recipe, flag)) { (of_recipe(recipe, &show)) }
        (list("Ruled out", &flag.ruled_out, &show))
        @if let Some(settles) = &flag.settles { p { "What would settle it: " bdi { (piece::safe(settles, SENTENCE)) } } }
    }
}

fn of_group(group: &Group) -> Markup {
    let (role, with, without) = match group.role {
        Role::Polluter => ("Polluter", "after it", "without it"),
        Role::StateSetter => ("State-setter", "after it", "without it"),
        Role::Cleaner => ("Cleaner", "with it in between", "without it in between"),
        Role::Neighbour => ("Neighbour", "beside it", "without it"),
    };
    let mut rows = vec![arm(with, group.with)];
    if group.with_decoy.trials > 0 {
        rows.push(arm("with another in its place", group.with_decoy));
    }
    rows.push(arm(without, group.without));
    html! {
        h4 { (role) ": " (crate::report::html::table::group_names(&group.members)) }
        @if group.adjacent { p { "Only when it ends directly before." } }
        ul { @for row in &rows { li { (row) } } }
        p.sure { "By accident at most " (words::one_in(group.ln_e)) "." }
    }
}

fn arm(name: &str, count: Count) -> String {
    let interval = words::interval(count).map_or_else(String::new, |interval| {
        format!(" (95 %: {})", piece::range(interval))
    });
    format!("fails {} {name}{interval}", piece::fraction(count))
}

fn alone(flag: &Flag) -> Markup {
    html! {
        @if let Some(rate) = piece::rate(flag.alone) {
            p { "Alone in a fresh container: fails " (piece::fraction(flag.alone)) " (" (percent(rate)) ")." }
        }
    }
}

/// Does a recipe run anything but a group that is named already, and the test?
fn tells_more(recipe: &Recipe, flag: &Flag) -> bool {
    let Some(((_, rep), before)) = recipe.order.split_last() else {
        return false;
    };
    let named = |group: &Group| before.iter().map(|(test, _)| test).eq(&group.members);
    !recipe.beside.is_empty() || *rep > 1 || !(before.is_empty() || flag.groups.iter().any(named))
}

fn of_recipe(recipe: &Recipe, show: &str) -> Markup {
    html! {
        details {
            summary { "What the command runs" }
            ol {
                @for (test, rep) in recipe.order.iter().take(LISTED) {
                    li { (piece::name(test)) @if *rep > 1 { " \u{d7} " (rep) } }
                }
            }
            (piece::more(recipe.order.len(), LISTED, show))
            @if !recipe.beside.is_empty() {
                p { "Beside it, over and over: " (crate::report::html::table::group_names(&recipe.beside)) }
            }
        }
    }
}

fn list(title: &str, lines: &[String], show: &str) -> Markup {
    html! {
        @if !lines.is_empty() {
            details {
                summary { (title) ": " (text::count(lines.len() as u64)) }
                ul {
                    @for line in lines.iter().take(LISTED) {
                        li { bdi { (text::elide_middle(&escape::terminal(line.as_bytes()), SENTENCE)) } }
                    }
                }
                (piece::more(lines.len(), LISTED, show))
            }
        }
    }
}
