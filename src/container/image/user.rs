//! Who runs the tests in a container: the number, the name, the home folder, the environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::host::Host;
use super::{ImageError, unreadable};
use crate::container::snapshot::Owner;
use crate::container::spec::InjectedFile;

/// Home folder of the tests: a writable overlay over an empty folder. No distribution has this name.
pub const HOME: &str = "/home/soaked";
/// Name of the tests' user where the host has none for its number.
const USER: &str = "soaked";
/// User and group of the tests when the project belongs to root, or to a number that no container maps.
const ORDINARY: u32 = 1000;
/// Users and groups that a container maps, from 0.
const MAPPED: u32 = 65_536;

/// Returns who runs the tests of a project: its owner, or an ordinary user when that is root or cannot be mapped.
///
/// # Errors
/// [`ImageError::Read`] when the folder cannot be looked at.
pub fn runner_of(project: &Path) -> Result<Owner, ImageError> {
    let found = fs::metadata(project).map_err(unreadable(project))?;
    Ok(runner_for(found.uid(), found.gid()))
}

pub(super) fn runner_for(uid: u32, gid: u32) -> Owner {
    let usable = 1..MAPPED;
    if usable.contains(&uid) && usable.contains(&gid) {
        Owner { uid, gid }
    } else {
        let (uid, gid) = (ORDINARY, ORDINARY);
        Owner { uid, gid }
    }
}

/// Makes the empty folder `home` in `parent` that stands behind [`HOME`], and returns it. Only root can give it away.
///
/// # Errors
/// [`ImageError::Make`] when it cannot be made, or exists and is not empty.
pub fn make_home(parent: &Path, owner: Owner) -> Result<PathBuf, ImageError> {
    let path = parent.join("home");
    let make = || {
        match fs::remove_dir(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        fs::create_dir(&path)?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid))?;
        }
        Ok(())
    };
    match make() {
        Ok(()) => Ok(path),
        Err(source) => Err(ImageError::Make { path, source }),
    }
}

/// Returns the name of the tests' user, with tables in which it and its group exist and its home is ours.
pub(super) fn identity(
    host: &Host,
    owner: Owner,
) -> Result<(String, Vec<InjectedFile>), ImageError> {
    let Owner { uid, gid } = owner;
    let (user, mut users) = without_entry(host, "/etc/passwd", uid)?;
    let user = user.unwrap_or_else(|| USER.to_owned());
    users.extend_from_slice(format!("{user}:x:{uid}:{gid}::{HOME}:/bin/sh\n").as_bytes());
    let (group, mut groups) = without_entry(host, "/etc/group", gid)?;
    let group = group.unwrap_or_else(|| USER.to_owned());
    groups.extend_from_slice(format!("{group}:x:{gid}:\n").as_bytes());
    let file = |path: &str, contents| InjectedFile {
        path: path.into(),
        contents,
        mode: 0o644,
    };
    let files = vec![file("/etc/passwd", users), file("/etc/group", groups)];
    Ok((user, files))
}

/// Returns a table of users or groups without the entry of this number, and the name that the entry had.
fn without_entry(
    host: &Host,
    path: &str,
    number: u32,
) -> Result<(Option<String>, Vec<u8>), ImageError> {
    let path = Path::new(path);
    let table = fs::read(host.place(path)).map_err(unreadable(path))?;
    let number = number.to_string();
    let (mut name, mut rest) = (None, Vec::new());
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let first = fields.next().and_then(|f| std::str::from_utf8(f).ok());
        if fields.nth(1) == Some(number.as_bytes()) {
            name = name.or_else(|| first.map(str::to_owned));
        } else {
            rest.extend_from_slice(line);
        }
    }
    if rest.last().is_some_and(|last| *last != b'\n') {
        rest.push(b'\n');
    }
    Ok((name, rest))
}

/// Returns the environment of a test runner, sorted by name: fixed values, then what `allowed` names takes from
/// `given` as it is. `user_base` is where the interpreter finds the user's own packages.
#[must_use]
pub fn environment(
    executable: &Path,
    user: &str,
    user_base: Option<&Path>,
    allowed: &[String],
    given: &BTreeMap<OsString, OsString>,
) -> Vec<(OsString, OsString)> {
    const PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut path = executable
        .parent()
        .unwrap_or(executable)
        .as_os_str()
        .to_owned();
    path.push(":");
    path.push(PROGRAMS);
    let fixed = [
        ("HOME", HOME),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("LOGNAME", user),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("TERM", "dumb"),
        ("TZ", "UTC"),
        ("USER", user),
    ];
    let fixed = fixed.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut environment = BTreeMap::from(fixed);
    environment.insert("PATH".into(), path);
    if let Some(base) = user_base {
        environment.insert("PYTHONUSERBASE".into(), base.into());
    }
    for name in allowed {
        if let Some(value) = given.get(OsStr::new(name)) {
            environment.insert(name.into(), value.clone());
        }
    }
    environment.into_iter().collect()
}
