//! A folder stands for the host; every case states what a container would and would not show.

use std::ffi::OsString;
use std::os::unix::fs::symlink;

use super::user::runner_for;
use super::*;

const OWNER: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda rw\n");
        machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        machine.write("etc/group", "root:x:0:\n");
        for folder in ["root", "home/x", "tmp", "run", "dev/shm", "opt", "etc/ssh"] {
            fs::create_dir_all(machine.0.path().join(folder)).unwrap();
        }
        machine
    }

    fn mount(&self, point: &str) {
        let table = self.0.path().join("proc/self/mountinfo");
        let mut text = fs::read_to_string(&table).unwrap();
        text += "2 1 8:2 / ";
        fs::write(table, text + point + " rw - ext4 /dev/sdb rw\n").unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, to: &str, at: &str) {
        let at = self.0.path().join(at);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(to, at).unwrap();
    }

    fn image_for(&self, project: &str, interpreter: &[&str], private: &[&str]) -> Image {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let request = Request {
            host: self.0.path(),
            project: Path::new(project),
            snapshot: Path::new("/state/snapshots/1/tree"),
            home: Path::new("/run/soakhound/1/home"),
            interpreter: &paths(interpreter),
            private: &paths(private),
            owner: OWNER,
        };
        default_image(&request).unwrap()
    }

    fn binds(&self, project: &str, interpreter: &[&str]) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let image = self.image_for(project, interpreter, &[]);
        let binds = image.spec.binds.iter();
        binds.map(|b| (text(&b.source), text(&b.target))).collect()
    }
}

fn same(path: &str) -> (String, String) {
    (path.to_owned(), path.to_owned())
}

#[test]
fn secrets_that_exist_are_masked_and_nothing_is_masked_twice() {
    let machine = Machine::new();
    machine.write("etc/shadow", "");
    machine.write("etc/shadow-", "");
    machine.write("etc/sudoers.d/x", "");
    machine.write("var/lib/state/hunt.db", "");
    let private = [
        "/var/lib/state",
        "/root/.local/state/soakhound",
        "/tmp/state",
        "/absent",
    ];
    machine.write("tmp/state/x", "");
    let masks = machine.image_for("/opt/p", &[], &private).spec.masks;
    let expected = [
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/ssh",
        "/etc/sudoers.d",
        "/home/x",
        "/root",
        "/var/lib/state",
    ];
    assert_eq!(masks, expected.map(PathBuf::from));
}

#[test]
fn a_secret_behind_a_link_is_masked_where_it_is() {
    let machine = Machine::new();
    machine.write("data/mail/x", "");
    machine.link("/data/mail", "var/mail");
    let masks = machine.image_for("/opt/p", &[], &[]).spec.masks;
    assert!(masks.contains(&"/data/mail".into()), "{masks:?}");
}

#[test]
fn an_interpreter_below_the_masked_root_home_is_bound_once() {
    let machine = Machine::new();
    let base = "/root/.pyenv/versions/3.11.7";
    machine.write(&format!("{base}/bin/python3.11")[1..], "");
    machine.write(&format!("{base}/lib/python3.11/site.py")[1..], "");
    let [library, python] = ["lib/python3.11", "bin/python3.11"].map(|p| format!("{base}/{p}"));
    for project in ["/root/p", "/home/x/p", "/tmp/p q"] {
        let venv = format!("{project}/.venv");
        machine.write(&format!("{venv}/pyvenv.cfg")[1..], "");
        let binds = machine.binds(project, &[base, &library, &venv, &python]);
        assert_eq!(binds, [same(base)], "{project}");
    }
}

#[test]
fn an_interpreter_of_the_system_needs_no_bind() {
    let machine = Machine::new();
    machine.write("usr/lib/python3/os.py", "");
    assert_eq!(machine.binds("/root/p", &["/usr", "/usr/lib/python3"]), []);
}

#[test]
fn what_lies_in_fresh_folders_or_on_other_mounts_is_bound() {
    let machine = Machine::new();
    machine.write("tmp/venv/bin/python", "");
    machine.write("dev/shm/lib/x.py", "");
    machine.write("data/conda/bin/python", "");
    machine.mount("/data");
    let needs = ["/tmp/venv", "/dev/shm/lib", "/data/conda"];
    let expected = ["/data/conda", "/dev/shm/lib", "/tmp/venv"].map(same);
    assert_eq!(machine.binds("/opt/p", &needs), expected);
}

#[test]
fn system_software_on_a_mount_of_its_own_is_bound_without_being_asked_for() {
    let machine = Machine::new();
    machine.write("usr/bin/python3", "");
    machine.mount("/usr");
    assert_eq!(
        machine.binds("/opt/p", &["/usr/bin/python3"]),
        [same("/usr")]
    );
}

#[test]
fn a_link_in_a_hidden_place_is_bound_under_both_names() {
    let machine = Machine::new();
    machine.write("home/x/py/3.12.1/bin/python", "");
    machine.link("3.12.1", "home/x/py/3.12");
    let expected = [
        ("/home/x/py/3.12.1", "/home/x/py/3.12"),
        ("/home/x/py/3.12.1", "/home/x/py/3.12.1"),
    ];
    let expected = expected.map(|(s, t)| (s.to_owned(), t.to_owned()));
    assert_eq!(machine.binds("/opt/p", &["/home/x/py/3.12"]), expected);
}

#[test]
fn a_visible_link_to_a_hidden_place_needs_the_place_only() {
    let machine = Machine::new();
    machine.write("home/x/py/bin/python", "");
    machine.link("/home/x/py", "opt/py");
    assert_eq!(machine.binds("/opt/p", &["/opt/py"]), [same("/home/x/py")]);
}

#[test]
fn a_mount_below_a_bound_folder_is_bound_too() {
    let machine = Machine::new();
    machine.write("home/x/conda/pkgs/a.py", "");
    machine.mount("/home/x/conda/pkgs");
    let needs = ["/home/x/conda", "/home/x/conda/pkgs"];
    assert_eq!(machine.binds("/opt/p", &needs), needs.map(same));
}

#[test]
fn no_bind_ever_shows_a_home_or_a_secret_inside_it() {
    let machine = Machine::new();
    machine.write("root/state/hunt.db", "");
    machine.mount("/home");
    for needed in ["/root", "/home/x", "/home", "/tmp", "/root/state"] {
        let image = machine.image_for("/opt/p", &[needed], &["/root/state"]);
        assert_eq!(image.notes, [Note::Hidden(needed.into())]);
        assert!(image.spec.binds.is_empty(), "{needed}");
    }
}

#[test]
fn the_project_appears_at_its_own_path_with_a_home_beside() {
    let machine = Machine::new();
    let spec = machine.image_for("/root/it's here", &[], &[]).spec;
    let targets: Vec<_> = spec.trees.iter().map(|t| t.target.as_path()).collect();
    assert_eq!(targets, [Path::new(HOME), Path::new("/root/it's here")]);
    assert_eq!(spec.lower, Path::new("/"));
}

#[test]
fn the_tests_user_exists_in_the_container_under_the_hosts_name() {
    let machine = Machine::new();
    let image = machine.image_for("/opt/p", &[], &[]);
    assert_eq!(image.user, "soaked");
    let users = "root:x:0:0::/root:/bin/sh\nx:x:1000:1000:X:/home/x:/bin/zsh";
    machine.write("etc/passwd", users);
    let image = machine.image_for("/opt/p", &[], &[]);
    assert_eq!(image.user, "x");
    let tables = image.spec.files.iter();
    let tables: Vec<_> = tables
        .map(|f| std::str::from_utf8(&f.contents).unwrap())
        .collect();
    let expected = [
        "root:x:0:0::/root:/bin/sh\nx:x:1000:1000::/home/soaked:/bin/sh\n",
        "root:x:0:\nsoaked:x:1000:\n",
    ];
    assert_eq!(tables, expected);
}

#[test]
fn tests_never_run_as_root_nor_as_a_user_that_no_container_maps() {
    assert_eq!(
        runner_for(1001, 100),
        Owner {
            uid: 1001,
            gid: 100
        }
    );
    assert_eq!(runner_for(0, 0), OWNER);
    assert_eq!(runner_for(1_200_000, 1_200_000), OWNER);
}

#[test]
fn the_environment_holds_nothing_but_fixed_values_and_what_is_allowed() {
    let given = ["SECRET", "CI", "TZ"].map(|name| (name.into(), OsString::from("1")));
    let allowed = ["CI", "TZ", "ABSENT"].map(str::to_owned);
    let python = Path::new("/p/.venv/bin/python");
    let environment = environment(python, "x", None, &allowed, &BTreeMap::from(given));
    let value = |name: &str| {
        let found = environment.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.to_str().unwrap())
    };
    assert_eq!(value("SECRET"), None);
    assert_eq!((value("CI"), value("TZ")), (Some("1"), Some("1")));
    assert_eq!((value("HOME"), value("USER")), (Some(HOME), Some("x")));
    assert!(
        value("PATH")
            .unwrap()
            .starts_with("/p/.venv/bin:/usr/local/")
    );
}

#[test]
fn an_empty_home_is_made_and_remade_but_a_full_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let owner = rustix::process::geteuid().as_raw();
    let owner = Owner {
        uid: owner,
        gid: rustix::process::getegid().as_raw(),
    };
    let home = make_home(folder.path(), owner).unwrap();
    assert_eq!(make_home(folder.path(), owner).unwrap(), home);
    fs::write(home.join("x"), "").unwrap();
    assert!(make_home(folder.path(), owner).is_err());
}

#[test]
fn a_changed_package_changes_the_fingerprint_of_the_host() {
    let machine = Machine::new();
    let fingerprint = || host_fingerprint(machine.0.path()).unwrap();
    let bare = fingerprint();
    machine.write("var/lib/dpkg/status", "Package: a\nVersion: 1\n");
    let one = fingerprint();
    assert_eq!(one, fingerprint());
    machine.write("var/lib/dpkg/status", "Package: a\nVersion: 2\n");
    assert!(bare != one && one != fingerprint());
}
