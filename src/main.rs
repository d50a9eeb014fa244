//! The `soakhound` command: hands a slot worker its life, else runs one command and turns its result into
//! an exit code. No logic of its own but the counting of interrupts.

use std::{
    error::Error,
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::sync::watch;

fn main() -> ExitCode {
    // First of all: a slot worker must be single-threaded from its first instruction to its last.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "__slot") {
        return soakhound::container::slot_main(arguments);
    }
    soakhound::command::main(interrupts)
}

/// Counts SIGINTs from now on. The first and the second are for the command to act on; the third leaves at
/// once, which is safe: containers die with us and the record is durable.
fn interrupts() -> Result<watch::Receiver<u32>, Box<dyn Error>> {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let (tell, told) = watch::channel(0);
    ctrlc::set_handler(move || {
        let count = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
        if count >= 3 {
            std::process::exit(130);
        }
        tell.send_replace(count);
    })?;
    Ok(told)
}
