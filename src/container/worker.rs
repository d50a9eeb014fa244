//! The slot's process: the hidden subcommand `__slot`.
//!
//! It has one thread, its own cgroup and its own mount namespace, and forks once per container; the
//! copy calls liblxc and ends. It dies with the thread that spawned it, the copy dies with it, and
//! PID 1 with the copy.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;

use rustix::fs::{MemfdFlags, Mode, memfd_create};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, pidfd_open,
    set_parent_process_death_signal, setrlimit, setsid, umask, waitpid,
};
use rustix::thread::UnshareFlags;

use super::Rung;
use super::ids::{Ids, plain_map};
use super::lxc::{self, Container, LxcError};
use super::rootfs::{Failure, Image, step};
use super::spec::Job;
use super::sys::{self, Fork};
use super::wire::{self, Answer, Report, Request, Setup};

/// Descriptors that PID 1 expects: results, job, output, status.
const HANDED: [RawFd; 4] = [3, 4, 5, 6];

/// File of the system call filter, on the slot's own tmpfs.
const SECCOMP_FILE: &str = "/run/seccomp";

/// Where liblxc would look for configuration files; always empty, on the slot's own tmpfs.
const LXC_PATH: &str = "/run/containers";

/// How much of liblxc's log is kept. A start that fails says why within the first lines.
const LOG_CAP: u64 = 16 * 1024;

/// Longest report of a copy of ours: every path that it may list at its longest, each byte written as an escape.
const REPORT_CAP: u64 = 8 << 20;

/// What containers may not do even where their capabilities would let them: change the kernel,
/// watch other processes through it, or make user namespaces of their own.
const SECCOMP: &str = "2
denylist
reject_force_umount
[all]
init_module errno 1
finit_module errno 1
delete_module errno 1
kexec_load errno 1
kexec_file_load errno 1
open_by_handle_at errno 1
bpf errno 1
perf_event_open errno 1
userfaultfd errno 1
open_tree errno 1
move_mount errno 1
mount_setattr errno 1
fsopen errno 1
fspick errno 1
add_key errno 38
keyctl errno 38
request_key errno 38
io_uring_setup errno 38
io_uring_enter errno 38
io_uring_register errno 38
clone3 errno 38
clone errno 1 [0,268435456,SCMP_CMP_MASKED_EQ,268435456]
unshare errno 1 [0,268435456,SCMP_CMP_MASKED_EQ,268435456]
";

/// What even the container's root may do, beside nothing: what ordinary programs do to their own
/// files and processes.
const CAPABILITIES: &str = "chown dac_override fowner fsetid kill setgid setuid setpcap \
                            net_bind_service sys_chroot setfcap";

/// Configuration that is the same for every container.
const ITEMS: [(&str, &str); 12] = [
    ("lxc.mount.auto", "proc:mixed sys:ro"),
    // `/dev` and its terminals are part of the image.
    ("lxc.autodev", "0"),
    ("lxc.tty.max", "0"),
    ("lxc.pty.max", "0"),
    ("lxc.console.path", "none"),
    ("lxc.keyring.session", "0"),
    // A network namespace with nothing but a loopback device, which `flags` brings up.
    ("lxc.net.0.type", "empty"),
    ("lxc.net.0.flags", "up"),
    ("lxc.cap.keep", CAPABILITIES),
    ("lxc.no_new_privs", "1"),
    ("lxc.seccomp.profile", SECCOMP_FILE),
    ("lxc.apparmor.profile", "unconfined"),
];

/// Runs a slot until its owner is gone. `arguments` are those after `__slot`; standard input is the
/// socket to the owner.
///
/// Must be called before any other thread exists.
pub fn slot_main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let owner = arguments
        .next()
        .and_then(|word| word.to_str()?.parse().ok())
        .and_then(Pid::from_raw);
    let Some(owner) = owner else {
        return ExitCode::FAILURE;
    };
    match enter(owner)
        .map_err(step("begin"))
        .and_then(|socket| serve(&socket))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Ties our life to the owner's and returns the socket to it.
fn enter(owner: Pid) -> io::Result<OwnedFd> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Started through `/proc/self/exe`, it would be called `exe`.
    rustix::thread::set_name(c"soakhound-slot")?;
    if getppid() != Some(owner) {
        return Err(io::Error::other("the owner is gone"));
    }
    // Away from the terminal: its signals are the owner's business.
    setsid()?;
    sys::close_on_exec_from(3)?;
    umask(Mode::from_raw_mode(0o022));
    let null = File::options().read(true).write(true).open("/dev/null")?;
    sys::take_stdin(null.as_fd())
}

fn serve(socket: &OwnedFd) -> Result<(), Failure> {
    let Some((Request::Setup(setup), fds)) = wire::receive(socket.as_fd()).map_err(step("hear"))?
    else {
        return Err("understand its owner".to_owned());
    };
    let slot = fds
        .into_iter()
        .next()
        .ok_or_else(|| "find its first program".to_owned())
        .and_then(|program| Worker::prepare(*setup, &program));
    let mut slot = match slot {
        Ok(slot) => slot,
        Err(failure) => {
            answer(socket, &Answer::Unfit(failure.clone()))?;
            return Err(failure);
        }
    };
    answer(socket, &Answer::Ready)?;
    while let Some((request, fds)) = wire::receive(socket.as_fd()).map_err(step("hear"))? {
        let Request::Start(job) = request else {
            return Err("understand its owner".to_owned());
        };
        let report = slot.run(socket, &job, fds)?;
        answer(socket, &Answer::Ended(report))?;
    }
    Ok(())
}

fn answer(socket: &OwnedFd, answer: &Answer) -> Result<(), Failure> {
    wire::send(socket.as_fd(), answer, &[]).map_err(step("answer"))
}

/// A slot that is ready to make containers.
struct Worker {
    name: String,
    rung: Rung,
    base: u32,
    uid: u32,
    gid: u32,
    image: Image,
    program: OwnedFd,
}

impl Worker {
    fn prepare(setup: Setup, program: &OwnedFd) -> Result<Self, Failure> {
        for cgroup in &setup.cgroups {
            fs::write(cgroup.join("cgroup.procs"), "0").map_err(step(format_args!(
                "enter the cgroup `{}`",
                cgroup.display()
            )))?;
        }
        // Not 0: a core pattern that is a pipe ignores that, and the host would collect the dumps of
        // tests. One byte is too small for a file, and is the kernel's sign for "no pipe either".
        let no_dump = Rlimit {
            current: Some(1),
            maximum: Some(1),
        };
        setrlimit(Resource::Core, no_dump).map_err(step("turn core dumps off"))?;
        sys::unshare(UnshareFlags::NEWNS).map_err(step("have mounts of its own"))?;
        let downstream = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", downstream).map_err(step("have mounts of its own"))?;
        let base = if setup.rung.maps_ids() { setup.base } else { 0 };
        let ids = Ids {
            base,
            shifted: setup.rung == Rung::Shifted,
        };
        let image = Image::prepare(&setup.image, ids)?;
        // Where it finds no hierarchy, liblxc makes, moves and removes nothing, which saves several
        // grace periods of the kernel per container.
        mount(
            "tmpfs",
            "/sys/fs/cgroup",
            "tmpfs",
            MountFlags::RDONLY,
            c"size=4k",
        )
        .map_err(step("hide the cgroups"))?;
        fs::create_dir(LXC_PATH).map_err(step("give liblxc a folder"))?;
        fs::write(SECCOMP_FILE, SECCOMP).map_err(step("write the system call filter"))?;
        Ok(Self {
            name: setup.name,
            rung: setup.rung,
            base,
            uid: setup.image.uid,
            gid: setup.image.gid,
            image,
            program: keep(program)?,
        })
    }

    /// Forks the process that makes one container, and waits for its end.
    fn run(&mut self, socket: &OwnedFd, job: &Job, fds: Vec<OwnedFd>) -> Result<Report, Failure> {
        self.image.call(&job.hostname)?;
        let memfd = |name| memfd_create(name, MemfdFlags::CLOEXEC).map_err(step("make a memfd"));
        let (said, log) = (keep(&memfd("report")?)?, keep(&memfd("log")?)?);
        let us = getpid();
        let child = match sys::fork() {
            Ok(Fork::Parent(child)) => child,
            Ok(Fork::Child) => {
                let dying = set_parent_process_death_signal(Some(Signal::KILL));
                // PID 1 inherits this, and so loses no request to leave, however early it comes: the
                // kernel drops what the first process of a namespace neither handles nor blocks.
                let held = sys::hold_back_term();
                if dying.is_err() || held.is_err() || getppid() != Some(us) {
                    sys::leave(1);
                }
                let report = self.contain(job, &fds, &log);
                let text = serde_json::to_vec(&report).unwrap_or_default();
                sys::leave(i32::from(File::from(said).write_all(&text).is_err()));
            }
            Err(error) => {
                return Ok(Report {
                    failure: Some(format!("fork: {error}")),
                    ..Report::default()
                });
            }
        };
        // The pipes must end with the container.
        drop(fds);
        let pidfd = pidfd_open(child, PidfdFlags::empty()).map_err(step("watch a container"))?;
        wire::send(socket.as_fd(), &Answer::Forked, &[pidfd.as_fd()]).map_err(step("answer"))?;
        rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))
            .map_err(step("wait for a container"))?;
        // Nothing was said if it was killed.
        let mut report: Report =
            serde_json::from_slice(&contents(said, REPORT_CAP)?).unwrap_or_default();
        report.log = String::from_utf8_lossy(&contents(log, LOG_CAP)?).into_owned();
        if let Some(failure) = &mut report.failure
            && let Some(cause) = first_error(&report.log)
        {
            *failure = format!("{failure}: {cause}");
        }
        Ok(report)
    }

    /// Makes one container and blocks until it is gone. Runs in the forked copy.
    fn contain(&self, job: &Job, fds: &[OwnedFd], log: &OwnedFd) -> Report {
        let (status, status_in) = match status_pipe() {
            Ok(ends) => ends,
            Err(failure) => {
                return Report {
                    failure: Some(failure),
                    ..Report::default()
                };
            }
        };
        let failure = self.start(job, fds, &status_in, log).err();
        // PID 1 is gone, so all that it wrote is there. A copy of the write end is still ours.
        let mut text = [0; 4096];
        let length = File::from(status).read(&mut text).unwrap_or(0);
        Report {
            left: (job.list_changes && failure.is_none()).then(|| self.image.left()),
            failure,
            ..parse_status(&String::from_utf8_lossy(&text[..length]))
        }
    }

    fn start(
        &self,
        job: &Job,
        fds: &[OwnedFd],
        status: &OwnedFd,
        log: &OwnedFd,
    ) -> Result<(), Failure> {
        let [results, handed_job, output] = fds else {
            return Err("find its descriptors".to_owned());
        };
        let kept = [
            keep(results)?,
            keep(handed_job)?,
            keep(output)?,
            keep(status)?,
        ];
        // liblxc prints its errors to descriptor 2, which must not be the tests' own.
        let null = keep(
            &File::open("/dev/null")
                .map_err(step("open `/dev/null`"))?
                .into(),
        )?;
        sys::place(null.as_fd(), 2).map_err(step("hand over a descriptor"))?;
        // Before liblxc opens its log, which would take one of the numbers.
        for (fd, number) in kept.iter().zip(HANDED) {
            sys::place(fd.as_fd(), number).map_err(step("hand over a descriptor"))?;
        }
        sys::unshare(UnshareFlags::NEWNS).map_err(step("have mounts of its own"))?;
        let root = self.image.assemble(job.tmp_bytes)?;
        let root = root.to_str().ok_or("spell the root")?;
        let describe = |error: LxcError| error.to_string();
        lxc::log_to(
            &format!("/proc/self/fd/{}", log.as_raw_fd()),
            &self.name,
            LXC_PATH,
        )
        .map_err(describe)?;
        let mut container = Container::new(&self.name, LXC_PATH).map_err(describe)?;
        self.configure(&mut container, job, root)
            .map_err(describe)?;
        let argv = self.argv(job).map_err(describe)?;
        container
            .run(&argv)
            .map_err(|error| match container.message() {
                Some(message) => format!("{error}: {message}"),
                None => error.to_string(),
            })?;
        if let Some(name) = &job.harvest {
            self.image.harvest(name);
        }
        Ok(())
    }

    fn configure(&self, container: &mut Container, job: &Job, root: &str) -> Result<(), LxcError> {
        if self.rung.maps_ids() {
            for kind in ["u", "g"] {
                container.set(
                    "lxc.idmap",
                    format!("{kind} {}", plain_map(self.base)).trim_end(),
                )?;
            }
        }
        container.set("lxc.uts.name", &job.hostname)?;
        container.set("lxc.rootfs.path", &format!("dir:{root}"))?;
        container.set("lxc.rootfs.mount", &root.replace("merged", "mnt"))?;
        for (key, value) in ITEMS {
            container.set(key, value)?;
        }
        Ok(())
    }

    /// Returns PID 1's command line.
    fn argv(&self, job: &Job) -> Result<Vec<CString>, LxcError> {
        let mut words = vec![
            format!("/proc/self/fd/{}", self.program.as_raw_fd()).into_bytes(),
            self.uid.to_string().into_bytes(),
            self.gid.to_string().into_bytes(),
            job.cwd.clone().into_os_string().into_vec(),
            job.env.len().to_string().into_bytes(),
        ];
        for (name, value) in &job.env {
            let mut pair = name.clone().into_vec();
            pair.push(b'=');
            pair.extend_from_slice(value.as_encoded_bytes());
            words.push(pair);
        }
        words.extend(job.argv.iter().map(|word| word.clone().into_vec()));
        words
            .into_iter()
            .map(|word| Ok(CString::new(word)?))
            .collect()
    }
}

/// Makes the pipe for PID 1's record; reading from it never waits.
fn status_pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let (status, status_in) = io::pipe().map_err(step("make a pipe"))?;
    rustix::io::ioctl_fionbio(&status, true).map_err(step("make a pipe"))?;
    Ok((keep(&status.into())?, status_in.into()))
}

fn keep(fd: &OwnedFd) -> Result<OwnedFd, Failure> {
    sys::keep(fd.as_fd()).map_err(step("keep a descriptor"))
}

fn contents(memfd: OwnedFd, cap: u64) -> Result<Vec<u8>, Failure> {
    let mut file = File::from(memfd);
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.take(cap).read_to_end(&mut bytes))
        .map_err(step("read what a container left"))?;
    Ok(bytes)
}

/// Reads PID 1's record; a line that is cut short or unknown says nothing.
fn parse_status(text: &str) -> Report {
    let mut report = Report::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let kind = words.next();
        let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
        match (kind, numbers.as_slice()) {
            (Some("started"), [at]) => report.started_us = Some(*at),
            (Some("end"), [status, _user, _system, _rss, stragglers]) => {
                report.wait_status = i32::try_from(*status).ok();
                report.stragglers = u32::try_from(*stragglers).unwrap_or(0);
            }
            _ => {}
        }
    }
    report
}

/// Returns the text of the first error in liblxc's log: later ones only follow from it.
fn first_error(log: &str) -> Option<&str> {
    let line = log.lines().find(|line| line.contains(" ERROR "))?;
    line.splitn(3, " - ").nth(2).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_record_is_read_and_a_torn_line_is_not() {
        let report = parse_status("started 17\nend 256 10 20 3000 2\n");
        assert_eq!(
            (report.started_us, report.wait_status, report.stragglers),
            (Some(17), Some(256), 2)
        );
        assert_eq!(parse_status("started 17\nend 256 1").wait_status, None);
    }

    #[test]
    fn first_error_of_a_log_is_the_cause() {
        let log = "lxc x 2026 WARN     a - ../a.c:f:1 - harmless\n\
                   lxc x 2026 ERROR    b - ../b.c:g:2 - No such file\n\
                   lxc x 2026 ERROR    c - ../c.c:h:3 - Failed\n";
        assert_eq!(first_error(log), Some("No such file"));
        assert_eq!(first_error(""), None);
    }
}
