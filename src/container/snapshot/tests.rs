//! Real folders, a real git: what a snapshot takes, finds again and throws away.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

/// A project in a temporary folder with an odd name, and a store beside it.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    store: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("it's a \"project\", dir: 1\nü");
        fs::create_dir(&root).unwrap();
        let store = folder.path().join("store");
        Self {
            _folder: folder,
            root,
            store,
        }
    }

    fn repository() -> Self {
        let place = Self::new();
        place.git(&["init", "-q"]);
        place.write("pkg/mod.py", "x = 1\n");
        place.write(".gitignore", "*.log\n.venv\n_version.py\n__pycache__\n");
        place.git(&["add", "."]);
        let who = ["-c", "user.name=n", "-c", "user.email=e@x"];
        place.git(&[&who[..], &["commit", "-q", "-m", "one"]].concat());
        place
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.root);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(command.status().unwrap().success(), "git {arguments:?}");
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn take_with(&self, extra: &[&str], exclude: &[PathBuf]) -> Result<Snapshot, SnapshotError> {
        let extra: Vec<_> = extra.iter().map(PathBuf::from).collect();
        let source = Source {
            root: &self.root,
            extra: &extra,
            exclude,
            owner: OWNER,
        };
        Snapshot::take(&source, &self.store, &mut |_| {})
    }

    fn take(&self) -> Snapshot {
        self.take_with(&[], &[]).unwrap()
    }

    fn stored(&self) -> usize {
        fs::read_dir(&self.store).unwrap().count()
    }
}

const OWNER: Owner = Owner {
    uid: 1234,
    gid: 1235,
};

fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                names.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

#[test]
fn git_decides_what_is_taken_and_untracked_files_are() {
    let place = Place::repository();
    place.write("new.py", "");
    place.write("noise.log", "");
    place.write(".venv/bin/python", "");
    let snapshot = place.take();
    assert_eq!(
        names(&snapshot.path),
        [".gitignore", "new.py", "pkg/mod.py"]
    );
    assert_eq!((snapshot.files, snapshot.reused), (3, false));
    let revision = snapshot.revision.unwrap();
    assert!(revision.dirty && revision.commit.len() >= 40);
}

#[test]
fn a_clean_work_tree_is_not_dirty() {
    let snapshot = Place::repository().take();
    assert!(!snapshot.revision.unwrap().dirty);
    assert_eq!(snapshot.notes, []);
}

#[test]
fn a_repository_of_another_user_is_listed_whether_that_user_can_reach_it_or_not() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::repository();
    place.write("noise.log", "");
    let mut chown = Command::new("chown");
    chown.args(["-R", "1234:1235"]).arg(&place.root);
    assert!(chown.status().unwrap().success());
    let parent = place.root.parent().unwrap();
    for mode in [0o700, 0o755] {
        fs::set_permissions(parent, PermissionsExt::from_mode(mode)).unwrap();
        let snapshot = place.take();
        assert_eq!(snapshot.notes, [], "{mode:o}");
        assert!(!snapshot.path.join("noise.log").exists());
        assert!(!snapshot.revision.as_ref().unwrap().dirty);
    }
}

#[test]
fn an_ignored_virtual_environment_is_taken_when_asked_for() {
    let place = Place::repository();
    place.write(".venv/lib/site/thing.log", "");
    let snapshot = place.take_with(&[".venv"], &[]).unwrap();
    assert!(snapshot.path.join(".venv/lib/site/thing.log").exists());
}

#[test]
fn generated_python_beside_the_sources_is_taken_with_a_note() {
    let place = Place::repository();
    place.write("pkg/_version.py", "v = 2\n");
    let snapshot = place.take();
    assert!(snapshot.path.join("pkg/_version.py").exists());
    let note = Note::Generated("pkg/_version.py".into());
    assert_eq!(snapshot.notes, [note]);
}

#[test]
fn a_sub_folder_of_a_work_tree_is_a_project_of_its_own() {
    let place = Place::repository();
    place.write("pkg/debug.log", "");
    let root = place.root.join("pkg");
    let source = Source {
        root: &root,
        extra: &[],
        exclude: &[],
        owner: OWNER,
    };
    let snapshot = Snapshot::take(&source, &place.store, &mut |_| {}).unwrap();
    assert_eq!(names(&snapshot.path), ["mod.py"]);
}

#[test]
fn a_repository_within_the_repository_is_taken_as_files() {
    let place = Place::repository();
    place.git(&["init", "-q", "vendor"]);
    place.write("vendor/lib.py", "");
    let snapshot = place.take();
    assert!(snapshot.path.join("vendor/lib.py").exists());
    assert!(!snapshot.path.join("vendor/.git").exists());
}

#[test]
fn a_folder_without_git_is_taken_whole() {
    let place = Place::new();
    place.write("a b/c\"d.py", "1");
    place.write("debug.log", "");
    let snapshot = place.take();
    assert_eq!(names(&snapshot.path), ["a b/c\"d.py", "debug.log"]);
    assert_eq!(snapshot.revision, None);
    assert_eq!(snapshot.notes, []);
}

#[test]
fn a_project_that_git_ignores_is_taken_whole_with_a_note() {
    let place = Place::repository();
    place.write("noise.log/t.py", "");
    let root = place.root.join("noise.log");
    let source = Source {
        root: &root,
        extra: &[],
        exclude: &[],
        owner: OWNER,
    };
    let snapshot = Snapshot::take(&source, &place.store, &mut |_| {}).unwrap();
    assert_eq!(names(&snapshot.path), ["t.py"]);
    assert_eq!(snapshot.notes, [Note::AllIgnored]);
}

#[test]
fn an_unchanged_project_is_not_copied_again() {
    let place = Place::repository();
    let first = place.take();
    let second = place.take();
    assert!(second.reused);
    assert_eq!(first.path, second.path);
    assert_eq!((first.digest, first.files), (second.digest, second.files));
    assert_eq!(place.stored(), 1);
}

#[test]
fn every_kind_of_edit_changes_the_digest() {
    let place = Place::repository();
    let mut seen = vec![place.take().digest];
    let file = place.root.join("pkg/mod.py");
    let edits: [&dyn Fn(); 5] = [
        &|| place.write("pkg/mod.py", "x = 2\n"),
        &|| fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap(),
        &|| fs::rename(&file, place.root.join("pkg/other.py")).unwrap(),
        &|| std::os::unix::fs::symlink("a", place.root.join("link")).unwrap(),
        &|| {
            fs::remove_file(place.root.join("link")).unwrap();
            std::os::unix::fs::symlink("b", place.root.join("link")).unwrap();
        },
    ];
    for edit in edits {
        edit();
        let digest = place.take().digest;
        assert!(!seen.contains(&digest), "{seen:?}");
        seen.push(digest);
    }
}

#[test]
fn byte_code_that_python_wrote_meanwhile_is_no_edit() {
    let place = Place::new();
    place.write("mod.py", "");
    let first = place.take();
    place.write("__pycache__/mod.cpython-311.pyc", "code");
    let second = place.take();
    assert_eq!(first.digest, second.digest);
    assert!(second.reused);
}

#[test]
fn modes_times_and_links_are_kept_and_the_runner_owns_everything() {
    let place = Place::new();
    place.write("run.sh", "#!/bin/sh\n");
    let script = place.root.join("run.sh");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o4751)).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 123_000);
    fs::File::open(&script).unwrap().set_modified(time).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", place.root.join("out")).unwrap();
    let snapshot = place.take();
    let found = fs::metadata(snapshot.path.join("run.sh")).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o751);
    assert_eq!(found.modified().unwrap(), time);
    let link = snapshot.path.join("out");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/etc/shadow"));
    if rustix::process::geteuid().is_root() {
        assert_eq!((found.uid(), found.gid()), (OWNER.uid, OWNER.gid));
        assert_eq!(fs::symlink_metadata(link).unwrap().uid(), OWNER.uid);
        assert_eq!(fs::metadata(&snapshot.path).unwrap().uid(), OWNER.uid);
    }
}

#[test]
fn a_tracked_folder_that_became_a_link_to_elsewhere_is_not_followed() {
    let place = Place::repository();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("mod.py"), "secret").unwrap();
    fs::remove_dir_all(place.root.join("pkg")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), place.root.join("pkg")).unwrap();
    let snapshot = place.take();
    assert!(snapshot.path.join("pkg").is_symlink());
    assert_eq!(snapshot.files, 1);
}

#[test]
fn special_files_are_skipped_with_a_note() {
    let place = Place::new();
    let _socket = std::os::unix::net::UnixListener::bind(place.root.join("s")).unwrap();
    let snapshot = place.take();
    assert_eq!(snapshot.notes, [Note::Special("s".into())]);
    assert_eq!(snapshot.files, 0);
}

#[test]
fn the_store_and_what_is_excluded_are_never_taken() {
    let mut place = Place::new();
    place.store = place.root.join("state/snapshots");
    place.write("hunt.db", "");
    place.write("t.py", "");
    let exclude = [place.root.join("hunt.db")];
    place.take_with(&[], &exclude).unwrap();
    let again = place.take_with(&[], &exclude).unwrap();
    assert_eq!(names(&again.path), ["t.py"]);
    assert!(again.reused);
}

#[test]
fn an_unfinished_copy_of_a_killed_hunt_is_ignored_then_pruned() {
    let place = Place::new();
    place.write("t.py", "");
    fs::create_dir_all(place.store.join("scratch-dead/tree")).unwrap();
    let snapshot = place.take();
    assert!(!snapshot.reused);
    let pruned = prune(&place.store, 0).unwrap();
    let expected = Pruned {
        removed: 0,
        leftovers: 1,
        kept: 1,
    };
    assert_eq!(pruned, expected);
}

#[test]
fn an_unfinished_copy_of_a_living_hunt_is_left_alone() {
    let place = Place::new();
    place.write("t.py", "text");
    let source = Source {
        root: &place.root,
        extra: &[],
        exclude: &[],
        owner: OWNER,
    };
    let mut pruned = Vec::new();
    let mut prune_meanwhile = |progress: Progress| {
        if progress.stage == Stage::Copying {
            pruned.push(prune(&place.store, 0).unwrap());
        }
    };
    let snapshot = Snapshot::take(&source, &place.store, &mut prune_meanwhile).unwrap();
    assert_eq!(fs::read(snapshot.path.join("t.py")).unwrap(), b"text");
    assert_eq!(pruned, [Pruned::default(); 2]);
}

#[test]
fn a_file_that_changes_while_it_is_copied_is_digested_as_copied() {
    let place = Place::new();
    place.write("t.py", "old");
    let source = Source {
        root: &place.root,
        extra: &[],
        exclude: &[],
        owner: OWNER,
    };
    let mut edit_meanwhile = |progress: Progress| {
        if progress.stage == Stage::Copying {
            place.write("t.py", "new");
        }
    };
    let snapshot = Snapshot::take(&source, &place.store, &mut edit_meanwhile).unwrap();
    assert_eq!(fs::read(snapshot.path.join("t.py")).unwrap(), b"new");
    let again = place.take();
    assert_eq!(again.digest, snapshot.digest);
    assert!(again.reused);
}

#[test]
fn pruning_keeps_what_is_in_use_and_what_was_used_last() {
    let place = Place::new();
    let mut paths = Vec::new();
    for number in 0_u64..3 {
        place.write("t.py", &number.to_string());
        let snapshot = place.take();
        let age = std::time::Duration::from_secs(1000 - number);
        let used = std::time::SystemTime::now() - age;
        let home = File::open(snapshot.path.parent().unwrap()).unwrap();
        home.set_modified(used).unwrap();
        paths.push(snapshot.path.clone());
    }
    place.write("t.py", "0");
    let in_use = place.take();
    place.write("t.py", "3");
    drop(place.take());
    let pruned = prune(&place.store, 1).unwrap();
    assert_eq!((pruned.removed, pruned.kept), (2, 2));
    assert!(in_use.path.exists() && !paths[1].exists() && !paths[2].exists());
    drop(in_use);
    assert_eq!(prune(&place.store, 0).unwrap().removed, 2);
    assert_eq!(place.stored(), 0);
}

#[test]
fn a_stored_copy_that_lost_contents_is_made_again() {
    let place = Place::new();
    place.write("t.py", "text");
    let damaged = place.take();
    fs::write(damaged.path.join("t.py"), "").unwrap();
    drop(damaged);
    let again = place.take();
    assert!(!again.reused);
    assert_eq!(fs::read(again.path.join("t.py")).unwrap(), b"text");
}

#[test]
fn a_damaged_copy_in_use_is_an_error_and_leaves_no_scratch() {
    let place = Place::new();
    place.write("t.py", "text");
    let damaged = place.take();
    fs::write(damaged.path.join("t.py"), "").unwrap();
    let error = place.take_with(&[], &[]).unwrap_err();
    assert!(matches!(error, SnapshotError::Damaged { .. }), "{error}");
    assert_eq!(place.stored(), 1);
}

#[test]
fn hunts_that_start_together_share_one_copy() {
    let place = Place::new();
    for number in 0..50 {
        place.write(&format!("t{number}.py"), "text");
    }
    let taken: Vec<_> = std::thread::scope(|scope| {
        let place = &place;
        let hunts: Vec<_> = (0..4).map(|_| scope.spawn(|| place.take())).collect();
        hunts.into_iter().map(|h| h.join().unwrap()).collect()
    });
    assert!(taken.iter().all(|s| s.path == taken[0].path));
    assert_eq!(place.stored(), 1);
}

#[test]
fn impossible_projects_are_refused() {
    let place = Place::new();
    let take = |root: &Path, extra: &[PathBuf]| {
        let source = Source {
            root,
            extra,
            exclude: &[],
            owner: OWNER,
        };
        Snapshot::take(&source, &place.store, &mut |_| {}).unwrap_err()
    };
    let missing = take(&place.root.join("nowhere"), &[]);
    assert!(matches!(missing, SnapshotError::Root { .. }));
    assert!(matches!(
        take(Path::new("/"), &[]),
        SnapshotError::WholeMachine
    ));
    for path in ["/etc", "../other"] {
        let error = take(&place.root, &[path.into()]);
        assert!(matches!(error, SnapshotError::Outside { .. }), "{error}");
    }
}
