//! The journal against honest, broken and forged streams.

use super::*;
use crate::model::{InvalidName, Outcome};

const NONCE: Nonce = Nonce::new(0xabc);

fn run_of(tests: usize) -> Journal {
    Journal::of_run(NONCE, JournalLimits::new(tests, 1000), tests)
}

/// Frames the given JSON members as consecutive records.
fn lines(records: &[&str]) -> Vec<u8> {
    let framed = (0..).zip(records).map(|(number, record)| {
        let gap = if record.is_empty() { "" } else { "," };
        format!("{{\"n\":\"{NONCE}\",\"s\":{number}{gap}{record}}}\n")
    });
    framed.collect::<String>().into_bytes()
}

/// Returns why a run of three tests with these records is not believed.
fn distrust(records: &[&str]) -> Option<Untrusted> {
    let mut journal = run_of(3);
    journal.feed(&lines(records));
    journal.untrusted().cloned()
}

const START_0: &str = r#""k":"start","i":0,"t":10"#;
const END_0: &str = r#""k":"end","i":0,"t":15,"o":"passed""#;

#[test]
fn a_run_cut_into_any_chunks_reads_the_same() {
    let bytes = lines(&[
        r#""k":"versions","runner":"pytest 8","language":"Python 3""#,
        r#""k":"note","d":"hello","unknown":{"key":[1]}"#,
        r#""k":"missing","missing":[1]"#,
        START_0,
        r#""k":"end","i":0,"t":15,"o":"failed","d":{"b64":"/wo="}"#,
        r#""k":"start","i":2,"t":16"#,
        r#""k":"finished","exit":2"#,
    ]);
    let whole = run_of(3).feed(&bytes);
    assert_eq!(whole.len(), 7);
    assert_eq!(
        whole[4],
        JournalEvent::Ended {
            index: 0,
            outcome: Outcome::Failed,
            at: MonoMicros(15),
            detail: Some(vec![0xff, b'\n']),
        }
    );
    for size in 1..bytes.len() {
        let mut journal = run_of(3);
        let events: Vec<_> = bytes
            .chunks(size)
            .flat_map(|chunk| journal.feed(chunk))
            .collect();
        assert_eq!(events, whole, "chunks of {size}");
        assert_eq!(
            (journal.running(), journal.finished()),
            (Some(2), Some(2)),
            "the test that broke the run off is named"
        );
    }
}

#[test]
fn a_process_that_dies_names_its_test_and_what_never_started() {
    let mut journal = run_of(4);
    let mut bytes = lines(&[START_0, END_0, r#""k":"start","i":1,"t":20"#]);
    bytes.extend_from_slice(b"{\"n\":\"cut in the mid");
    journal.feed(&bytes);
    assert_eq!(journal.running(), Some(1));
    assert_eq!(journal.finished(), None);
    assert_eq!(journal.untrusted(), None);
    assert_eq!(journal.not_started().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn another_order_than_planned_is_seen() {
    let mut journal = run_of(3);
    let first = r#""k":"start","i":2,"t":1"#;
    let records = [first, r#""k":"end","i":2,"t":2,"o":"passed""#, START_0];
    journal.feed(&lines(&records));
    assert_eq!(journal.untrusted(), None);
    assert!(journal.order_differs());
}

#[test]
fn impossible_sequences_are_untrusted() {
    let cases: &[(&[&str], Untrusted)] = &[
        (&[END_0], Untrusted::EndWithoutStart { index: 0 }),
        (
            &[START_0, r#""k":"start","i":1,"t":11"#],
            Untrusted::Overlap {
                running: 0,
                index: 1,
            },
        ),
        (
            &[START_0, END_0, r#""k":"start","i":0,"t":20"#],
            Untrusted::StartedTwice { index: 0 },
        ),
        (
            &[START_0, END_0, END_0],
            Untrusted::EndWithoutStart { index: 0 },
        ),
        (
            &[r#""k":"missing","missing":[0]"#, START_0],
            Untrusted::StartedTwice { index: 0 },
        ),
        (
            &[r#""k":"start","i":3,"t":1"#],
            Untrusted::OutOfRange { index: 3, tests: 3 },
        ),
        (
            &[START_0, r#""k":"end","i":0,"t":9,"o":"passed""#],
            Untrusted::Backwards { record: 1 },
        ),
        (
            &[START_0, r#""k":"end","i":0,"t":11,"o":"oom""#],
            Untrusted::Senseless { record: 1 },
        ),
        (
            &[r#""k":"item","name":"x""#],
            Untrusted::Senseless { record: 0 },
        ),
        (&[r#""k":"dance""#], Untrusted::Senseless { record: 0 }),
        (
            &[r#""k":"start","i":-1,"t":1"#],
            Untrusted::NotARecord { line: 1 },
        ),
        (&[""], Untrusted::NotARecord { line: 1 }),
        (
            &[r#""k":"finished","exit":0"#, START_0],
            Untrusted::AfterFinish,
        ),
    ];
    for (records, reason) in cases {
        assert_eq!(distrust(records).as_ref(), Some(reason), "{records:?}");
    }
}

#[test]
fn a_forged_record_is_untrusted_once_and_for_good() {
    let mut journal = run_of(3);
    journal.feed(&lines(&[START_0]));
    let forged = b"{\"n\":\"0\",\"s\":1,\"k\":\"end\",\"i\":0,\"t\":11,\"o\":\"passed\"}\n";
    let reason = Untrusted::WrongNonce { line: 2 };
    assert_eq!(journal.feed(forged), [JournalEvent::Untrusted(reason)]);
    let later = &lines(&[START_0, END_0])[..];
    assert_eq!(journal.feed(later), [], "nothing follows");
    assert_eq!(journal.running(), Some(0), "the offender is named");
}

#[test]
fn a_lost_or_repeated_record_is_untrusted() {
    let mut journal = run_of(3);
    let once = lines(&[r#""k":"note","d":"x""#]);
    journal.feed(&once);
    journal.feed(&once);
    let (expected, found) = (1, 0);
    assert_eq!(
        journal.untrusted(),
        Some(&Untrusted::Sequence { expected, found })
    );
}

#[test]
fn a_line_without_end_is_bounded() {
    let limits = JournalLimits {
        line: 100,
        total: 1000,
    };
    let mut journal = Journal::of_run(NONCE, limits, 1);
    let events: Vec<_> = (0..9).flat_map(|_| journal.feed(&[b'x'; 30])).collect();
    let limit = 100;
    assert_eq!(
        events,
        [JournalEvent::Untrusted(Untrusted::LineTooLong { limit })]
    );
    assert!(journal.partial.is_empty());
}

#[test]
fn records_without_end_are_bounded() {
    let limits = JournalLimits {
        line: 100,
        total: 1000,
    };
    let mut journal = Journal::of_run(NONCE, limits, 1);
    journal.feed(&lines(&[r#""k":"note","d":"x""#; 30]));
    let limit = 1000;
    assert_eq!(journal.untrusted(), Some(&Untrusted::TooLong { limit }));
}

#[test]
fn a_listing_keeps_names_exactly_and_refuses_impossible_ones() {
    let listed = |records: &[&str]| {
        let mut journal = Journal::listing(NONCE, JournalLimits::new(0, 1000));
        journal.feed(&lines(records))
    };
    let odd = TestId::new("a b.py::t[\u{fc}\n]").unwrap();
    let bytes = TestId::new(vec![0xff]).unwrap();
    assert_eq!(
        listed(&[
            r#""k":"item","name":"a b.py::t[ü\n]""#,
            r#""k":"item","name":{"b64":"/w=="}"#,
        ]),
        [JournalEvent::Item(odd), JournalEvent::Item(bytes)]
    );
    let empty = Untrusted::Name(InvalidName::Empty);
    assert_eq!(
        listed(&[r#""k":"item","name":"""#]),
        [JournalEvent::Untrusted(empty)]
    );
    let twice = listed(&[r#""k":"item","name":"a""#, r#""k":"item","name":"a""#]);
    assert!(matches!(
        twice[1],
        JournalEvent::Untrusted(Untrusted::ListedTwice { .. })
    ));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 1_u64;
    for _ in 0..2000 {
        let mut bytes = lines(&[START_0, END_0, r#""k":"missing","missing":[1,2]"#]);
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(state >> 33).unwrap() % bytes.len();
            bytes[place] = u8::try_from(state >> 56).unwrap();
        }
        run_of(3).feed(&bytes);
    }
}
