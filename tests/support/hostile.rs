//! Words of a suite that wants to break the page: markup, control characters, bidirectional marks, invalid UTF-8,
//! a megabyte in one line. What is made of different plain words stays different.

#[path = "../../src/ui/hostile.rs"]
mod corpus;

use soakhound::model::TestId;
use soakhound::report::excerpt;

use super::digest::Words;

/// What is put before a plain word.
const MALICE: [&[u8]; 18] = [
    b"<script>document.title='owned'</script>",
    b"\"><img src=x onerror=\"document.title='owned'\">",
    b"' onmouseover='document.title=1' x='",
    b"]]>",
    b"</script><script>document.title='owned'</script>",
    b"</style><style>*{display:none}</style>",
    b"<!--",
    b"--><a href=javascript:alert(1)>x</a>",
    b"&lt;b&gt;&#60;i&#62;&amp;",
    b"\x1b[31m\x07\x00\r\n\x7f",
    "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}".as_bytes(),
    b"\xff\xc3(\xf0\x9f",
    b"# **bold** [x](http://evil.example/) @everyone #123 `",
    b"</bdi></code></td></tr></table></section></main>",
    b"{{7*7}}${7*7}<%= 7*7 %>",
    b"https://evil.example/ ::error::",
    "שלום مرحبا ".as_bytes(),
    b"<svg/onload=alert(1)><foreignObject><base href=//evil.example>",
];

/// Texts that stand on the page once.
const ONCE: [&str; 4] = ["acme/ledger", "soak-01", "TZ", "Asia/Kathmandu"];

/// The words.
pub(crate) struct Hostile;

/// Which malice a word gets: any rule does, as long as all of them are used.
fn malice(plain: &str) -> &'static [u8] {
    let sum: usize = plain.bytes().map(usize::from).sum();
    MALICE[sum % MALICE.len()]
}

impl Words for Hostile {
    fn test(&self, plain: &str) -> TestId {
        TestId::new([malice(plain), plain.as_bytes()].concat()).unwrap()
    }

    fn text(&self, plain: &str) -> String {
        let mut text = String::from_utf8_lossy(malice(plain)).into_owned() + plain;
        // What stands on the page once may be a megabyte; what stands on every card would only take time.
        let times = if ONCE.contains(&plain) { 350_000 } else { 500 };
        text.push_str(&"<b>".repeat(times));
        text
    }

    fn output(&self, plain: &str) -> String {
        let mut line = [malice(plain), plain.as_bytes()].concat();
        line.retain(|byte| *byte != b'\n');
        let times = if plain.starts_with('>') { 131_072 } else { 100 };
        line.extend(b"<i>x</i>".repeat(times));
        let mut lines = excerpt(&line);
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }
}

/// Words of the corpus that every renderer is fed with: `name 7` is its seventh name, any other text one of its texts.
pub(crate) struct Corpus {
    names: Vec<Vec<u8>>,
    texts: Vec<Vec<u8>>,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        Self {
            names: corpus::names(),
            texts: corpus::texts(),
        }
    }

    /// Returns how many names there are.
    pub(crate) fn names(&self) -> usize {
        self.names.len()
    }

    /// One of the texts: whole where it stands on the page once, or it would only take time.
    fn bytes(&self, plain: &str) -> &[u8] {
        let sum: usize = plain.bytes().map(usize::from).sum();
        let text = &self.texts[sum % self.texts.len()];
        let most = if ONCE.contains(&plain) {
            text.len()
        } else {
            2_000
        };
        &text[..text.len().min(most)]
    }
}

impl Words for Corpus {
    fn test(&self, plain: &str) -> TestId {
        let nth: usize = plain.trim_start_matches("name ").parse().unwrap();
        TestId::new(&*self.names[nth]).unwrap()
    }

    fn text(&self, plain: &str) -> String {
        String::from_utf8_lossy(self.bytes(plain)).into_owned()
    }

    fn output(&self, plain: &str) -> String {
        excerpt(self.bytes(plain))
            .into_iter()
            .next()
            .unwrap_or_default()
    }
}
