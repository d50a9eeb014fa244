//! What a machine and its users do to a hunt: full disks, broken databases, second hunts, odd paths, no root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;

use crate::support::{Started, World};

/// A small file system of its own, unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mounted(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let data = std::ffi::CString::new(format!("size={size}")).unwrap();
        mount("soakhound-test", at, "tmpfs", MountFlags::empty(), &*data).unwrap();
        Self(at.to_owned())
    }

    /// Fills it up to the last byte.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        let chunk = [0; 4096];
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also where a process still has a file open there.
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

/// Many quick tests with long failure texts, so that a small disk fills soon.
const WORDY: &str = "\
import os, pytest
@pytest.mark.parametrize('n', range(150))
def test_it(n):
    assert False, os.urandom(4000).hex()
";

#[test]
fn full_disk_stops_a_hunt_and_loses_nothing_that_was_acknowledged() {
    let mut world = World::with_files(&[("test_it.py", WORDY)]);
    world.configure("[store]\nmin_free = \"1B\"\n");
    let disk = SmallDisk::mounted(&world.aside("disk"), "24M");
    world.database = disk.0.join("hunt.db");
    let ended = world.expect(155, &["hunt", "--workers", "2", "--seed", "5"]);
    ended.assert_says(&["no space is left", "free some space"]);
    world.check();
    let before = world.rows("SELECT segment, position, test, outcome FROM trials ORDER BY 1, 2");
    let plan = world.rows("SELECT number, seed FROM iteration ORDER BY 1");
    assert!(before.len() > 150, "{}", before.len());
    // Nothing has changed, so the next start is refused for the same reason.
    world.expect(155, &["hunt", "--workers", "2"]);

    let options = std::ffi::CString::new("size=200M").unwrap();
    rustix::mount::mount_remount(&disk.0, MountFlags::empty(), &*options).unwrap();
    let iterations = world
        .number("SELECT max(number) + 1 FROM iteration")
        .to_string();
    world.expect(0, &["hunt", "--workers", "2", "--iterations", &iterations]);
    world.check();
    let after = world.rows("SELECT segment, position, test, outcome FROM trials ORDER BY 1, 2");
    assert!(before.iter().all(|trial| {
        after
            .binary_search_by(|other| key(other).cmp(&key(trial)))
            .is_ok()
    }));
    assert!(
        world
            .rows("SELECT number, seed FROM iteration ORDER BY 1")
            .starts_with(&plan)
    );
    assert_eq!(
        world.number("SELECT count(*) FROM shard WHERE state <> 1"),
        0
    );
    assert_eq!(world.number("SELECT count(*) FROM hunt"), 1);
}

/// Sorts rows by segment and position, and then by all the rest.
fn key(row: &str) -> (i64, i64, &str) {
    let mut words = row.splitn(3, '|');
    let mut number = || words.next().unwrap().parse().unwrap();
    (number(), number(), words.next().unwrap())
}

#[test]
fn disk_without_any_space_is_told_at_once() {
    let mut world = World::of("steady");
    let disk = SmallDisk::mounted(&world.aside("disk"), "1M");
    world.database = disk.0.join("state/hunt.db");
    world.configure("[store]\nmin_free = \"1B\"\n");
    disk.fill();
    for command in ["hunt", "run"] {
        world
            .expect(155, &[command])
            .assert_says(&["no space is left"]);
    }
}

#[test]
fn hunt_leaves_the_free_space_that_it_was_told_to_leave() {
    let mut world = World::of("steady");
    let disk = SmallDisk::mounted(&world.aside("disk"), "60M");
    world.database = disk.0.join("hunt.db");
    world.configure("[store]\nmin_free = \"100MiB\"\n");
    let ended = world.expect(155, &["hunt"]);
    ended.assert_says(&["less than 100.0 MiB are free", "min_free"]);
    assert_eq!(ended.stdout, "");
    world.check();
}

#[test]
fn hunt_drains_when_space_becomes_short() {
    let mut world = World::of("steady");
    let disk = SmallDisk::mounted(&world.aside("disk"), "60M");
    world.database = disk.0.join("hunt.db");
    world.configure("[store]\nmin_free = \"20MiB\"\n");
    let mut hunt = world.start(&["hunt", "--workers", "1"]);
    hunt.until("it hunts", |hunt| hunt.stderr().contains("record "));
    fs::write(disk.0.join("filler"), vec![0; 40 << 20]).unwrap();
    let ended = hunt.wait();
    ended.assert_code(155);
    ended.assert_says(&[
        "less than 20.0 MiB are free",
        "nothing that was recorded is lost",
    ]);
    world.check();
    assert_eq!(
        world.number("SELECT count(*) FROM segment WHERE \"end\" IS NOT 0"),
        0
    );
    fs::remove_file(disk.0.join("filler")).unwrap();
    let iterations = world
        .number("SELECT max(number) + 1 FROM iteration")
        .to_string();
    world.expect(0, &["hunt", "--workers", "1", "--iterations", &iterations]);
    world.check();
}

#[test]
fn second_hunt_on_a_database_is_refused_with_the_name_of_the_first() {
    let world = World::of("steady");
    let mut hunt = world.start(&["hunt", "--workers", "1"]);
    hunt.until("it hunts", |hunt| hunt.stderr().contains("record "));
    let holder = format!("in use by process {}", hunt.pid());
    for command in [&["hunt"][..], &["hunt", "--new"], &["run"]] {
        world.expect(154, command).assert_says(&[&holder]);
    }
    assert_eq!(world.json(&["status"])["state"], "running");
    world.check();
    hunt.signal(Signal::INT);
    hunt.wait().assert_code(0);
}

/// Checks that every command refuses the database and that no byte of it changes.
fn refused(world: &World, says: &str) {
    let before = fs::read(&world.database).unwrap();
    for command in [&["hunt"][..], &["run"], &["status"], &["db", "check"]] {
        world.expect(152, command).assert_says(&[says]);
    }
    assert!(
        fs::read(&world.database).unwrap() == before,
        "the file was changed"
    );
}

#[test]
fn database_of_a_later_release_is_refused_and_left_alone() {
    let world = World::of("steady");
    world.expect(0, &["hunt", "--iterations", "1", "--workers", "1"]);
    let connection = rusqlite::Connection::open(&world.database).unwrap();
    connection
        .pragma_update(None, "user_version", 9999)
        .unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    refused(&world, "newer");
}

#[test]
fn damaged_database_is_refused_and_left_alone() {
    let world = World::of("steady");
    world.expect(0, &["hunt", "--iterations", "1", "--workers", "1"]);
    let connection = rusqlite::Connection::open(&world.database).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let whole = fs::read(&world.database).unwrap();
    fs::write(&world.database, &whole[..whole.len() / 2]).unwrap();
    refused(&world, "damaged");
}

#[test]
fn file_that_is_no_database_of_ours_is_refused_and_left_alone() {
    let world = World::of("steady");
    fs::write(&world.database, "a shopping list\n".repeat(20)).unwrap();
    refused(&world, "not a Soakhound database");
    fs::remove_file(&world.database).unwrap();
    let stranger = rusqlite::Connection::open(&world.database).unwrap();
    stranger
        .execute_batch("CREATE TABLE milk (litres INTEGER)")
        .unwrap();
    drop(stranger);
    refused(&world, "not a Soakhound database");
}

#[test]
fn project_path_with_spaces_quotes_and_other_alphabets_works() {
    let world = World::in_folder("steady", "it's a \"proj ect\" größe 日本 $(x);&\\ n");
    world.expect(0, &["hunt", "--iterations", "2", "--workers", "2"]);
    world.check();
    assert_eq!(
        world.number("SELECT count(*) FROM trials WHERE outcome NOT IN ('passed', 'skipped')"),
        0
    );
    let token = world.json(&["status", "--shards", "1"])["shard_tokens"][0]["token"].clone();
    let again = world.json(&["replay", token.as_str().unwrap()]);
    assert_eq!(
        (&again["match"], &again["failures"]),
        (&"same".into(), &0.into()),
        "{again}"
    );
}

#[test]
fn user_without_root_is_told_what_is_missing() {
    let world = World::of("steady");
    // A place that this user can reach, with a program that it can run, wherever the checkout is.
    let program = world.aside("soakhound");
    fs::copy(env!("CARGO_BIN_EXE_soakhound"), &program).unwrap();
    let root = program.parent().unwrap();
    for (path, mode) in [
        (root, 0o755),
        (&root.join("state"), 0o777),
        (&root.join("home"), 0o777),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    for arguments in [&["hunt"][..], &["run"], &["list"], &["doctor"]] {
        let mut command = Command::new("setpriv");
        world
            .clothe(&mut command)
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let ended = Started::of(command.arg(&program).args(arguments)).wait();
        ended.assert_code(153);
        let all = ended.stdout.clone() + &ended.stderr;
        assert!(all.contains("root"), "{arguments:?}: {all}");
    }
}
