//! `--shell`: a person at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::{hunted_once, made};

/// Reads a terminal until `wanted` has been shown.
#[track_caller]
fn read_until(terminal: &mut File, shown: &mut String, wanted: &str) {
    let mut buffer = [0; 4096];
    while !shown.contains(wanted) {
        // At the end of the program the kernel answers with an error.
        let read = terminal.read(&mut buffer).unwrap_or(0);
        assert!(read > 0, "no `{wanted}` in:\n{shown}");
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

#[test]
fn shell_of_a_replay_is_in_a_container_and_runs_the_order_by_hand() {
    let world = made();
    let token = hunted_once(&world);
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let upper = openpt(flags).unwrap();
    unlockpt(&upper).unwrap();
    let lower = ioctl_tiocgptpeer(&upper, flags).unwrap();
    let mut command = world.command(&["replay", &token, "--shell"]);
    let mut replay = command
        .env("TERM", "dumb")
        .stdin(lower.try_clone().unwrap())
        .stdout(lower.try_clone().unwrap())
        .stderr(lower)
        .spawn()
        .unwrap();
    // Our copies of the lower end would keep the terminal from ending.
    drop(command);
    let mut terminal = File::from(upper);
    let mut shown = String::new();
    read_until(&mut terminal, &mut shown, "REPRODUCED in 1 of 1 run");
    read_until(&mut terminal, &mut shown, "run the order with: ");
    read_until(&mut terminal, &mut shown, "\n");
    let script = shown.rsplit("run the order with: ").next().unwrap();
    let script = script.trim().to_owned();
    // One after the other, as a person types; the sum tells the answer from the echo of the keys.
    for (keys, wanted) in [
        ("echo host-$(hostname)\n".to_owned(), "host-soakhound"),
        (
            format!("{script} </dev/null | grep -c 'assert mode'; echo ran-$((6 * 7))\n"),
            "ran-42",
        ),
    ] {
        terminal.write_all(keys.as_bytes()).unwrap();
        read_until(&mut terminal, &mut shown, wanted);
    }
    terminal.write_all(b"exit\n").unwrap();
    let status = replay.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(!shown.contains("no job control"), "{shown}");
}

#[test]
fn shell_without_a_terminal_is_refused_before_anything_runs() {
    let world = made();
    let ended = world.expect(150, &["replay", "--shell", &hunted_once(&world)]);
    ended.assert_says(&["`--shell` needs a terminal"]);
    assert_eq!(ended.stdout, "");
}
