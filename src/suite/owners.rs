//! Who looks after a test's file: the CODEOWNERS file of the checkout that the suite is in.
//!
//! A line is a pattern in the manner of gitignore and its owners; the last pattern that matches decides. [`Owners`]
//! is pure; [`Checkout`] finds the file and reads it. What the file says is untrusted text.

use std::{
    cell::OnceCell,
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::model::TestId;

/// Where forges look, in their order: the first that exists counts.
const PLACES: [&str; 4] = [
    ".github/CODEOWNERS",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".gitlab/CODEOWNERS",
];
/// Largest file that counts, in bytes: GitHub ignores larger ones.
const LARGEST: u64 = 3 << 20;
/// Longest pattern in bytes: paths that people write are shorter, and one line must not cost what a whole file may.
const LONGEST_PATTERN: usize = 1024;
/// Most patterns with wildcards: each is compiled and tried by itself.
const MOST_GLOBS: usize = 5000;
/// Longest name of an owner in bytes; e-mail addresses have at most 254.
const LONGEST_OWNER: usize = 256;
/// Most owners of one pattern.
const MOST_OWNERS: usize = 50;

/// The rules of a CODEOWNERS file, in its order.
#[derive(Debug, Default)]
pub struct Owners(Vec<Rule>);

/// One line: what it matches, and who owns that.
#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    owners: Vec<String>,
}

/// What a line matches.
#[derive(Debug)]
struct Pattern {
    /// Does it begin at the top, or in any folder?
    anchored: bool,
    /// Does it name a folder, so that a file of that name is not meant?
    folder: bool,
    /// The names of folders and files that it begins with, without wildcards.
    names: Vec<Vec<u8>>,
    /// All of it, as patterns of gitignore for files, where it has wildcards. Most never need to be compiled: the names
    /// before the first wildcard do not fit.
    glob: Option<Glob>,
}

/// A pattern with wildcards; `None` in the cell where it is invalid, and matches nothing.
#[derive(Debug)]
struct Glob {
    lines: Vec<String>,
    matcher: OnceCell<Option<Gitignore>>,
}

impl Owners {
    /// Reads the text of a CODEOWNERS file.
    ///
    /// Comments, `\#`, `\ ` and sections of GitLab are understood: the headings' own owners go to lines without any.
    /// A line that nothing can be made of is left out, as forges do.
    ///
    /// # Errors
    /// [`OwnersFault::TooMany`] for files that would take too long.
    pub fn parse(text: &[u8]) -> Result<Self, OwnersFault> {
        let text = String::from_utf8_lossy(text);
        let mut common = Vec::new();
        let mut rules = Vec::new();
        let mut globs = 0;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(named) = section(line) {
                common = owners(named);
                continue;
            }
            let Some(rule) = Rule::of(line, &common) else {
                continue;
            };
            globs += usize::from(rule.pattern.glob.is_some());
            if globs > MOST_GLOBS {
                return Err(OwnersFault::TooMany);
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }

    /// Returns the owners of a file, by its path from the top of the checkout; none where no rule matches, or where
    /// the last that does names nobody.
    #[must_use]
    pub fn of(&self, path: &Path) -> &[String] {
        let names: Vec<&[u8]> = path.iter().map(OsStr::as_bytes).collect();
        let mut rules = self.0.iter().rev();
        rules
            .find(|rule| rule.pattern.matches(path, &names))
            .map_or(&[], |rule| &rule.owners)
    }
}

impl Rule {
    fn of(line: &str, common: &[String]) -> Option<Self> {
        let (pattern, rest) = split(line);
        // Forges have no negation, and a pattern is no place for it.
        if pattern.len() > LONGEST_PATTERN || pattern.starts_with('!') {
            return None;
        }
        let own = owners(rest);
        Some(Self {
            pattern: Pattern::of(pattern)?,
            owners: if own.is_empty() { common.to_vec() } else { own },
        })
    }
}

impl Pattern {
    fn of(text: &str) -> Option<Self> {
        let body = text.trim_end_matches('/');
        let folder = body.len() < text.len();
        if body.is_empty() {
            return None;
        }
        let parts = body.strip_prefix('/').unwrap_or(body).split('/');
        let names: Vec<Vec<u8>> = parts.map_while(plain).collect();
        let whole = body.split('/').filter(|part| !part.is_empty()).count() == names.len();
        Some(Self {
            anchored: body.contains('/'),
            folder,
            names,
            glob: (!whole).then(|| Glob {
                lines: lines(body, folder),
                matcher: OnceCell::new(),
            }),
        })
    }

    /// Does it own this file? `names` are the parts of `path`.
    fn matches(&self, path: &Path, names: &[&[u8]]) -> bool {
        // A folder owns what is in it.
        let longest = names.len().saturating_sub(usize::from(self.folder));
        let begins = |names: &[&[u8]]| self.names.iter().zip(names).all(|(own, name)| own == name);
        if let Some(glob) = &self.glob {
            let may = !self.anchored || names.len() >= self.names.len() && begins(names);
            return may && glob.matches(path);
        }
        if self.anchored {
            self.names.len() <= longest && begins(names)
        } else {
            names[..longest].iter().any(|name| *name == self.names[0])
        }
    }
}

impl Glob {
    fn matches(&self, path: &Path) -> bool {
        let compiled = self.matcher.get_or_init(|| {
            let mut builder = GitignoreBuilder::new("");
            for line in &self.lines {
                builder.add_line(None, line).ok()?;
            }
            builder.build().ok()
        });
        let matched = |matcher: &Gitignore| matcher.matched(path, false).is_ignore();
        compiled.as_ref().is_some_and(matched)
    }
}

/// Returns the name that a part of a pattern without wildcards means; `None` with some, or what may be some.
fn plain(part: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'*' | b'?' | b'[' | b']' | b'{' | b'}' => return None,
            b'\\' => name.push(rest.next()?),
            other => name.push(other),
        }
    }
    (!name.is_empty()).then_some(name)
}

/// Splits a line at its first blank that has no backslash before it.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        if character.is_whitespace() && !escaped {
            return line.split_at(at);
        }
        escaped = character == '\\' && !escaped;
    }
    (line, "")
}

/// Returns the owners in the rest of a line; a `#` begins a comment.
fn owners(text: &str) -> Vec<String> {
    let words = text.split_whitespace();
    words
        .take_while(|word| !word.starts_with('#'))
        .filter(|word| word.contains('@') && word.len() <= LONGEST_OWNER)
        .take(MOST_OWNERS)
        .map(str::to_owned)
        .collect()
}

/// Returns what follows the heading of a section of GitLab: `[Name] @owner`, `^[Optional][2]`.
fn section(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('^').unwrap_or(line).strip_prefix('[')?;
    let (name, rest) = inner.split_once(']')?;
    // What goes on directly is a pattern that begins with a set of characters.
    let approvals = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let rest = approvals.map_or(rest, |(_, rest)| rest);
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (ends && !name.is_empty()).then_some(rest)
}

/// Returns the patterns of gitignore that match the files which a pattern of CODEOWNERS owns: the file itself, and
/// all below a folder of that name.
fn lines(body: &str, folder: bool) -> Vec<String> {
    let below = if body.contains('/') {
        format!("{body}/**")
    } else {
        format!("**/{body}/**")
    };
    // `docs/*` owns the files in the folder and not those of folders in it; `*` and `**` need no second pattern.
    let flat = body.ends_with("/*") || body.ends_with("**") || body == "*";
    match (folder, flat) {
        (true, _) => vec![below],
        (false, true) => vec![body.to_owned()],
        (false, false) => vec![body.to_owned(), below],
    }
}

/// Where a suite is in the checkout of its project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    top: PathBuf,
    below: PathBuf,
}

/// Why the owners of a checkout are not known.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{place}`")]
pub struct OwnersError {
    place: &'static str,
    #[source]
    why: OwnersFault,
}

/// What is wrong with a CODEOWNERS file.
#[derive(Debug, thiserror::Error)]
pub enum OwnersFault {
    /// Its size.
    #[error("it is larger than 3 MiB, so forges ignore it too")]
    TooLarge,
    /// Its patterns.
    #[error("it has more than {MOST_GLOBS} patterns with wildcards")]
    TooMany,
    /// The disk.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

impl Checkout {
    /// Finds the top of the checkout that a suite's root is in: the next folder with a `.git`, else the root itself.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let top = root.ancestors().find(|folder| folder.join(".git").exists());
        let top = top.unwrap_or(&root).to_owned();
        let below = root.strip_prefix(&top).unwrap_or(Path::new("")).to_owned();
        Self { top, below }
    }

    /// Returns a file by its path from the top of the checkout; one outside by its name alone.
    #[must_use]
    pub fn below_top(&self, file: &Path) -> PathBuf {
        let whole = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let below = whole.strip_prefix(&self.top).ok().map(Path::to_owned);
        below.unwrap_or_else(|| whole.file_name().map_or_else(PathBuf::new, PathBuf::from))
    }

    /// Returns the file of a test, from the top of the checkout: what its name has before the first `::`. `None` for
    /// names without one, and for paths that lead out of the checkout.
    #[must_use]
    pub fn file_of(&self, test: &TestId) -> Option<PathBuf> {
        let name = test.as_bytes();
        let end = name.windows(2).position(|pair| pair == b"::")?;
        let path = Path::new(OsStr::from_bytes(&name[..end]));
        // No file has such a name, and no reader of ours needs to hear of it.
        if name[..end].contains(&0) {
            return None;
        }
        let mut file = self.below.clone();
        for part in path.components() {
            match part {
                Component::Normal(part) => file.push(part),
                Component::CurDir => {}
                Component::ParentDir if file.pop() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        (file != self.below && !file.as_os_str().is_empty()).then_some(file)
    }

    /// Reads the CODEOWNERS file; without one nobody owns anything.
    ///
    /// # Errors
    /// [`OwnersError`] when there is one that cannot be read, or is too large.
    pub fn owners(&self) -> Result<Owners, OwnersError> {
        for place in PLACES {
            let path = self.top.join(place);
            if !path.is_file() {
                continue;
            }
            let owners = read(&path).and_then(|text| Owners::parse(&text));
            return owners.map_err(|why| OwnersError { place, why });
        }
        Ok(Owners::default())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OwnersFault> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(OwnersFault::TooLarge);
    }
    Ok(text)
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
