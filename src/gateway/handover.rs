//! What a process says that hands over to another.

use crate::gateway::start_and_replace_errors::StartError;
use crate::ledger::LedgerHandover;
use crate::rate_limit::RateLevel;
use crate::secret::Secret;

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
