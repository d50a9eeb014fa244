//! Reads the results pipe of one runner process: bytes in, events out.
//!
//! Everything that comes out of a container is untrusted: tests run in the same process as the
//! driver that writes the records. So sizes are bounded, each record carries the [`Nonce`] and the
//! next number, and a sequence that no honest driver writes makes the whole [`Journal`] untrusted,
//! once and for good. It reads no pipe and no clock, and decides nothing about the segment.

use std::collections::HashSet;

use super::event::{JournalEvent, MOST_TESTS, Untrusted};
use super::record::{Record, Text};
use super::runner::Nonce;
use crate::model::{MonoMicros, TestId};

/// Failure texts of one process in bytes, after which the driver cuts each to a few lines. A whole
/// suite that fails stays far below it; a hostile one cannot fill the disk of the host.
pub(super) const DETAIL_BUDGET: usize = 64 << 20;

/// Room for the frame of a record, and for a longest name in its longest form.
const LINE_BASE: usize = 32 << 10;

/// Room for the two records of a test whose failure text was cut short for the budget's sake.
const BYTES_PER_TEST: u64 = 8 << 10;

/// Bytes that a journal may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    line: usize,
    total: u64,
}

impl JournalLimits {
    /// Returns the limits for a process that lists, or runs `tests` tests, with failure texts of at most
    /// `output_cap` bytes.
    #[must_use]
    pub fn new(tests: usize, output_cap: usize) -> Self {
        let details = 3 * DETAIL_BUDGET as u64;
        Self {
            line: 3 * Self::detail_cap(output_cap) + LINE_BASE,
            total: details.saturating_add(BYTES_PER_TEST.saturating_mul(tests as u64)),
        }
    }

    /// Returns the longest failure text that the driver is told to send, in bytes.
    pub(super) fn detail_cap(output_cap: usize) -> usize {
        output_cap.clamp(256, 1 << 20)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Planned,
    Missing,
    Running,
    Ended,
}

#[derive(Debug)]
enum Job {
    List { seen: HashSet<TestId> },
    Run { states: Vec<State> },
}

/// The reader of one process's records: a pure state machine.
#[derive(Debug)]
pub struct Journal {
    nonce: String,
    limits: JournalLimits,
    job: Job,
    /// The line that is not complete yet; never longer than the limit.
    partial: Vec<u8>,
    total: u64,
    lines: u64,
    running: Option<u32>,
    furthest: Option<u32>,
    order_differs: bool,
    clock: MonoMicros,
    finished: Option<i32>,
    untrusted: Option<Untrusted>,
}

impl Journal {
    /// Begins the journal of a process that lists the suite.
    #[must_use]
    pub fn listing(nonce: Nonce, limits: JournalLimits) -> Self {
        let seen = HashSet::new();
        Self::new(nonce, limits, Job::List { seen })
    }

    /// Begins the journal of a process that was asked to run `tests` tests.
    #[must_use]
    pub fn of_run(nonce: Nonce, limits: JournalLimits, tests: usize) -> Self {
        let states = vec![State::Planned; tests];
        Self::new(nonce, limits, Job::Run { states })
    }

    fn new(nonce: Nonce, limits: JournalLimits, job: Job) -> Self {
        Self {
            nonce: nonce.to_string(),
            limits,
            job,
            partial: Vec::new(),
            total: 0,
            lines: 0,
            running: None,
            furthest: None,
            order_differs: false,
            clock: MonoMicros(0),
            finished: None,
            untrusted: None,
        }
    }

    /// Takes the next bytes of the pipe, cut anywhere, and returns what they say.
    ///
    /// After [`JournalEvent::Untrusted`] it returns nothing any more. A line that is still incomplete
    /// at the end of the pipe is what a killed process could not finish, and says nothing.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<JournalEvent> {
        let mut events = Vec::new();
        if self.untrusted.is_none()
            && let Err(reason) = self.read(bytes, &mut events)
        {
            self.partial = Vec::new();
            self.untrusted = Some(reason.clone());
            events.push(JournalEvent::Untrusted(reason));
        }
        events
    }

    /// Returns the index of the test that runs, or ran when the stream ended.
    #[must_use]
    pub fn running(&self) -> Option<u32> {
        self.running
    }

    /// Returns the runner's exit code once its last record was read.
    #[must_use]
    pub fn finished(&self) -> Option<i32> {
        self.finished
    }

    /// Did tests start in another order than asked for? Such a segment carries no order evidence.
    #[must_use]
    pub fn order_differs(&self) -> bool {
        self.order_differs
    }

    /// Returns why the stream cannot be believed, if so.
    #[must_use]
    pub fn untrusted(&self) -> Option<&Untrusted> {
        self.untrusted.as_ref()
    }

    /// Returns the indexes of tests that neither started nor are missing, in the order asked for.
    pub fn not_started(&self) -> impl Iterator<Item = u32> + '_ {
        let states: &[State] = match &self.job {
            Job::List { .. } => &[],
            Job::Run { states } => states,
        };
        (0_u32..)
            .zip(states)
            .filter(|(_, state)| **state == State::Planned)
            .map(|(index, _)| index)
    }

    fn read(&mut self, mut bytes: &[u8], events: &mut Vec<JournalEvent>) -> Result<(), Untrusted> {
        self.total = self.total.saturating_add(bytes.len() as u64);
        if self.total > self.limits.total {
            let limit = self.limits.total;
            return Err(Untrusted::TooLong { limit });
        }
        let limit = self.limits.line;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.partial.len() + line.len() > limit {
                return Err(Untrusted::LineTooLong { limit });
            }
            bytes = rest;
            if self.partial.is_empty() {
                events.push(self.line(line)?);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                events.push(self.line(&whole)?);
            }
        }
        if self.partial.len() + bytes.len() > limit {
            return Err(Untrusted::LineTooLong { limit });
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<JournalEvent, Untrusted> {
        let expected = self.lines;
        self.lines += 1;
        let Ok(record) = serde_json::from_slice::<Record<'_>>(line) else {
            return Err(Untrusted::NotARecord { line: self.lines });
        };
        if record.n != self.nonce {
            return Err(Untrusted::WrongNonce { line: self.lines });
        }
        let found = record.s;
        if found != expected {
            return Err(Untrusted::Sequence { expected, found });
        }
        if self.finished.is_some() {
            return Err(Untrusted::AfterFinish);
        }
        let kind = record.k.clone();
        let senseless = Untrusted::Senseless { record: expected };
        match kind.as_ref() {
            "versions" => record.versions(),
            "note" => record.note(),
            "uncollected" => record.uncollected(),
            "item" => return self.item(record.name.ok_or(senseless)?, expected),
            "missing" => return self.missing(record.missing.ok_or(senseless)?, expected),
            "start" => return self.start(&record),
            "end" => return self.end(record),
            "finished" => {
                self.finished = record.exit;
                record.exit.map(|exit| JournalEvent::Finished { exit })
            }
            _ => None,
        }
        .ok_or(senseless)
    }

    fn item(&mut self, name: Text<'_>, record: u64) -> Result<JournalEvent, Untrusted> {
        let Job::List { seen } = &mut self.job else {
            return Err(Untrusted::Senseless { record });
        };
        let name = name.bytes().ok_or(Untrusted::Senseless { record })?;
        let name = TestId::new(name)?;
        if seen.len() >= MOST_TESTS {
            return Err(Untrusted::TooManyTests);
        }
        if !seen.insert(name.clone()) {
            return Err(Untrusted::ListedTwice { name });
        }
        Ok(JournalEvent::Item(name))
    }

    /// Returns the state of a test of this run.
    fn state(&mut self, index: u32, record: u64) -> Result<&mut State, Untrusted> {
        let Job::Run { states } = &mut self.job else {
            return Err(Untrusted::Senseless { record });
        };
        let tests = states.len();
        let place = usize::try_from(index).ok();
        place
            .and_then(|place| states.get_mut(place))
            .ok_or(Untrusted::OutOfRange { index, tests })
    }

    fn missing(&mut self, indexes: Vec<u32>, record: u64) -> Result<JournalEvent, Untrusted> {
        for index in &indexes {
            let state = self.state(*index, record)?;
            if *state != State::Planned {
                return Err(Untrusted::Senseless { record });
            }
            *state = State::Missing;
        }
        Ok(JournalEvent::Missing(indexes))
    }

    fn start(&mut self, record: &Record<'_>) -> Result<JournalEvent, Untrusted> {
        let (index, at) = record.moment()?;
        let running = self.running;
        let state = self.state(index, record.s)?;
        if let Some(running) = running {
            return Err(Untrusted::Overlap { running, index });
        }
        if *state != State::Planned {
            return Err(Untrusted::StartedTwice { index });
        }
        *state = State::Running;
        self.advance(at, record.s)?;
        self.running = Some(index);
        self.order_differs |= self.furthest.is_some_and(|furthest| index < furthest);
        self.furthest = self.furthest.max(Some(index));
        Ok(JournalEvent::Started { index, at })
    }

    fn end(&mut self, record: Record<'_>) -> Result<JournalEvent, Untrusted> {
        let (index, at) = record.moment()?;
        let number = record.s;
        let outcome = record
            .outcome()
            .ok_or(Untrusted::Senseless { record: number })?;
        let state = self.state(index, number)?;
        if *state != State::Running {
            return Err(Untrusted::EndWithoutStart { index });
        }
        *state = State::Ended;
        self.advance(at, number)?;
        self.running = None;
        let detail = match record.d.map(Text::bytes) {
            None => None,
            Some(Some(bytes)) => Some(bytes),
            Some(None) => return Err(Untrusted::Senseless { record: number }),
        };
        Ok(JournalEvent::Ended {
            index,
            outcome,
            at,
            detail,
        })
    }

    fn advance(&mut self, at: MonoMicros, record: u64) -> Result<(), Untrusted> {
        if at < self.clock {
            return Err(Untrusted::Backwards { record });
        }
        self.clock = at;
        Ok(())
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
