//! liblxc behind an owning handle. Only the slot's single-threaded processes may use it: it changes
//! the environment, the signal mask and the log of whoever calls it.
#![expect(unsafe_code, reason = "liblxc is a C library")]

use std::ffi::{CStr, CString, NulError};
use std::ptr;

/// Why liblxc did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LxcError {
    #[error("pass a text with a NUL byte to liblxc")]
    Nul(#[from] NulError),
    #[error("write liblxc's log")]
    Log,
    #[error("make a container object")]
    New,
    #[error("use this liblxc: it has no `{0}`")]
    Absent(&'static str),
    #[error("set `{key}` to `{value}`")]
    Item { key: String, value: String },
    #[error("start the container")]
    Start,
}

/// Returns the version of the liblxc that is loaded. Any process may ask: it reads a constant.
#[must_use]
pub(super) fn version() -> String {
    // "Determine version of LXC": a static string.
    // SAFETY: it takes nothing and returns a NUL-terminated string that lives as long as the library.
    let text = unsafe { CStr::from_ptr(lxc_sys::lxc_get_version()) };
    text.to_string_lossy().into_owned()
}

/// Sends liblxc's messages of this process to a file, errors only: that `newuidmap` is missing, which it warns of, is our wish.
pub(super) fn log_to(file: &str, container: &str, lxcpath: &str) -> Result<(), LxcError> {
    let (file, level) = (CString::new(file)?, c"ERROR");
    let (name, lxcpath) = (CString::new(container)?, CString::new(lxcpath)?);
    let mut log = lxc_sys::lxc_log {
        name: name.as_ptr(),
        lxcpath: lxcpath.as_ptr(),
        file: file.as_ptr(),
        level: level.as_ptr(),
        prefix: ptr::null(),
        quiet: true,
    };
    // "Initialize the log": 0 for success. It copies what it keeps.
    // SAFETY: all strings outlive the call.
    match unsafe { lxc_sys::lxc_log_init(&raw mut log) } {
        0 => Ok(()),
        _ => Err(LxcError::Log),
    }
}

/// A container that exists in this process only: it has no configuration file, and is never
/// "destroyed", which would delete its root file system.
pub(super) struct Container(*mut lxc_sys::lxc_container);

impl Container {
    /// Makes the object. `name` must be unique on the machine for a given `lxcpath`.
    pub(super) fn new(name: &str, lxcpath: &str) -> Result<Self, LxcError> {
        let (name, lxcpath) = (CString::new(name)?, CString::new(lxcpath)?);
        // "Newly allocated container, or NULL on error". Both strings are copied.
        // SAFETY: both strings outlive the call.
        let raw = unsafe { lxc_sys::lxc_container_new(name.as_ptr(), lxcpath.as_ptr()) };
        if raw.is_null() {
            Err(LxcError::New)
        } else {
            Ok(Self(raw))
        }
    }

    /// Sets a configuration item; some items add to a list.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), LxcError> {
        let (c_key, c_value) = (CString::new(key)?, CString::new(value)?);
        // SAFETY: the object is alive until `Drop`.
        let set =
            unsafe { (*self.0).set_config_item }.ok_or(LxcError::Absent("set_config_item"))?;
        // "true on success, else false". Both strings are copied.
        // SAFETY: both strings outlive the call.
        if unsafe { set(self.0, c_key.as_ptr(), c_value.as_ptr()) } {
            Ok(())
        } else {
            Err(LxcError::Item {
                key: key.to_owned(),
                value: value.to_owned(),
            })
        }
    }

    /// Starts `argv` as PID 1 and blocks until all of the container is gone.
    pub(super) fn run(&mut self, argv: &[CString]) -> Result<(), LxcError> {
        // SAFETY: the object is alive until `Drop`.
        let (daemonize, start) = unsafe { ((*self.0).want_daemonize, (*self.0).start) };
        let daemonize = daemonize.ok_or(LxcError::Absent("want_daemonize"))?;
        let start = start.ok_or(LxcError::Absent("start"))?;
        // Daemonised, which is the default, it would give no exit code and move us to its cgroup.
        // SAFETY: the object is alive.
        unsafe { daemonize(self.0, false) };
        let mut words: Vec<_> = argv.iter().map(|word| word.as_ptr().cast_mut()).collect();
        words.push(ptr::null_mut());
        // "true on success, else false". The words are borrowed and not written to.
        // SAFETY: the words and their null-terminated array outlive the call.
        if unsafe { start(self.0, 0, words.as_ptr()) } {
            Ok(())
        } else {
            Err(LxcError::Start)
        }
    }

    /// Returns liblxc's own message about the last failure, if it left one.
    pub(super) fn message(&self) -> Option<String> {
        // SAFETY: the object is alive; its message is null or a string that it owns.
        unsafe {
            let text = (*self.0).error_string;
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // SAFETY: our reference is given back once; nothing uses the object afterwards.
        unsafe { lxc_sys::lxc_container_put(self.0) };
    }
}
