//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread or runtime exists: a slot's process forks.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "__slot") {
        return soakhound::container::slot_main(arguments);
    }
    ExitCode::SUCCESS
}
