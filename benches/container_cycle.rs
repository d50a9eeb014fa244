//! What a container costs: our hardened cycle beside the bare kernel calls, interleaved in one run.
//!
//! A cycle makes a fresh root file system, runs `/bin/true` in it, collects what it said, and takes
//! everything down. The bare one is five namespaces, an overlay on a tmpfs and `pivot_root`: no
//! id map, limits, filter or PID 1. Needs root; prints medians, throughput and their ratios.
#![expect(unsafe_code, reason = "the bare kernel calls have no safe wrapper")]

use std::ffi::{CStr, CString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::null;
use std::time::{Duration, Instant};

use soakhound::container::{
    ImageSpec, InjectedFile, Launch, Limits, RunDir, Rung, Slot, Spawner, Tree,
};
use soakhound::model::Exit;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::{Builder, Runtime};

/// Cycles that one worker does before the other side has its turn.
const BATCH: usize = 5;

/// Fewest samples of a side and a degree of parallelism.
const SAMPLES: usize = 100;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let run = RunDir::create(folder.path()).expect("a run can be made");
    let spawner = Spawner::new(env!("CARGO_BIN_EXE_soakhound")).expect("a thread can be started");
    let tree = folder.path().join("project");
    std::fs::create_dir(&tree).expect("a folder can be made");
    say("parallel  bare ms  ours ms  ratio  bare/s  ours/s  ratio");
    for parallel in [1, 4, 16] {
        let mut bare: Vec<Bare> = (0..parallel)
            .map(|n| Bare::new(&run.path().join(format!("bare-{parallel}-{n}"))))
            .collect();
        let mut ours: Vec<Ours> = (0..parallel)
            .map(|n| Ours::new(&spawner, &run, n, &tree))
            .collect();
        let (mut bare_side, mut our_side) = (Side::default(), Side::default());
        // One round to warm up, which nobody counts.
        Side::default().round(&mut bare);
        Side::default().round(&mut ours);
        while bare_side.samples.len() < SAMPLES {
            bare_side.round(&mut bare);
            our_side.round(&mut ours);
        }
        let (a, b) = (bare_side.median_ms(), our_side.median_ms());
        let (c, d) = (bare_side.per_second(), our_side.per_second());
        say(&format!(
            "{parallel:>8}  {a:>7.2}  {b:>7.2}  {:>5.2}  {c:>6.0}  {d:>6.0}  {:>5.2}",
            b / a,
            c / d
        ));
    }
}

fn say(line: &str) {
    writeln!(io::stdout(), "{line}").expect("standard output can be written");
}

/// One worker of either side.
trait Cycle: Send {
    fn cycle(&mut self);
}

/// The samples of one side.
#[derive(Default)]
struct Side {
    samples: Vec<Duration>,
    wall: Duration,
}

impl Side {
    /// Lets all workers do a batch side by side.
    fn round<W: Cycle>(&mut self, workers: &mut [W]) {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = workers
                .iter_mut()
                .map(|worker| {
                    scope.spawn(move || {
                        let timed = |_| {
                            let began = Instant::now();
                            worker.cycle();
                            began.elapsed()
                        };
                        (0..BATCH).map(timed).collect::<Vec<_>>()
                    })
                })
                .collect();
            for thread in threads {
                self.samples
                    .extend(thread.join().expect("a cycle succeeds"));
            }
        });
        self.wall += began.elapsed();
    }

    fn median_ms(&mut self) -> f64 {
        self.samples.sort_unstable();
        self.samples[self.samples.len() / 2].as_secs_f64() * 1e3
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred samples")]
    fn per_second(&self) -> f64 {
        self.samples.len() as f64 / self.wall.as_secs_f64()
    }
}

/// Our own cycle, with everything that a hunt asks for.
struct Ours {
    runtime: Runtime,
    slot: Slot,
    launch: Launch,
}

impl Ours {
    fn new(spawner: &Spawner, run: &RunDir, index: u32, tree: &Path) -> Self {
        let image = ImageSpec {
            lower: "/".into(),
            masks: ["/root", "/home", "/etc/shadow", "/etc/ssh", "/var/log"]
                .map(Into::into)
                .into(),
            binds: Vec::new(),
            trees: vec![Tree {
                source: tree.to_owned(),
                target: "/srv/project".into(),
            }],
            files: vec![InjectedFile {
                path: "/run/soakhound/plugin.py".into(),
                contents: vec![b'#'; 8192],
                mode: 0o444,
            }],
            uid: 1000,
            gid: 1000,
        };
        let launch = Launch {
            list_changes: false,
            argv: vec!["/bin/true".into()],
            env: vec![
                ("PATH".into(), "/bin".into()),
                ("HOME".into(), "/tmp/home".into()),
            ],
            cwd: "/srv/project".into(),
            hostname: "shard".to_owned(),
            limits: Limits {
                memory: Some(1 << 30),
                pids: 512,
                cpus: Some(2.0),
                tmp_bytes: 1 << 30,
            },
            job: vec![b'x'; 8192],
            harvest: None,
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let slot = runtime
            .block_on(Slot::spawn(spawner, run, index, &image, Rung::Shifted))
            .expect("a slot starts");
        Self {
            runtime,
            slot,
            launch,
        }
    }
}

impl Cycle for Ours {
    fn cycle(&mut self) {
        let Self {
            runtime,
            slot,
            launch,
        } = self;
        let exit = runtime.block_on(async {
            let mut running = slot.start(launch).await.expect("a container starts");
            let mut results = running.results().expect("taken once");
            let mut output = running.output().expect("taken once");
            let (mut result_bytes, mut output_bytes) = (Vec::new(), Vec::new());
            let (end, one, other) = tokio::join!(
                running.wait(),
                results.read_to_end(&mut result_bytes),
                output.read_to_end(&mut output_bytes),
            );
            one.and(other).expect("pipes can be read");
            end.expect("a container ends").exit
        });
        assert_eq!(exit, Exit::Code(0), "/bin/true succeeds");
    }
}

/// The bare calls; every string is made beforehand, since the child of a threaded process may not.
struct Bare {
    scratch: CString,
    folders: [CString; 3],
    overlay: CString,
}

impl Bare {
    fn new(scratch: &Path) -> Self {
        std::fs::create_dir(scratch).expect("a folder can be made");
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("no NUL in it");
        let folders = ["up", "work", "merged"].map(|name| text(&scratch.join(name)));
        let [up, work, _] = folders.each_ref().map(|folder| folder.to_string_lossy());
        let overlay = format!("lowerdir=/,upperdir={up},workdir={work}");
        Self {
            scratch: text(scratch),
            overlay: CString::new(overlay).expect("no NUL in it"),
            folders,
        }
    }

    /// Runs in the child, and makes system calls only.
    fn become_true(&self) -> ! {
        let program = c"/bin/true";
        let [_, _, merged] = &self.folders;
        let mount = |kind: &CStr, target: &CStr, flags, data: &CStr| {
            // SAFETY: all strings outlive the call.
            unsafe {
                libc::mount(
                    kind.as_ptr(),
                    target.as_ptr(),
                    kind.as_ptr(),
                    flags,
                    data.as_ptr().cast(),
                ) == 0
            }
        };
        let made = mount(c"none", c"/", libc::MS_REC | libc::MS_SLAVE, c"")
            && mount(c"tmpfs", &self.scratch, 0, c"size=1g,mode=0755")
            // SAFETY: the paths outlive the calls.
            && self.folders.iter().all(|folder| unsafe { libc::mkdir(folder.as_ptr(), 0o755) } == 0)
            && mount(c"overlay", merged, 0, &self.overlay);
        // SAFETY: system calls with strings that outlive them; the image is replaced or left.
        unsafe {
            if made
                && libc::chdir(merged.as_ptr()) == 0
                && libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0
                && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
            {
                libc::execve(
                    program.as_ptr(),
                    [program.as_ptr(), null()].as_ptr(),
                    [null()].as_ptr(),
                );
            }
            libc::_exit(125)
        }
    }
}

impl Cycle for Bare {
    fn cycle(&mut self) {
        let flags = libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWNET
            | libc::SIGCHLD;
        // SAFETY: without a stack this is a fork; the child makes system calls only.
        let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if child == 0 {
            self.become_true();
        }
        let child = libc::pid_t::try_from(child).expect("a process id");
        let mut status = 0;
        // SAFETY: the status outlives the call.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert!(
            waited == child && status == 0,
            "the bare cycle ended with {status:#x}"
        );
    }
}
