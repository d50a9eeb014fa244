//! The whole hostile corpus through every renderer of the program, counted: names and failure texts that try to act
//! in a page, a terminal, a spreadsheet, a workflow or a parser. What each renderer says is read back by parsers that
//! know nothing of us (Python's own, and the rules of each format), and none may escape.
//!
//! No container runs here; what `run` and `hunt` say while they run has a test of its own, `lxc_hunt`.
#![expect(
    clippy::print_stdout,
    reason = "the count is what the test is made for"
)]

#[path = "../src/ui/hostile.rs"]
mod hostile;
#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use soakhound::model::{
    Answer, Arm, Flag, Group, HandleLength, Outcome, Probe, Question, Role, Suspicion, TestId,
    Verdict,
};
use soakhound::ui::escape;

use support::record::{NOW, Record, count, flag, group, test};
use support::{World, assert_tame};

/// Longest text that the journal of a runner keeps of one failure.
const KEPT: usize = 16 * 1024;

/// Reads the files back with Python's own parsers, and prints what is in them.
const READ_BACK: &str = r#"
import base64, csv, hashlib, html.parser, json, re, xml.etree.ElementTree as tree
out = {}

class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.links, self.text, self.scripts, self.inside = set(), set(), set(), [], [], None
    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.links |= {value[:1] for name, value in attributes if name in ('href', 'src', 'action')}
        self.inside = tag if tag in ('script', 'style') else None
    def handle_endtag(self, tag):
        self.inside = None
    def handle_data(self, data):
        if self.inside: self.scripts.append(hashlib.sha256(data.encode()).digest())
        else: self.text.append(data)
    def handle_comment(self, data): self.tags.add('comment')
    def handle_pi(self, data): self.tags.add('instruction')
    def unknown_decl(self, data): self.tags.add('declaration')

page, source = Page(), open('report.html', encoding='utf-8').read()
page.feed(source); page.close()
policy = re.search(r'Content-Security-Policy" content="([^"]*)"', source).group(1)
out['html'] = {
    'tags': sorted(page.tags), 'attributes': sorted(page.attributes), 'links': sorted(page.links),
    'foreign': sum("sha256-" + base64.b64encode(one).decode() not in policy for one in page.scripts),
    'text': ''.join(page.text),
}
root = tree.parse('out.junit').getroot()
out['junit'] = ['::'.join(filter(None, [c.get('classname'), c.get('name')])) for c in root.iter('testcase')]
with open('out.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.reader(file, strict=True))
out['csv'] = {'rows': len(rows) - 1, 'widths': sorted({len(row) for row in rows}),
              'formulas': sum(cell.lstrip()[:1] in tuple('=+-@') and len(cell) > 1 for row in rows for cell in row)}
log = json.load(open('out.sarif', encoding='utf-8'))
out['sarif'] = [r['locations'][0]['logicalLocations'][0]['fullyQualifiedName'] for r in log['runs'][0]['results']]
print(json.dumps(out))
"#;

/// Cases that each renderer took.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn took(&mut self, renderer: &'static str, cases: usize) {
        *self.0.entry(renderer).or_default() += cases;
    }

    fn print(&self, names: usize, texts: usize) {
        for (renderer, cases) in &self.0 {
            println!("{renderer:<18}{cases:>6} cases");
        }
        println!(
            "hostile corpus: {names} names and {texts} texts through {} renderers, {} cases, none escapes",
            self.0.len(),
            self.0.values().sum::<usize>()
        );
    }
}

/// A hunt of tests with the names of the corpus that fail with its texts, and everything that can be said of a test.
fn made(world: &World) -> Vec<TestId> {
    let names = hostile::names();
    let all: Vec<TestId> = names.iter().map(test).collect();
    let mut record = Record::new(&world.database, &names);
    let mut texts = hostile::texts();
    for text in &mut texts {
        text.truncate(KEPT);
    }
    // Each text once at least, and each name with several.
    record.say(texts);
    for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Passed] {
        let trials: Vec<(&Vec<u8>, Outcome)> = names.iter().map(|name| (name, outcome)).collect();
        record.iteration(&trials);
    }
    let lossy = |at: usize| String::from_utf8_lossy(&names[at % names.len()]).into_owned();
    for at in 0..all.len() {
        let other = |by: usize| vec![all[(at + by) % all.len()].clone()];
        let of = |role, by| Group {
            members: other(by),
            ..group(role, &["t"])
        };
        // The last few are merely suspected or not explained.
        let certified = at + 8 < all.len();
        let claim = Flag {
            certified,
            groups: vec![of(Role::Polluter, 1), of(Role::Cleaner, 2)],
            factors: vec![("TZ".into(), lossy(at + 3))],
            files_left: vec![lossy(at + 4)],
            ruled_out: vec![lossy(at + 5)],
            settles: Some(lossy(at + 6)),
            ln_e: Some(9.0),
            ..flag(
                &names[at],
                Verdict::ALL[1 + at % (Verdict::ALL.len() - 1)],
                count(2, 3),
            )
        };
        record.raise(claim, Some("sk1m_x"));
    }
    let probe = Probe {
        victim: all[0].clone(),
        question: Question::Polluter,
        block: Some(0),
        arm: Arm::Treated,
        turn: 0,
        processes: vec![all.iter().map(|test| (test.clone(), 1)).collect()],
        beside: Vec::new(),
        factors: vec![("TZ".into(), lossy(9))],
    };
    record.question(true, &[(probe, Some(Answer::Failed))]);
    record.analysis(|row| {
        let suspect = |test: &TestId| Suspicion {
            test: test.clone(),
            ln_e: 9.0,
            explanations: vec![(lossy(7), 0.9)],
            soak: count(2, 3),
        };
        row.suspected = all[all.len() - 4..].iter().map(suspect).collect();
    });
    record.finish();
    all
}

/// Names in JSON are those of the corpus, byte for byte.
#[track_caller]
fn assert_names<'a>(what: &str, values: impl IntoIterator<Item = &'a Value>, all: &[TestId]) {
    let found: BTreeSet<String> = values.into_iter().map(Value::to_string).collect();
    let wanted: BTreeSet<String> = all
        .iter()
        .map(|test| escape::json_name(test).to_string())
        .collect();
    assert!(
        found == wanted,
        "{what}: {:?}",
        found.symmetric_difference(&wanted)
    );
}

/// Markdown without its code spans and fences: what is left may hold nothing of a suite.
fn outside_code(markdown: &str) -> String {
    let mut left = String::new();
    for line in markdown.lines() {
        let mut rest = line;
        while let Some(start) = rest.find('`') {
            let fence = rest[start..].chars().take_while(|c| *c == '`').count();
            let ticks = "`".repeat(fence);
            left.push_str(&rest[..start]);
            let inside = &rest[start + fence..];
            // A span ends at the next run of exactly as many.
            let end = inside
                .match_indices(&ticks)
                .map(|(at, _)| at)
                .find(|at| !inside[at + fence..].starts_with('`') && !inside[..*at].ends_with('`'));
            rest = end.map_or_else(
                || panic!("a code span is not closed: {line}"),
                |end| &inside[end + fence..],
            );
        }
        left.push_str(rest);
        left.push('\n');
    }
    left
}

/// Pieces of the corpus that Markdown would make something of.
const ACTIVE: [&str; 9] = [
    "<script",
    "<img",
    "<!--",
    "http://",
    "@everyone",
    "](",
    "~~x",
    "**bold",
    "`code`",
];

fn terminal(world: &World, all: &[TestId], tally: &mut Tally) {
    for (renderer, code, words) in [
        ("status", 3, &["status"][..]),
        ("flags", 0, &["flags"]),
        ("flags --all", 0, &["flags", "--all"]),
    ] {
        let shown = world.expect(code, words);
        assert_tame(renderer, &shown.stdout);
        assert_tame(renderer, &shown.stderr);
        for line in shown
            .stdout
            .lines()
            .filter(|line| !line.starts_with("next: "))
        {
            assert!(soakhound::ui::width(line) <= 80, "{renderer}: {line}");
        }
        tally.took(renderer, all.len());
    }
    let shown = world.expect(0, &["flags", "--all"]).stdout;
    for test in all {
        let handle = test.handle(HandleLength::Six).to_string();
        assert!(shown.contains(&handle), "{handle}");
        let told = world.expect(0, &["show", &handle]);
        assert_tame("show", &told.stdout);
        // Long names go over several lines.
        let solid = |text: &str| text.replace(char::is_whitespace, "");
        let name = solid(&escape::terminal(test.as_bytes()));
        assert!(solid(&told.stdout).contains(&name), "{handle}");
        let lines = told.stdout.lines();
        let lines = lines.filter(|line| !line.starts_with("next: ") && !line.contains("sk1"));
        for line in lines {
            assert!(soakhound::ui::width(line) <= 80, "show: {line}");
        }
        tally.took("show", 1);
        let answer = world.json(&["show", &handle]);
        assert_eq!(answer["test"], escape::json_name(test));
        tally.took("show --json", 1);
    }
    let answer = world.json(&["flags"]);
    assert_names(
        "flags",
        answer["flags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flag| &flag["test"]),
        all,
    );
    tally.took("flags --json", all.len());
    let answer = world.json(&["status"]);
    assert_names(
        "status",
        answer["failing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row["test"]),
        all,
    );
    tally.took("status --json", all.len());
    for words in [&["flags", "--json"][..], &["status", "--json"]] {
        assert_tame("json", &world.run(words).stdout);
    }
}

fn exports(world: &World, all: &[TestId], tally: &mut Tally) {
    for format in ["junit", "csv", "ndjson", "sarif", "github", "prometheus"] {
        let file = format!("out.{format}");
        world.expect(0, &["export", "--format", format, "--out", &file]);
    }
    let read = |name: &str| fs::read_to_string(world.project.join(name)).unwrap();
    let lines: Vec<Value> = read("out.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_names("ndjson", lines.iter().map(|flag| &flag["test"]), all);
    tally.took("ndjson", all.len());
    let notes = read("out.github");
    // Workflow commands, then words in which none is obeyed, until the token that nobody can know.
    let (commands, words) = notes.split_once("::stop-commands::").unwrap();
    let (token, words) = words.split_once('\n').unwrap();
    let end = format!("::{token}::");
    let ends: Vec<usize> = words.match_indices(&end).map(|(at, _)| at).collect();
    assert_eq!(
        ends,
        [words.trim_end().len() - end.len()],
        "the token stands at the end only"
    );
    for line in commands.lines() {
        let commands = ["::error ", "::warning ", "::notice "];
        assert!(
            commands.iter().any(|command| line.starts_with(command)),
            "{line}"
        );
        // Properties end at the first `::` behind the command's own.
        let properties = line[2..].split("::").next().unwrap();
        assert!(!properties.contains(['\r', '\u{1b}']), "{line}");
    }
    assert_tame("github", &notes);
    tally.took("github", notes.lines().count());
    let figures = read("out.prometheus");
    assert_tame("prometheus", &figures);
    for line in figures.lines().filter(|line| !line.starts_with('#')) {
        let (labels, value) = line.rsplit_once(' ').unwrap();
        assert!(
            labels.starts_with("soakhound_") && value.parse::<f64>().is_ok(),
            "{line}"
        );
    }
    tally.took("prometheus", all.len());
}

fn report(world: &World, all: &[TestId], tally: &mut Tally) {
    let day = jiff::Timestamp::from_millisecond(NOW.0 + 86_400_000).unwrap();
    let until = day.strftime("%Y-%m-%d").to_string();
    let told = world.expect(0, &["report", "--until", &until, "--out", "."]);
    assert_tame("report", &told.stdout);
    tally.took("report's lines", all.len());
    let entries = fs::read_dir(&world.project).unwrap();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("fragility-") {
            let ending = path.extension().unwrap().to_str().unwrap();
            fs::rename(&path, world.project.join(format!("report.{ending}"))).unwrap();
        }
    }
    let read = |name: &str| fs::read_to_string(world.project.join(name)).unwrap();
    let json: Value = serde_json::from_str(&read("report.json")).unwrap();
    let tests = json["tests"].as_array().unwrap();
    assert_names("report", tests.iter().map(|card| &card["test"]), all);
    assert_tame("report.json", &read("report.json"));
    tally.took("report.json", all.len());
    let markdown = read("report.md");
    assert_tame("report.md", &markdown);
    let plain = outside_code(&markdown);
    for active in ACTIVE {
        assert!(!plain.contains(active), "{active} outside of code: {plain}");
    }
    // In the log of a workflow, a line that begins so is a command.
    let commands = ["::", "##["];
    let commanding = |line: &&str| {
        commands
            .iter()
            .any(|word| line.trim_start().starts_with(word))
    };
    assert_eq!(markdown.lines().find(commanding), None);
    tally.took("report.md", all.len());
}

fn parsed(world: &World, all: &[TestId], tally: &mut Tally) {
    let read = world.python(READ_BACK);
    let words = |of: &Value| -> Vec<String> { serde_json::from_value(of.clone()).unwrap() };
    let page = &read["html"];
    let odd = [
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "link",
        "foreignobject",
        "comment",
        "instruction",
        "declaration",
    ];
    let tags = words(&page["tags"]);
    assert!(
        tags.iter().all(|tag| !odd.contains(&tag.as_str())),
        "{tags:?}"
    );
    let attributes = words(&page["attributes"]);
    assert!(
        attributes
            .iter()
            .all(|name| !name.starts_with("on") && name != "style" && name != "src"),
        "{attributes:?}"
    );
    assert_eq!(words(&page["links"]), ["#"], "links within the page only");
    assert_eq!(
        page["foreign"], 0,
        "a script or style that the policy does not know"
    );
    let text = page["text"].as_str().unwrap();
    assert_tame("report.html", text);
    let long = |name: &String| name.chars().count() > 100;
    for name in all
        .iter()
        .map(|test| escape::terminal(test.as_bytes()))
        .filter(|name| !long(name))
    {
        assert!(text.contains(&name), "{name} is not on the page as it is");
    }
    tally.took("report.html", all.len());
    for format in ["junit", "sarif"] {
        let names: BTreeSet<String> = words(&read[format]).into_iter().collect();
        assert_eq!(names.len(), all.len(), "{format}");
    }
    tally.took("junit", all.len());
    tally.took("sarif", all.len());
    assert_eq!(
        (&read["csv"]["formulas"], &read["csv"]["rows"]),
        (&0.into(), &all.len().into())
    );
    assert_eq!(
        read["csv"]["widths"].as_array().unwrap().len(),
        1,
        "{}",
        read["csv"]
    );
    tally.took("csv", all.len());
}

#[test]
fn no_name_and_no_text_of_the_corpus_escapes_from_any_renderer() {
    let world = World::with_files(&[("t.py", "")]);
    let all = made(&world);
    let mut tally = Tally::default();
    terminal(&world, &all, &mut tally);
    exports(&world, &all, &mut tally);
    report(&world, &all, &mut tally);
    parsed(&world, &all, &mut tally);
    tally.print(all.len(), hostile::texts().len());
    assert_eq!(tally.0.len(), 17, "every renderer took part");
    for (renderer, cases) in &tally.0 {
        assert!(*cases >= all.len().min(10), "{renderer}: {cases}");
    }
}
