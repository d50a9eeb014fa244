//! How flags are raised: into the record, in a line, to the user's own programs. And how the canary stands, which is
//! nobody's flag.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{desk::Raised, hooks::Hooks, news};
use crate::{
    command::again::Again,
    model::{Clock, Flag, SystemClock},
    plan,
    store::{CanaryRow, FlagStart, RevisionId, StoreError, Writer},
    ui::Console,
};

/// How the canary stands: written by its own analysis, read by that of the suite.
#[derive(Clone, Debug, Default)]
pub(super) struct CanaryState(Arc<Mutex<Option<CanaryRow>>>);

impl CanaryState {
    /// Starts with what an earlier process knew.
    pub(super) fn known(row: Option<CanaryRow>) -> Self {
        Self(Arc::new(Mutex::new(row)))
    }

    /// Returns how it stands, to be read or replaced.
    pub(super) fn row(&self) -> MutexGuard<'_, Option<CanaryRow>> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who raises flags.
pub(super) struct Herald {
    pub(super) hunt: i64,
    pub(super) revision: RevisionId,
    pub(super) workers: u16,
    /// How they are told; `None` for the canary, whose flags are nobody's business.
    pub(super) voice: Option<Voice>,
    pub(super) canary: CanaryState,
}

/// How flags are told.
pub(super) struct Voice {
    /// Name of the suite.
    pub(super) suite: String,
    pub(super) console: Console,
    pub(super) again: Again,
    pub(super) hooks: Hooks,
}

impl Herald {
    /// Records a flag, and tells of it if it is news.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub(super) async fn raise(&self, writer: &Writer, raised: Raised) -> Result<(), StoreError> {
        let Raised {
            flag,
            handle,
            token,
            is_news,
        } = raised;
        let start = FlagStart {
            hunt: self.hunt,
            revision: self.revision,
            at: SystemClock.now(),
            flag: flag.clone(),
            token: token.clone(),
        };
        writer.raise_flag(start).await?;
        if let Some(voice) = self.voice.as_ref().filter(|_| is_news) {
            voice.tell(self.hunt, &flag, handle.as_deref(), token.as_deref());
        }
        Ok(())
    }
}

impl Voice {
    /// Announces a flag with the commands to type, and tells the hook: one line in a log, several on a terminal.
    fn tell(&self, hunt: i64, flag: &Flag, handle: Option<&str>, token: Option<&str>) {
        let show = handle.map(|handle| format!("show {handle}"));
        let replay = token.map(|token| plan::replaying(token, handle));
        let between = if self.console.is_live() {
            ["\n        ", "\n        "]
        } else {
            [": ", "; "]
        };
        let mut line = format!("flag    {}", news::sentence(flag));
        for (between, command) in between.into_iter().zip([show, replay]) {
            if let Some(command) = command {
                line.push_str(between);
                line.push_str(&self.again.with(&command));
            }
        }
        self.console.note(&line);
        self.hooks
            .flag(|| news::facts(&self.suite, hunt, flag, handle, token));
    }
}
