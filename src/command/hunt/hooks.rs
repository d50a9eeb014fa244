//! Commands of the user's own that a hunt starts when it certifies a flag and when it stops. What they do is theirs:
//! a hook that fails, hangs or does not exist is told once and never holds the hunt up.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command, sync::mpsc, task::JoinHandle};

use crate::ui::{Console, escape};

/// How long a hook may take. A minute is plenty for a message to a chat; a longer one would hold the end of a
/// hunt up for as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Hooks that may wait for the one that runs; more flags than that at once are told by the last summary alone.
const WAITING: usize = 256;

/// Bytes of a hook's last words that are shown.
const LAST_WORDS: usize = 400;

/// A program with its arguments; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook(Vec<String>);

impl Hook {
    /// Takes an argument array of the configuration; an empty one is none.
    pub(super) fn of_arguments(arguments: &[String]) -> Option<Self> {
        (!arguments.is_empty()).then(|| Self(arguments.to_vec()))
    }

    /// Takes a command line as a shell reads it.
    pub(super) fn of_line(line: &str) -> Self {
        Self(["/bin/sh", "-c", line].map(str::to_owned).to_vec())
    }

    /// Runs it with `facts` on its stdin.
    async fn run(&self, facts: &Value) -> Result<(), String> {
        let (program, arguments) = self.0.split_first().expect("a hook has a program");
        // A group of its own: Ctrl-C at the terminal drains the hunt and must not kill the message about it.
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut stdin = child.stdin.take().expect("it was piped");
        let text = facts.to_string();
        let talk = async {
            // A hook may end without reading: its exit code tells how it went.
            let _unread = stdin.write_all(text.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(PATIENCE, talk)
            .await
            .map_err(|_| format!("it took longer than {} s", PATIENCE.as_secs()))?
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = output.stderr.trim_ascii();
        let said = &said[said.len().saturating_sub(LAST_WORDS)..];
        Err(format!("{}: {}", output.status, escape::terminal(said)))
    }
}

/// Runs hooks one after the other, beside the hunt.
pub(super) struct Hooks {
    on_flag: Option<Hook>,
    on_stop: Option<Hook>,
    jobs: mpsc::Sender<(Hook, Value)>,
    runs: JoinHandle<()>,
}

impl Hooks {
    /// Starts without anything to do.
    pub(super) fn start(on_flag: Option<Hook>, on_stop: Option<Hook>, console: &Console) -> Self {
        let (jobs, mut waiting) = mpsc::channel::<(Hook, Value)>(WAITING);
        let console = console.clone();
        let runs = tokio::spawn(async move {
            while let Some((hook, facts)) = waiting.recv().await {
                if let Err(why) = hook.run(&facts).await {
                    let program = escape::terminal(hook.0.join(" ").as_bytes());
                    console.warn(&format!("hook `{program}` failed: {why}"));
                }
            }
        });
        Self {
            on_flag,
            on_stop,
            jobs,
            runs,
        }
    }

    /// Tells the hook for flags, where there is one.
    pub(super) fn flag(&self, facts: impl FnOnce() -> Value) {
        self.tell(self.on_flag.as_ref(), facts);
    }

    /// Tells the hook for the end, and waits until all of them are done; at most as long as two may take.
    pub(super) async fn stop(self, facts: impl FnOnce() -> Value) {
        self.tell(self.on_stop.as_ref(), facts);
        let Self { jobs, mut runs, .. } = self;
        drop(jobs);
        match tokio::time::timeout(2 * PATIENCE, &mut runs).await {
            Ok(ended) => ended.expect("running hooks does not panic"),
            Err(_) => runs.abort(),
        }
    }

    fn tell(&self, hook: Option<&Hook>, facts: impl FnOnce() -> Value) {
        if let Some(hook) = hook
            && self.jobs.try_send((hook.clone(), facts())).is_err()
        {
            tracing::warn!("too many hooks wait; one was left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at_once<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn hook_gets_the_facts_on_its_stdin() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let hook = Hook::of_line(&format!("cat > '{}'", told.display()));
        let facts = json!({ "verdict": "nod", "test": "a \u{1f415}" });
        assert_eq!(at_once(hook.run(&facts)), Ok(()));
        let text = std::fs::read_to_string(told).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), facts);
    }

    #[test]
    fn arguments_of_a_hook_are_not_read_by_a_shell() {
        let hook = Hook::of_arguments(&["/bin/false; true".to_owned()]).unwrap();
        at_once(hook.run(&json!({}))).unwrap_err();
        assert_eq!(Hook::of_arguments(&[]), None);
    }

    #[test]
    fn hook_that_fails_says_why_in_one_line() {
        let hook = Hook::of_line("echo first >&2; echo last >&2; exit 3");
        let why = at_once(hook.run(&json!({}))).unwrap_err();
        assert!(why.contains("exit status: 3"), "{why}");
        assert!(why.contains("last") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn hook_that_reads_nothing_is_judged_by_its_exit_code() {
        let facts = json!({ "long": "x".repeat(1 << 20) });
        assert_eq!(at_once(Hook::of_line("exec true").run(&facts)), Ok(()));
    }
}
