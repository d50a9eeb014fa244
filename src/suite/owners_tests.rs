use std::{fmt::Write as _, fs};

use super::*;

fn owners_in(text: &str, path: &str) -> Vec<String> {
    Owners::parse(text.as_bytes())
        .unwrap()
        .of(Path::new(path))
        .to_vec()
}

#[track_caller]
fn assert_owned(text: &str, cases: &[(&str, &[&str])]) {
    let owners = Owners::parse(text.as_bytes()).unwrap();
    for (path, expected) in cases {
        assert_eq!(owners.of(Path::new(path)), *expected, "{path} in\n{text}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides_whatever_its_depth() {
    assert_owned(
        "* @all\n*.py @py\n/src/ @src @team/two\n/src/gen/\n",
        &[
            ("README", &["@all"]),
            ("a/b.py", &["@py"]),
            ("src/b.py", &["@src", "@team/two"]),
            ("src/deep/er/b.py", &["@src", "@team/two"]),
            ("src/gen/b.py", &[]),
            ("lib/src/b.py", &["@py"]),
        ],
    );
}

#[test]
fn patterns_match_as_forges_document_them() {
    assert_owned(
        "docs/* @flat\napps/ @apps\n/build/logs/ @logs\n**/fixtures @data\nspec/**/unit @unit\n",
        &[
            ("docs/start.py", &["@flat"]),
            ("docs/build/trouble.py", &[]),
            ("apps/a.py", &["@apps"]),
            ("x/apps/y/a.py", &["@apps"]),
            ("apps", &[]),
            ("build/logs/x/a.py", &["@logs"]),
            ("x/build/logs/a.py", &[]),
            ("a/fixtures", &["@data"]),
            ("a/fixtures/b/c.py", &["@data"]),
            ("spec/a/b/unit/t.py", &["@unit"]),
            ("spec/unit/t.py", &["@unit"]),
        ],
    );
}

#[test]
fn comments_escapes_and_addresses_are_read() {
    assert_owned(
        "# *.py @no\n\\#odd.py @odd\nwith\\ space/ me@example.org # @not\n*.md nobody @yes\n\t\n!a.md @never\n",
        &[
            ("#odd.py", &["@odd"]),
            ("with space/t.py", &["me@example.org"]),
            ("a.md", &["@yes"]),
            ("t.py", &[]),
        ],
    );
}

#[test]
fn sections_lend_their_owners_to_lines_without_any() {
    assert_owned(
        "[Docs] @writers\n*.md\n*.rst @rst\n^[Maybe][2]\n*.py\n[ab].txt @set\n",
        &[
            ("a.md", &["@writers"]),
            ("a.rst", &["@rst"]),
            ("a.py", &[]),
            ("a.txt", &["@set"]),
            ("c.txt", &[]),
        ],
    );
}

#[test]
fn hostile_files_are_bounded_and_what_is_no_pattern_owns_nothing() {
    let long = "b".repeat(5000);
    let nested = format!("{}{} @nested", "{a,".repeat(40), "}".repeat(40));
    let stars = "*a".repeat(200);
    let text = format!(
        "*.py {}\n{long} @long\n{nested}\n{stars} @stars\n[ @open\n{{ @brace\n\\ @end\n/ @top\n\
         \u{202e}\u{1b}[2J @\u{1b}evil\n\0 @nul\n",
        "@y ".repeat(1000)
    );
    let owners = Owners::parse(text.as_bytes()).unwrap();
    assert_eq!(owners.of(Path::new("t.py")).len(), MOST_OWNERS);
    assert!(owners.of(Path::new(&long)).is_empty());
    assert_eq!(owners_in("* @ok\n[a @bad\n", "t.py"), ["@ok"]);
    assert!(owners_in(&format!("* {}", "@".repeat(300)), "t.py").is_empty());
    let odd = Owners::parse(b"\xff\xfe* @a\n/t.py @b\n").unwrap();
    assert_eq!(odd.of(Path::new("t.py")), ["@b"]);
    let many = Owners::parse("*a @a\n".repeat(5001).as_bytes()).unwrap_err();
    assert!(matches!(many, OwnersFault::TooMany), "{many}");
}

#[test]
fn names_before_the_first_wildcard_spare_the_compiling() {
    let mut text = String::from("* @first\n");
    for i in 0..3000 {
        writeln!(text, "/pkg{i}/**/test_*.py @team{i}").unwrap();
    }
    text.push_str("/pkg7/ @last\n");
    let owners = Owners::parse(text.as_bytes()).unwrap();
    assert_eq!(owners.of(Path::new("pkg2999/a/test_x.py")), ["@team2999"]);
    assert_eq!(owners.of(Path::new("pkg7/a/test_x.py")), ["@last"]);
    assert_eq!(owners.of(Path::new("other.py")), ["@first"]);
    let globs = owners
        .0
        .iter()
        .filter_map(|rule| rule.pattern.glob.as_ref());
    let compiled = globs.filter(|glob| glob.matcher.get().is_some()).count();
    assert_eq!(compiled, 2, "the one that fits, and `*`");
}

#[test]
fn file_of_a_test_is_seen_from_the_top_of_the_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("services/shop");
    fs::create_dir_all(&root).unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    let checkout = Checkout::of(&root);
    let file = |name: &[u8]| checkout.file_of(&TestId::new(name).unwrap());
    let path = |path: &str| Some(PathBuf::from(path));
    assert_eq!(
        file(b"tests/t.py::C::test_a[x::y]"),
        path("services/shop/tests/t.py")
    );
    assert_eq!(file(b"./t.py::test"), path("services/shop/t.py"));
    assert_eq!(file(b"../lib/t.py::test"), path("services/lib/t.py"));
    let below = |file: PathBuf| checkout.below_top(&file);
    assert_eq!(
        below(root.join("soakhound.toml")),
        Path::new("services/shop/soakhound.toml")
    );
    assert_eq!(
        below(PathBuf::from("/elsewhere/x.toml")),
        Path::new("x.toml")
    );
    let odd = file(b"\xff.py::test").unwrap();
    assert_eq!(odd.as_os_str().as_bytes(), b"services/shop/\xff.py");
    for name in [
        &b"no_file"[..],
        b"::test",
        b"/etc/passwd::test",
        b"../../../x.py::test",
        b"a\0.py::test",
        b".::t",
    ] {
        assert_eq!(file(name), None, "{}", name.escape_ascii());
    }
}

#[test]
fn first_codeowners_file_in_the_order_of_forges_counts() {
    let folder = tempfile::tempdir().unwrap();
    let write = |place: &str, text: &[u8]| {
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let checkout = Checkout::of(folder.path());
    let owner = || checkout.owners().unwrap().of(Path::new("t.py")).to_vec();
    assert!(owner().is_empty());
    for place in PLACES.iter().rev() {
        write(place, format!("* @{place}\n").as_bytes());
        assert_eq!(owner(), [format!("@{place}")]);
    }
    write(PLACES[0], &vec![b'#'; (3 << 20) + 1]);
    let error = checkout.owners().unwrap_err();
    assert_eq!(error.to_string(), "cannot use `.github/CODEOWNERS`");
}
