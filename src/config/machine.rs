//! What the defaults need to know about the machine: cores and memory. Decides nothing itself.

use std::num::NonZeroU16;
use std::thread::available_parallelism;

/// Memory assumed where the system does not tell: small enough for any machine that can hunt at all.
const ASSUMED_MEMORY: u64 = 1 << 30;

/// The cores and the memory that a hunt may share out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: NonZeroU16,
    /// Memory in bytes.
    pub memory: u64,
}

impl Machine {
    /// Asks the system that we run on.
    #[must_use]
    pub fn detect() -> Self {
        let cores = available_parallelism()
            .ok()
            .and_then(|cores| NonZeroU16::try_from(cores).ok())
            .unwrap_or(NonZeroU16::MIN);
        let system = rustix::system::sysinfo();
        // The field is an unsigned long, 32 bits on some machines.
        #[expect(
            clippy::useless_conversion,
            reason = "the kernel's type differs between machines"
        )]
        let memory = u64::from(system.totalram).saturating_mul(u64::from(system.mem_unit));
        Self {
            cores,
            memory: if memory == 0 { ASSUMED_MEMORY } else { memory },
        }
    }
}
