//! `replay --shell`: a shell in a container like those of the repetitions, on the user's own terminal. The
//! container is a fresh one; a script in it runs the order as the repetitions did.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
};

use super::resolve::Target;
use crate::{
    command::{Context, session::Listed, stopping::Stopping},
    container::{InjectedFile, Slot},
    error::{ExitCode, Failure},
    execute::{Rig, Stop},
    suite::DRIVER_DIR,
};

/// The script that runs the order, in the driver's folder.
const SCRIPT: &str = "order";

/// Checks that there is a terminal to give to a shell.
///
/// # Errors
/// [`Failure`] with 150 without one.
pub(super) fn check() -> Result<(), Failure> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::Usage,
        "`--shell` needs a terminal as standard input and output",
    ))
}

/// Opens the shell and waits for its end.
///
/// # Errors
/// [`Failure`] when the terminal or the container fails.
pub(super) async fn open(
    context: &Context,
    listed: &Listed,
    target: &Target,
    stopping: &Stopping,
) -> Result<(), Failure> {
    let rig = &listed.session.rig;
    let (last, before) = target
        .processes
        .split_last()
        .expect("an order has a process");
    if !before.is_empty() || !target.beside.is_empty() {
        context.console.note(
            "the shell's script runs the last process of this order alone: run what goes before it by hand",
        );
    }
    let command = rig
        .runner
        .run(&rig.context(Rig::nonce(), target.seed32), last);
    let script = Path::new(DRIVER_DIR).join(SCRIPT);
    let mut image = rig.image.clone();
    image.files.push(InjectedFile {
        path: script.clone(),
        contents: runs(&command.argv),
        mode: 0o555,
    });
    let mut launch = rig.launch(command, &target.variables);
    let shell = "if command -v bash >/dev/null; then exec bash; fi; exec sh";
    launch.argv = ["/bin/sh", "-c", shell].map(OsString::from).to_vec();
    let term = OsStr::new("TERM");
    if let Some(kind) = context.environment.get(term) {
        launch.env.retain(|(name, _)| name != term);
        launch.env.push((term.to_owned(), kind.clone()));
    }
    let index = rig
        .next_slot
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut slot = Slot::spawn(&rig.spawner, &rig.run_dir, index, &image, rig.rung).await?;

    context.console.note(&format!(
        "a shell in a fresh container; run the order with: {}",
        script.display()
    ));
    let (upper, lower) = pair().map_err(broken)?;
    let mut resized = signal(SignalKind::window_change()).map_err(broken)?;
    resize(&upper);
    let mut running = slot.start_on(&launch, lower).await?;
    let mut results = running.results().expect("nobody took it before");
    let restored = Raw::enter().map_err(broken)?;
    let relay = relay(upper.try_clone().map_err(broken)?);
    let mut stop = stopping.stop.subscribe();
    let mut ignored = [0; 4096];
    let mut reports = true;
    loop {
        tokio::select! {
            ended = running.wait() => {
                ended?;
                break;
            }
            // What the order reports when it is run by hand is not wanted, and must not fill the pipe.
            read = results.read(&mut ignored), if reports => reports = matches!(read, Ok(1..)),
            Some(()) = resized.recv() => resize(&upper),
            Ok(()) = stop.changed() => {
                if *stop.borrow_and_update() != Stop::Running {
                    running.kill().await?;
                }
            }
        }
    }
    for side in relay {
        side.join().expect("the relay does not panic");
    }
    drop(restored);
    Ok(())
}

fn broken(error: impl Into<io::Error>) -> Failure {
    Failure::new(
        ExitCode::Internal,
        format!("cannot hand the terminal over: {}", error.into()),
    )
}

/// A script that runs the runner's command; its job is read from the start each time.
fn runs(argv: &[OsString]) -> Vec<u8> {
    let mut script = b"#!/bin/sh\nexec 4</proc/self/fd/4\nexec".to_vec();
    for word in argv {
        script.extend_from_slice(b" '");
        for byte in word.as_bytes() {
            match byte {
                b'\'' => script.extend_from_slice(b"'\\''"),
                other => script.push(*other),
            }
        }
        script.push(b'\'');
    }
    script.extend_from_slice(b" \"$@\"\n");
    script
}

/// Makes a pseudo-terminal; the upper end is ours.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let upper = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&upper)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let lower = ioctl_tiocgptpeer(&upper, flags)?;
    Ok((upper, lower))
}

/// Gives the pseudo-terminal the size of the real one; without a size, programs assume one.
fn resize(upper: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(io::stdout()) {
        // A size is a convenience.
        let _unsized = tcsetwinsize(upper, size);
    }
}

/// The user's terminal in raw mode: every key goes to the shell. Dropping it restores the terminal.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        // Without a flush: what was typed ahead is for the shell.
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs no mode.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Starts to copy keys to the shell and its output to the user; both end when the container has gone.
fn relay(upper: OwnedFd) -> [std::thread::JoinHandle<()>; 2] {
    let mut output = File::from(upper);
    let keys = output.try_clone();
    // Blocking calls on two threads: a shell that does not read must not keep its own output from being shown.
    [
        std::thread::spawn(move || {
            if let Ok(keys) = keys {
                copy_keys(keys);
            }
        }),
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let mut shown = io::stdout().lock();
                if shown
                    .write_all(&buffer[..read])
                    .and_then(|()| shown.flush())
                    .is_err()
                {
                    break;
                }
            }
        }),
    ]
}

fn copy_keys(mut upper: File) {
    let mut buffer = [0; 4096];
    loop {
        let stdin = io::stdin();
        let mut both = [
            PollFd::new(&stdin, PollFlags::IN),
            PollFd::from_borrowed_fd(std::os::fd::AsFd::as_fd(&upper), PollFlags::empty()),
        ];
        match poll(&mut both, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if both[1].revents().contains(PollFlags::HUP) {
            return;
        }
        match rustix::io::read(&stdin, &mut buffer) {
            Ok(read @ 1..) if upper.write_all(&buffer[..read]).is_ok() => {}
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
