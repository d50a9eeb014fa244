//! The report's page in a real Chromium: what a click does, what a hostile name does not do, and that nothing is
//! loaded, run or said that is not the page's own.

#[path = "support/chromium.rs"]
mod chromium;
#[path = "support/digest.rs"]
#[expect(
    dead_code,
    reason = "the large digest is for the tests of the page's size"
)]
mod digest;
#[path = "support/hostile.rs"]
mod hostile;

use std::path::PathBuf;

use chromium::Browser;
use digest::samples::rich;
use digest::{Maker, Plain, Words};
use hostile::{Corpus, Hostile};
use serde_json::{Value, json};
use soakhound::model::Verdict;
use soakhound::report::Digest;
use soakhound::report::digest::State;
use soakhound::report::html;
use tempfile::TempDir;

/// Pages in a folder of their own, and a browser.
struct World {
    folder: TempDir,
    browser: Browser,
}

impl World {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            browser: Browser::start(),
        }
    }

    fn write(&self, name: &str, digest: &Digest) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, html::page(digest)).unwrap();
        path
    }

    fn open(&mut self, digest: &Digest) {
        let path = self.write("page.html", digest);
        self.browser.open(&path);
    }

    /// Numbers by which a column sorts, of the rows that are shown.
    fn column(&mut self, column: usize) -> Vec<f64> {
        let found = self.browser.eval(&format!(
            "[...document.querySelectorAll('#causes tbody tr:not([hidden])')].map((row) => Number(row.cells[{column}].dataset.v))"
        ));
        serde_json::from_value(found).unwrap()
    }

    fn shown(&mut self) -> usize {
        let rows = self.browser.eval("[...document.querySelectorAll('#causes tbody tr')].filter((row) => row.checkVisibility()).length");
        usize::try_from(rows.as_u64().unwrap()).unwrap()
    }

    fn choose(&mut self, field: &str, value: &str) {
        self.browser.eval(&format!(
            "(() => {{
                const field = document.getElementById('f-{field}');
                field.value = {value:?};
                field.dispatchEvent(new Event('input', {{bubbles: true}}));
                if (field.value !== {value:?}) throw new Error('no such choice');
            }})()"
        ));
    }

    fn assert_quiet(&mut self) {
        assert_eq!(self.browser.noise(), Vec::<String>::new());
    }
}

fn causes(digest: &Digest, which: impl Fn(&soakhound::report::digest::Card) -> bool) -> usize {
    let has = |cause: &&soakhound::report::digest::Cause| {
        cause.cards.iter().any(|at| which(&digest.cards[*at]))
    };
    digest.causes.iter().filter(has).count()
}

#[test]
fn a_click_on_a_heading_sorts_and_another_turns_the_order_round() {
    let digest = rich(&Plain);
    let mut world = World::new();
    world.open(&digest);
    let order = |values: &[f64]| (values.is_sorted(), values.is_sorted_by(|a, b| a >= b));
    let before = world.column(3);
    assert_eq!(
        order(&before),
        (false, false),
        "sorted already, so a click could not be seen: {before:?}"
    );
    for (sorted, word) in [((false, true), "descending"), ((true, false), "ascending")] {
        world.browser.click("#causes thead th:nth-child(4) button");
        let column = world.column(3);
        assert_eq!(order(&column), sorted, "{column:?}");
        assert_eq!(column.len(), digest.causes.len());
        let sorts = world.browser.eval("[...document.querySelectorAll('#causes [aria-sort]')].map((head) => head.textContent + ' ' + head.getAttribute('aria-sort'))");
        assert_eq!(sorts, json!([format!("Fails {word}")]));
    }
    world.browser.click("#causes thead th:nth-child(2) button");
    assert_eq!(
        order(&world.column(1)),
        (true, false),
        "states in the order in which they press"
    );
    world.assert_quiet();
}

#[test]
fn filters_hide_rows_and_say_how_many_are_left() {
    let digest = rich(&Plain);
    let all = digest.causes.len();
    let mut world = World::new();
    world.open(&digest);
    assert_eq!(world.shown(), all);
    world.browser.click("#f-text");
    world.browser.type_text("RECONNECT after");
    world
        .browser
        .until("document.getElementById('f-count').textContent.startsWith('1 of')");
    assert_eq!(world.shown(), 1);
    let left = world
        .browser
        .eval("document.querySelector('#causes tbody tr:not([hidden]) .what').textContent");
    assert!(
        left.as_str().unwrap().contains("test_reconnect_after_drop"),
        "{left}"
    );
    assert_eq!(
        world
            .browser
            .eval("document.getElementById('f-count').textContent"),
        json!(format!("1 of {all} rows"))
    );
    world.choose("text", "");
    assert_eq!(world.shown(), all);
    for (field, value, expected) in [
        (
            "verdict",
            "od-victim",
            causes(&digest, |card| card.flag.verdict.word() == "od-victim"),
        ),
        (
            "state",
            "fixed",
            digest
                .causes
                .iter()
                .filter(|cause| cause.state == State::Fixed)
                .count(),
        ),
        ("owner", "-", causes(&digest, |card| card.owners.is_empty())),
        (
            "owner",
            "0",
            causes(&digest, |card| card.owners == ["@acme/api"]),
        ),
    ] {
        world.choose(field, value);
        assert!(
            (1..all).contains(&expected),
            "{field} {value} would not be seen"
        );
        assert_eq!(world.shown(), expected, "{field} {value}");
        world.choose(field, "");
    }
    world.assert_quiet();
}

/// The text of the command whose button is clicked.
fn first_command(world: &mut World) -> String {
    let code = world
        .browser
        .eval("document.querySelector('#causes .cmd code').textContent");
    code.as_str().unwrap().to_owned()
}

#[test]
fn the_copy_button_puts_the_command_onto_the_clipboard() {
    let digest = rich(&Plain);
    let mut world = World::new();
    world.browser.call(
        "Browser.grantPermissions",
        &json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    world.open(&digest);
    let token = digest.cards[digest.causes[0].cards[0]]
        .token
        .as_ref()
        .unwrap();
    let command = format!("soakhound replay {token} --repeat auto");
    assert_eq!(first_command(&mut world), command);
    world.browser.click("#causes .copy");
    world
        .browser
        .until("document.querySelector('#causes .copy').textContent === 'Copied'");
    assert_eq!(
        world.browser.eval("navigator.clipboard.readText()"),
        json!(command)
    );
    world.assert_quiet();
}

#[test]
fn without_a_clipboard_of_its_own_the_page_copies_what_it_selects() {
    let digest = rich(&Plain);
    let mut world = World::new();
    world.browser.call(
        "Page.addScriptToEvaluateOnNewDocument",
        &json!({"source": "Object.defineProperty(navigator, 'clipboard', {value: undefined});
            window.copied = [];
            addEventListener('copy', () => window.copied.push(getSelection().toString()));"}),
    );
    world.open(&digest);
    let command = first_command(&mut world);
    world.browser.click("#causes .copy");
    world
        .browser
        .until("document.querySelector('#causes .copy').textContent === 'Copied'");
    assert_eq!(world.browser.eval("window.copied"), json!([command]));
    world.assert_quiet();
}

#[test]
fn a_link_opens_the_card_with_and_without_scripts() {
    let digest = rich(&Plain);
    for scripts in [true, false] {
        let mut world = World::new();
        world.browser.call(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": !scripts}),
        );
        world.open(&digest);
        let id = world
            .browser
            .eval("document.querySelector('#causes .what a').getAttribute('href').slice(1)");
        let card = format!("document.getElementById({id}).closest('details')");
        assert_eq!(world.browser.eval(&format!("{card}.open")), json!(false));
        world.browser.click("#causes .what a");
        world.browser.until(&format!("{card}.open"));
        assert_eq!(
            world
                .browser
                .eval("document.querySelectorAll('button').length > 0"),
            json!(scripts)
        );
        assert_eq!(
            world
                .browser
                .eval("document.getElementById('filter').checkVisibility()"),
            json!(scripts)
        );
        assert_eq!(world.shown(), digest.causes.len());
        world.assert_quiet();
    }
}

/// Elements and attributes with how many there are of each, and what an attack would leave behind.
const SHAPE: &str = "(() => {
    const shape = {};
    const count = (key) => { shape[key] = (shape[key] || 0) + 1; };
    const inside = (element) => [...element.querySelectorAll('*')];
    for (const element of [document.documentElement, ...inside(document.documentElement)]) {
        const tag = element.namespaceURI.slice(-3) + ' ' + element.localName;
        count(tag);
        for (const attribute of element.attributes) count(tag + ' @' + attribute.name);
    }
    return shape;
})()";

/// Asserts that two pages have the same elements and attributes; the second one stays open.
fn assert_same_shape(world: &mut World, plain: &Digest, hostile: &Digest) {
    world.open(plain);
    let expected = world.browser.eval(SHAPE);
    world.open(hostile);
    let found = world.browser.eval(SHAPE);
    let [expected, found] = [&expected, &found].map(|shape| shape.as_object().unwrap());
    assert!(expected.len() > 80, "{expected:?}");
    let differing: Vec<(&String, &Value, Option<&Value>)> = expected
        .iter()
        .map(|(key, count)| (key, count, found.get(key)))
        .filter(|(_, a, b)| Some(*a) != *b)
        .collect();
    assert_eq!(differing, []);
    assert_eq!(found.len(), expected.len());
}

#[test]
fn every_name_of_the_corpus_is_text_and_nothing_else() {
    let mut world = World::new();
    let corpus = Corpus::new();
    let digest = |words: &dyn Words| {
        let mut maker = Maker::new(words);
        for nth in 0..corpus.names() {
            let card = maker.alone(
                &format!("name {nth}"),
                Verdict::Undetermined,
                State::New,
                9,
                None,
            );
            maker.flag(card).ruled_out = vec![words.text("order"), words.text("load")];
        }
        maker.finish()
    };
    assert!(corpus.names() > 60);
    assert_same_shape(&mut world, &digest(&Plain), &digest(&corpus));
    let rows = world
        .browser
        .eval("document.querySelectorAll('#causes tbody tr .what a bdi').length");
    assert_eq!(rows, json!(corpus.names()), "each has a row with its name");
    world.assert_quiet();
}

#[test]
fn no_element_and_no_attribute_comes_from_a_name() {
    let mut world = World::new();
    let digest = rich(&Hostile);
    assert_same_shape(&mut world, &rich(&Plain), &digest);
    let links = world.browser.eval("[...document.querySelectorAll('a')].every((link) => /^#[a-z0-9-]+$/.test(link.getAttribute('href')))");
    assert_eq!(links, json!(true), "every link leads into the page");
    let acts = world.browser.eval(
        "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames()).filter((name) => /^(on|style$|src|action|formaction)/.test(name))",
    );
    assert_eq!(acts, json!([]));
    let text = world.browser.eval("document.body.textContent");
    let text = text.as_str().unwrap();
    assert!(
        text.contains("<script>document.title='owned'</script>"),
        "names are shown as they are"
    );
    let deceiving = |character: char| matches!(character, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{fffd}');
    // The replacement character stands where the corpus itself was read lossily.
    let script = world.browser.eval("document.scripts[0].textContent");
    let shown = text.replace(script.as_str().unwrap(), "");
    assert_eq!(
        shown
            .chars()
            .filter(|c| deceiving(*c) && *c != '\u{fffd}')
            .count(),
        0
    );
    let title = world.browser.eval("document.title");
    assert!(
        title.as_str().unwrap().starts_with("Fragility of "),
        "{title}"
    );
    // Every test of the digest stands in the document by its name.
    let first = digest.cards[0].test.as_bytes();
    assert!(text.contains(&soakhound::ui::escape::terminal(first)[..20]));
    world.assert_quiet();
    assert_eq!(world.browser.documents(), 2);
}

#[test]
fn the_policy_stops_what_is_not_ours_and_that_would_be_heard() {
    let mut world = World::new();
    world.open(&rich(&Plain));
    world.assert_quiet();
    world.browser.eval(
        "(() => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            document.body.setAttribute('style', 'color: red');
            new Image().src = 'https://evil.example/pixel.png';
        })()",
    );
    assert_eq!(world.browser.eval("window.ran === undefined"), json!(true));
    let noise = world.browser.noise();
    for refused in ["script-src", "style-src", "default-src"] {
        assert!(
            noise.iter().any(|one| one.contains(refused)),
            "{refused}: {noise:#?}"
        );
    }
}

#[test]
fn nothing_is_wider_than_a_telephone() {
    let mut world = World::new();
    let metrics = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true});
    world
        .browser
        .call("Emulation.setDeviceMetricsOverride", &metrics);
    for words in [&Plain as &dyn Words, &Hostile] {
        world.open(&rich(words));
        // Closed cards have no width, so all of them are opened.
        world
            .browser
            .eval("for (const one of document.querySelectorAll('details')) one.open = true");
        assert_eq!(
            world
                .browser
                .eval("[innerWidth, document.documentElement.scrollWidth]"),
            json!([390, 390])
        );
    }
    world.assert_quiet();
}

#[test]
fn on_paper_cards_are_open_and_nothing_waits_for_a_click() {
    let mut world = World::new();
    world.open(&rich(&Plain));
    let height =
        "document.querySelector('#tests .card:not([open]) > div').getBoundingClientRect().height";
    world
        .browser
        .call("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    assert!(
        world.browser.eval(height).as_f64().unwrap() > 50.0,
        "a closed card is printed"
    );
    let waiting = world.browser.eval("[...document.querySelectorAll('.copy, #filter, nav')].filter((one) => one.checkVisibility()).length");
    assert_eq!(waiting, json!(0));
    world.assert_quiet();
}

#[test]
fn a_screen_reader_finds_its_way() {
    let mut world = World::new();
    world.open(&rich(&Plain));
    let faults = world.browser.eval(
        "(() => {
            const faults = [];
            const all = (selector) => [...document.querySelectorAll(selector)];
            for (const landmark of ['header', 'nav', 'main', 'footer', 'h1'])
                if (all(landmark).length !== 1) faults.push('not one ' + landmark);
            let last = 0;
            for (const heading of all('h1, h2, h3, h4')) {
                const level = Number(heading.localName[1]);
                if (level > last + 1) faults.push('a level is left out before ' + heading.textContent);
                if (!heading.textContent.trim()) faults.push('an empty heading');
                last = level;
            }
            const ids = all('[id]').map((one) => one.id);
            if (new Set(ids).size !== ids.length) faults.push('an id stands twice');
            for (const one of all('[aria-labelledby]'))
                for (const id of one.getAttribute('aria-labelledby').split(' '))
                    if (!document.getElementById(id)) faults.push('no label ' + id);
            for (const drawing of all('svg')) {
                const title = drawing.querySelector(':scope > title');
                const about = drawing.querySelector(':scope > desc');
                if (!title?.textContent || !about?.textContent) faults.push('a drawing without words');
                if (!drawing.getAttribute('role') && !drawing.getAttribute('aria-hidden')) faults.push('a drawing without a role');
            }
            for (const figure of all('figure'))
                if (!figure.querySelector('details table')) faults.push('a chart without numbers: ' + figure.id);
            for (const table of all('table')) {
                if (!table.caption?.textContent) faults.push('a table without a caption');
                for (const head of table.querySelectorAll('th'))
                    if (!head.scope) faults.push('a heading without a scope: ' + head.textContent);
            }
            for (const field of all('input, select'))
                if (!field.labels.length) faults.push('a field without a label: ' + field.id);
            for (const button of all('button'))
                if (!button.textContent.trim()) faults.push('a button without a name');
            if (!document.getElementById('f-count').matches('[role=status][aria-live=polite]')) faults.push('a silent count');
            return faults;
        })()",
    );
    assert_eq!(faults, json!([]));
    assert_eq!(
        world
            .browser
            .eval("document.querySelectorAll('figure').length"),
        json!(6)
    );
    world.assert_quiet();
}
