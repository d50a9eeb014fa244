//! A database that a hunt writes to, while other programs look in.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use soakhound::model::{Outcome, ShardState};
use soakhound::store::{self, Reader};

use super::{Fixture, passed, plan};

/// Opens the database as the shell does, reads and closes it, in a process of its own.
fn look_in(it: &Fixture) {
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nprint(c.execute('SELECT count(*) FROM trial').fetchone()[0])\nc.close()";
    let looked = Command::new("python3")
        .args(["-c", script])
        .arg(it.path())
        .output()
        .unwrap();
    assert!(looked.status.success(), "{looked:?}");
}

/// A process that closes any handle of a file gives up all its locks on it. A shell that comes then takes itself for the
/// last one, and takes the write-ahead log away from under the writer.
#[test]
fn a_shell_that_looks_in_takes_nothing_away_from_a_writer_whose_process_reads_too() {
    let it = Fixture::new(2);
    let log = it.path().with_extension("db-wal");
    let before = log.metadata().unwrap().ino();
    for round in 0..3 {
        let shard = it.shard(plan(round, 2));
        let segment = it.segment(shard, 2);
        // The process reads, too: every open looks at the header of the file first.
        drop(Reader::open(&it.path()).unwrap());
        look_in(&it);
        it.close(segment, passed(0..2)).unwrap();
        it.wait(it.writer.close_shard(shard, ShardState::Finished))
            .unwrap();
        look_in(&it);
    }
    assert_eq!(
        log.metadata().unwrap().ino(),
        before,
        "the log was taken away"
    );
    let status = it.reader().status(it.hunt).unwrap();
    assert_eq!(status.outcomes.of(Outcome::Passed), 6);
    assert_eq!(store::check(&it.path()).unwrap().findings, []);
}
