//! PID 1 of a container: starts one command as an ordinary user, reaps, and leaves with it.
//!
//! Leaving is what ends everything else: the kernel kills the rest of the pid namespace. It links
//! nothing but the C library (statically), reads no file but `/proc`, and is not part of the crate:
//! `build.rs` compiles it and the library embeds it.
//!
//! Arguments: `init UID GID CWD COUNT (NAME=VALUE){COUNT} COMMAND ARGUMENT...`
//!
//! Descriptors: 3 results and 4 job belong to the command, 5 becomes its standard output and error (a
//! terminal: its standard input and its controlling terminal too), 6 takes the status record: `started MICROSECONDS` once the command runs (monotonic clock), then
//! `end WAIT_STATUS USER_US SYSTEM_US MAX_RSS_KB STRAGGLERS`.
//!
//! It leaves with the command's exit code, 128 + n for signal n, 127 or 126 when the command cannot
//! be executed, 125 when it cannot do its own work, and 143 when it is told to stop (SIGTERM).
#![deny(unsafe_op_in_unsafe_fn)]
// The C library calls `main` at once: what Rust would prepare (threads, stack guards) is not used,
// and every container would pay for it.
#![no_main]

use std::ffi::{CString, OsStr, c_char, c_int, c_long, c_ulong, c_void};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::ptr::{null, null_mut};

const OUTPUT: c_int = 5;
const STATUS: c_int = 6;

const PR_SET_PDEATHSIG: c_int = 1;
const PR_SET_DUMPABLE: c_int = 4;
const SIGKILL: c_ulong = 9;
const SIGTERM: c_int = 15;
const SIGCHLD: c_int = 17;
const LAST_SIGNAL: c_int = 64;
const SIG_SETMASK: c_int = 2;
const WNOHANG: c_int = 1;
const O_CLOEXEC: c_int = 0o2_000_000;
const CLOSE_RANGE_CLOEXEC: c_int = 4;
const CLOCK_MONOTONIC: c_int = 1;
const POLLERR: i16 = 8;
const TIOCSCTTY: c_ulong = 0x540e;
const ENOENT: c_int = 2;
const ENOTDIR: c_int = 20;

/// `sigset_t` of glibc and musl: 1,024 bits.
type SignalSet = [c_ulong; 1024 / c_ulong::BITS as usize];

#[repr(C)]
#[derive(Default)]
struct Timeval {
    seconds: c_long,
    microseconds: c_long,
}

/// `struct rusage`: two times, the largest resident set, 13 counters that are not read.
#[repr(C)]
#[derive(Default)]
struct Rusage {
    user: Timeval,
    system: Timeval,
    max_rss: c_long,
    others: [c_long; 13],
    reserved: [c_long; 16],
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: i16,
    returned: i16,
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
    fn prctl(option: c_int, argument: c_ulong, ...) -> c_int;
    fn fork() -> c_int;
    fn _exit(code: c_int) -> !;
    fn setsid() -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn setgroups(count: usize, groups: *const u32) -> c_int;
    fn setresgid(real: u32, effective: u32, saved: u32) -> c_int;
    fn setresuid(real: u32, effective: u32, saved: u32) -> c_int;
    fn umask(mask: u32) -> u32;
    fn dup2(old: c_int, new: c_int) -> c_int;
    fn pipe2(ends: *mut c_int, flags: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn close_range(first: u32, last: u32, flags: c_int) -> c_int;
    fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize;
    fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn sigfillset(set: *mut SignalSet) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigwaitinfo(set: *const SignalSet, info: *mut c_void) -> c_int;
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut Rusage) -> c_int;
    fn clock_gettime(clock: c_int, time: *mut [c_long; 2]) -> c_int;
    fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int;
}

/// What the command line asks for.
struct Command {
    uid: u32,
    gid: u32,
    cwd: CString,
    environment: Vec<CString>,
    argv: Vec<CString>,
}

impl Command {
    fn parse() -> Option<Self> {
        let mut words = std::env::args_os()
            .skip(1)
            .map(|word| CString::new(word.into_vec()).expect("arguments end at their first NUL"));
        let uid = number(&words.next()?)?;
        let gid = number(&words.next()?)?;
        let cwd = words.next()?;
        let count = usize::try_from(number(&words.next()?)?).ok()?;
        let environment: Vec<_> = words.by_ref().take(count).collect();
        let argv: Vec<_> = words.collect();
        (environment.len() == count && !argv.is_empty()).then_some(Self {
            uid,
            gid,
            cwd,
            environment,
            argv,
        })
    }
}

fn number(word: &CString) -> Option<u32> {
    word.to_str().ok()?.parse().ok()
}

/// Called by the C library. The words are read through `std`, which has its own copy.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    let Some(command) = Command::parse() else {
        leave(125)
    };
    // SAFETY: plain system calls on our own descriptors; `orphan` lives until poll returns.
    unsafe {
        // A change of user by liblxc would have cleared it.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        // The reader of the status pipe is our parent: if it died before the line above, nobody
        // would ever stop us.
        let mut orphan = PollFd {
            fd: STATUS,
            events: 0,
            returned: 0,
        };
        if poll(&raw mut orphan, 1, 0) > 0 && orphan.returned & POLLERR != 0 {
            leave(125);
        }
        // A command that runs as root could otherwise open the status pipe through /proc/1/fd.
        prctl(PR_SET_DUMPABLE, 0);
        umask(0o022);
    }
    let mut every: SignalSet = Default::default();
    let mut report = [-1; 2];
    // SAFETY: both arrays live on this stack and have the sizes that the calls write.
    let main_pid = unsafe {
        sigfillset(&raw mut every);
        sigprocmask(SIG_SETMASK, &raw const every, null_mut());
        if pipe2(report.as_mut_ptr(), O_CLOEXEC) != 0 {
            leave(125);
        }
        fork()
    };
    match main_pid {
        0 => execute(&command, report[1]),
        1.. => {}
        _ => leave(125),
    }
    if executed(report) {
        say(STATUS, &format!("started {}\n", now_us()));
    }
    reap(main_pid, &every)
}

/// Waits until the command has replaced our copy: its end of the pipe closes without a word.
fn executed(report: [c_int; 2]) -> bool {
    let mut byte = 0_u8;
    // SAFETY: reads at most the one byte that `byte` has.
    unsafe {
        close(report[1]);
        let read = read(report[0], (&raw mut byte).cast(), 1);
        close(report[0]);
        read == 0
    }
}

/// Becomes the command. Runs in the child, which has one thread.
fn execute(command: &Command, report: c_int) -> ! {
    // SAFETY: system calls on our own state; `none` outlives its call.
    unsafe {
        // Files of /proc/self belong to root while we cannot be dumped.
        prctl(PR_SET_DUMPABLE, 1);
        // When memory runs out the kernel shall take the command, not those who watch it.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        // Signals that the host ignores would stay ignored.
        for number in 1..=LAST_SIGNAL {
            signal(number, 0);
        }
        let none: SignalSet = Default::default();
        sigprocmask(SIG_SETMASK, &raw const none, null_mut());
        setsid();
        // Fails, and changes nothing, unless somebody sits at a terminal.
        if ioctl(OUTPUT, TIOCSCTTY, 0) == 0 {
            dup2(OUTPUT, 0);
        }
        dup2(OUTPUT, 1);
        dup2(OUTPUT, 2);
        close_range(5, u32::MAX, CLOSE_RANGE_CLOEXEC);
        if setgroups(0, null()) != 0
            || setresgid(command.gid, command.gid, command.gid) != 0
            || setresuid(command.uid, command.uid, command.uid) != 0
        {
            refuse(report, 125, "cannot become its user", OsStr::new(""));
        }
    }
    let words = |list: &[CString]| -> Vec<*const c_char> {
        list.iter()
            .map(|word| word.as_ptr())
            .chain([null()])
            .collect()
    };
    let cwd = OsStr::from_bytes(command.cwd.as_bytes());
    if std::env::set_current_dir(cwd).is_err() {
        refuse(report, 126, "cannot enter", cwd);
    }
    make_home(&command.environment);
    let (environment, argv) = (words(&command.environment), words(&command.argv));
    // SAFETY: both arrays end with a null pointer, and their strings outlive this process image.
    unsafe {
        environ = environment.as_ptr();
        execvp(argv[0], argv.as_ptr());
    }
    let missing = matches!(
        io::Error::last_os_error().raw_os_error(),
        Some(ENOENT | ENOTDIR)
    );
    let name = OsStr::from_bytes(command.argv[0].as_bytes());
    refuse(
        report,
        if missing { 127 } else { 126 },
        "cannot execute",
        name,
    )
}

/// Makes the folder that `HOME` names, if the user may: each container starts with a fresh one.
fn make_home(environment: &[CString]) {
    let home = environment
        .iter()
        .find_map(|pair| pair.as_bytes().strip_prefix(b"HOME="));
    if let Some(home) = home {
        let _ = std::fs::create_dir(OsStr::from_bytes(home));
    }
}

/// Says why the command does not run, on its own standard error and to PID 1.
fn refuse(report: c_int, code: c_int, what: &str, name: &OsStr) -> ! {
    let cause = io::Error::last_os_error();
    say(
        2,
        &format!("soakhound: {what} {}: {cause}\n", name.display()),
    );
    say(report, "x");
    leave(code)
}

/// Collects every child until the command's own end, then leaves with its code.
fn reap(main_pid: c_int, every: &SignalSet) -> ! {
    loop {
        // SAFETY: the set lives during the call, and no details are asked for.
        match unsafe { sigwaitinfo(every, null_mut()) } {
            SIGTERM => leave(143),
            SIGCHLD => {}
            _ => continue,
        }
        let mut ended = None;
        let alone = loop {
            let (mut status, mut usage) = (0, Rusage::default());
            // SAFETY: both out-parameters live during the call and have the C layout.
            let pid = unsafe { wait4(-1, &raw mut status, WNOHANG, &raw mut usage) };
            if pid <= 0 {
                break pid < 0;
            }
            if pid == main_pid {
                ended = Some((status, usage));
            }
        };
        if let Some((status, usage)) = ended {
            let line = format!(
                "end {status} {} {} {} {}\n",
                usage.user.seconds * 1_000_000 + usage.user.microseconds,
                usage.system.seconds * 1_000_000 + usage.system.microseconds,
                usage.max_rss,
                // Orphans become our children, so without a child we are alone.
                if alone { 0 } else { stragglers() },
            );
            say(STATUS, &line);
            let signal = status & 0x7f;
            leave(if signal == 0 {
                (status >> 8) & 0xff
            } else {
                128 + signal
            });
        }
    }
}

/// Counts the processes that are still alive beside us.
fn stragglers() -> usize {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let alive = |pid: u32| {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in brackets is the process's own choice, so the state is sought from the end.
        let after = stat.iter().rposition(|byte| *byte == b')').map(|at| at + 2);
        after
            .and_then(|at| stat.get(at))
            .is_some_and(|state| !b"ZX".contains(state))
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != 1 && alive(*pid))
        .count()
}

fn now_us() -> c_long {
    let mut time = [0; 2];
    // SAFETY: two longs are what the call writes.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    time[0] * 1_000_000 + time[1] / 1_000
}

fn say(fd: c_int, text: &str) {
    // SAFETY: the text lives during the call; a reader that is gone is no reason to stop.
    unsafe { write(fd, text.as_ptr().cast(), text.len()) };
}

fn leave(code: c_int) -> ! {
    // SAFETY: ends the process without unwinding or flushing; nothing is buffered.
    unsafe { _exit(code) }
}
