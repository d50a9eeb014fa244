//! Names and texts that try to harm whoever shows them: what the tests of every renderer are fed with.
//!
//! Uses nothing of ours, so that the tests of the whole program can include the file as it is.

/// Names of tests, each once, all within what a suite may have: 1 to 4,096 bytes.
pub(crate) fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        // Markup.
        "t.py::test[<script>alert(1)</script>]",
        "t.py::test[\"><img src=x onerror=alert(1)>]",
        "t.py::test[' onmouseover='x]",
        "t.py::test[<!--]",
        "t.py::test[]]>]",
        "t.py::test[<![CDATA[x]]",
        "t.py::test[&amp;&lt;&#0;]",
        "t.py::test[</testcase></testsuite>]",
        // Markdown.
        "t.py::test[**bold** `code` [x](javascript:alert(1))]",
        "t.py::test[| cell | @everyone #1 ~~x~~]",
        "t.py::test[![i](http://x.example/i.png)]",
        "# heading\n- item\n> quote",
        // Terminals.
        "t.py::test[\u{1b}[2J\u{1b}]0;title\u{7}]",
        "t.py::test[\u{9b}31m\u{90}x\u{9c}]",
        "t.py::test[\r overwrites]",
        "t.py::test[\u{8}\u{8}\u{7f}]",
        "t.py::test[\tx\u{b}\u{c}]",
        // What deceives a reader.
        "t.py::test[\u{202e}gpj.exe\u{202c}]",
        "t.py::test[\u{2066}a\u{2069}\u{200f}\u{61c}]",
        "t.py::test[\u{200b}\u{feff}\u{ad}\u{2028}\u{2029}\u{e0041}]",
        "t.py::test[\\u{1b}[2J \\x1b]",
        "t.py::test[Cafe\u{301}]",
        "t.py::test[Café]",
        // Commands of a workflow.
        "::error::t.py",
        "::error file=/etc/passwd,line=1,title=x::y::test",
        "t.py::test\n::set-env name=PATH::/tmp\r\n::add-mask::e",
        "t.py::test\n##[error]x",
        "  ::stop-commands::pause",
        "%0A::warning::percent%25::test",
        // Formulas of a spreadsheet.
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1:A9)",
        "\t=1+1",
        "\r=1+1",
        " =HYPERLINK(\"http://x.example\")",
        "'=1+1",
        "＝1+1",
        // Separators of tables.
        "t.py::test[a,b;c\"d\"\"e]",
        "t.py::test[\"]",
        "t.py::test[a\nb\r\nc]",
        "\"",
        ",",
        "\n",
        " ",
        // Placeholders, templates and the shell.
        "t.py::test[{0} {{x}} ${{ github.token }} $(id) `id` %s %n]",
        "t.py::test['; DROP TABLE test; --]",
        "__proto__",
        "null",
        // Paths.
        "../../../../etc/passwd::test",
        "/etc/passwd::test",
        "a b/t é?#%.py::test",
        "http://x.example/t.py::test",
        "file:///etc/passwd::test",
        "C:\\t.py::test",
        "-rf.py::test",
        "::",
        "::::",
        "t.py::",
        // What XML cannot hold.
        "t.py::test[\u{0}]",
        "t.py::test[\u{1}\u{1f}\u{fffe}\u{ffff}\u{85}]",
        "a\u{0}b.py::test",
        // Figures of another format.
        "x{suite=\"a\"} 1\n# TYPE y counter",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.extend([
        b"t.py::test[\xff\xfe]".to_vec(),
        b"t.py::test[\xc3(\xed\xa0\x80]".to_vec(),
        b"\xff.py::test".to_vec(),
        b"\xf0\x9f\x92".to_vec(),
        format!("t.py::test[{}]", "l".repeat(4000)).into_bytes(),
        format!("t.py::test[{}]", "\u{202e}".repeat(1300)).into_bytes(),
        format!("{}.py::test", "/d".repeat(2000)).into_bytes(),
        vec![0xff; 4096],
    ]);
    names
}

/// Texts of failures and the like, of any size.
pub(crate) fn texts() -> Vec<Vec<u8>> {
    let mut texts = names();
    texts.extend([
        vec![b'x'; 1 << 20],
        "<\u{1b}é".repeat(200_000).into_bytes(),
        vec![0; 1 << 16],
        "\n::error::x\r\n::set-output name=a::b\n"
            .repeat(1000)
            .into_bytes(),
        b"]]>".repeat(5000),
        Vec::new(),
    ]);
    texts
}
