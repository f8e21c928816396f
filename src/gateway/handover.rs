//! What a process says that hands over to another, and why it does not.

use crate::gateway::start_and_replace_errors::StartError;
use crate::ledger::LedgerHandover;
use crate::rate_limit::RateLevel;
use crate::secret::Secret;

/// Why there is no successor. Its word goes to log and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpgradeRefusal {
    /// Without `server.state_dir` nothing that was spent can be handed over.
    NoStateDir,
    /// This process is the first of a container, which ends with it.
    FirstProcess,
    /// The process before this one still ends its own requests.
    PredecessorEnds,
    /// The program cannot be started.
    NotStarted,
    /// It has not said in time what it had to.
    TimedOut,
    /// It has ended, or has said something else.
    Ended,
    /// The ledger cannot be written now.
    Ledger,
}

impl UpgradeRefusal {
    /// Every reason.
    pub const ALL: [UpgradeRefusal; 7] = [
        UpgradeRefusal::NoStateDir,
        UpgradeRefusal::FirstProcess,
        UpgradeRefusal::PredecessorEnds,
        UpgradeRefusal::NotStarted,
        UpgradeRefusal::TimedOut,
        UpgradeRefusal::Ended,
        UpgradeRefusal::Ledger,
    ];

    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            UpgradeRefusal::NoStateDir => "no_state_dir",
            UpgradeRefusal::FirstProcess => "first_process",
            UpgradeRefusal::PredecessorEnds => "predecessor_ends",
            UpgradeRefusal::NotStarted => "not_started",
            UpgradeRefusal::TimedOut => "timed_out",
            UpgradeRefusal::Ended => "ended",
            UpgradeRefusal::Ledger => "ledger",
        }
    }
}

/// Bytes of a process's secret: the seed of hashes, then the key of links.
pub const SECRET: usize = 40;

/// What a process says that hands over.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Its ledger.
    pub ledger: LedgerHandover,
    /// The slots that it keeps of each provider's.
    pub slots: Vec<(String, usize)>,
    /// Its secret, [`SECRET`] bytes in hexadecimal: links and names of pictures go on.
    pub secret: Secret,
    /// The version of its config.
    pub version: u64,
    /// What clients used lately of their rates.
    pub client_rates: Vec<RateLevel>,
    /// What was used lately of providers' and models'.
    pub call_rates: Vec<RateLevel>,
}

impl Handover {
    /// The secret.
    pub(super) fn secret_bytes(&self) -> Result<[u8; SECRET], StartError> {
        let mut bytes = [0; SECRET];
        let text = self.secret.reveal();
        for (nth, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * nth..2 * nth + 2);
            *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or(StartError::BadHandover)?;
        }
        Ok(bytes)
    }
}
