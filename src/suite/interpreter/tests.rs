//! Real virtual environments, made for each case; no package is downloaded.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("it's a project");
        fs::create_dir(&root).unwrap();
        Self {
            _folder: folder,
            root,
        }
    }

    /// Makes a virtual environment that says it has these packages.
    fn environment(&self, name: &str, packages: &[(&str, &str)]) -> PathBuf {
        let path = self.root.join(name);
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--without-pip"]).arg(&path);
        assert!(python.status().unwrap().success());
        let library = fs::read_dir(path.join("lib")).unwrap().next().unwrap();
        let library = library.unwrap().path().join("site-packages");
        for (name, version) in packages {
            let folder = name.replace('-', "_");
            let folder = library.join(format!("{folder}-{version}.dist-info"));
            fs::create_dir(&folder).unwrap();
            let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
            fs::write(folder.join("METADATA"), text).unwrap();
        }
        path
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    fn search(&self) -> Search<'_> {
        Search {
            root: &self.root,
            configured: None,
            virtual_env: None,
            path: OsStr::new(""),
        }
    }
}

#[test]
fn the_projects_own_environment_is_found_and_describes_itself() {
    let place = Place::new();
    let packages = [("pytest", "8.3.4"), ("pytest-xdist", "3.6.1")];
    let environment = place.environment(".venv", &packages);
    // A project file must not stand in for a module of the standard library.
    place.script("json.py", "raise SystemExit(1)");
    let found = Interpreter::discover(&place.search()).unwrap();
    assert_eq!(found.executable, environment.join("bin/python"));
    assert_eq!(found.pytest, "8.3.4");
    let plugins = BTreeMap::from([("pytest-xdist".to_owned(), "3.6.1".to_owned())]);
    assert_eq!(found.plugins, plugins);
    assert!(found.version.starts_with("3."), "{}", found.version);
    assert_eq!(found.user_base, None);
    assert_eq!(found.environments_below(&place.root), [environment]);
}

#[test]
fn an_interpreter_needs_its_base_and_every_link_to_the_real_file() {
    let place = Place::new();
    let environment = place.environment("venv", &[("pytest", "9.0")]);
    let found = Interpreter::discover(&place.search()).unwrap();
    let needs = found.needs();
    let real = found.executable.canonicalize().unwrap();
    assert!(
        needs.contains(&environment) && needs.contains(&real),
        "{needs:?}"
    );
    let outside = needs.iter().filter(|path| !path.starts_with(&place.root));
    assert!(outside.count() >= 2, "{needs:?}");
    assert!(needs.is_sorted());
}

#[test]
fn an_activated_environment_behind_a_link_is_known_to_lie_in_the_project() {
    let place = Place::new();
    let environment = place.environment("tools", &[("pytest", "9.0")]);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(&place.root, &link).unwrap();
    let activated = link.join("tools");
    let search = Search {
        virtual_env: Some(&activated),
        ..place.search()
    };
    let found = Interpreter::discover(&search).unwrap();
    assert_eq!(found.environments_below(&place.root), [environment]);
}

#[test]
fn a_development_install_from_elsewhere_is_needed_and_known_as_live() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let environment = place.environment("venv", &[("pytest", "9.0")]);
    let library = fs::read_dir(environment.join("lib"))
        .unwrap()
        .next()
        .unwrap();
    let link = library.unwrap().path().join("site-packages/other.pth");
    fs::write(link, elsewhere.path().to_str().unwrap()).unwrap();
    let found = Interpreter::discover(&place.search()).unwrap();
    assert_eq!(found.live_imports(&place.root), [elsewhere.path()]);
    assert!(found.needs().contains(&elsewhere.path().to_owned()));
}

#[test]
fn a_shim_resolves_to_the_interpreter_behind_it() {
    let place = Place::new();
    let environment = place.environment("elsewhere", &[("pytest", "8.0")]);
    let real = environment.join("bin/python");
    let quoted = real.to_str().unwrap().replace('\'', "'\\''");
    place.script(
        "python3",
        &format!("#!/bin/sh\necho hello\nexec '{quoted}' \"$@\"\n"),
    );
    let search = Search {
        path: place.root.as_os_str(),
        ..place.search()
    };
    let found = Interpreter::discover(&search).unwrap();
    assert_eq!(found.executable, real);
}

#[test]
fn the_configured_interpreter_comes_before_all_others() {
    let place = Place::new();
    place.environment(".venv", &[]);
    place.environment("other", &[("pytest", "7.4.0")]);
    let search = Search {
        configured: Some(Path::new("other/bin/python")),
        ..place.search()
    };
    assert_eq!(Interpreter::discover(&search).unwrap().pytest, "7.4.0");
}

#[test]
fn an_interpreter_without_pytest_is_an_error_that_says_what_to_install() {
    let place = Place::new();
    let environment = place.environment(".venv", &[]);
    let error = Interpreter::discover(&place.search()).unwrap_err();
    assert!(
        matches!(error, InterpreterError::NoRunner { .. }),
        "{error}"
    );
    let command = format!("{}/bin/python -m pip install pytest", environment.display());
    assert!(error.to_string().contains(&command), "{error}");
}

#[test]
fn a_pytest_that_is_too_old_is_an_error() {
    let place = Place::new();
    place.environment(".venv", &[("pytest", "5.4.3")]);
    let error = Interpreter::discover(&place.search()).unwrap_err();
    assert!(
        matches!(error, InterpreterError::OldRunner { .. }),
        "{error}"
    );
}

#[test]
fn without_any_interpreter_the_error_lists_where_it_looked() {
    let place = Place::new();
    let error = Interpreter::discover(&place.search()).unwrap_err();
    assert!(error.to_string().contains(".venv/bin/python"), "{error}");
}

#[test]
fn what_is_no_python_is_an_error_and_no_reason_to_try_the_next() {
    let place = Place::new();
    let cases = [
        ("#!/bin/sh\nexit 3\n", "exit status: 3"),
        ("#!/bin/sh\necho hello\n", "does not answer"),
        ("#!/bin/sh\nyes | head -c 9000000\n", "does not answer"),
        (
            "#!/bin/sh\nprintf '\\nsoakhound-interpreter:{'\n",
            "does not answer",
        ),
        ("#!/no/such/interpreter\n", "cannot execute"),
    ];
    for (text, expected) in cases {
        place.script("fake", text);
        let search = Search {
            configured: Some(Path::new("fake")),
            ..place.search()
        };
        let error = Interpreter::discover(&search).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_dangling_environment_is_reported_instead_of_skipped() {
    let place = Place::new();
    fs::create_dir_all(place.root.join(".venv/bin")).unwrap();
    symlink("/no/such/python", place.root.join(".venv/bin/python")).unwrap();
    let error = Interpreter::discover(&place.search()).unwrap_err();
    assert!(matches!(error, InterpreterError::Execute { .. }), "{error}");
}
