//! What two processes say to each other while one hands over to the other.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::GeneratedPicture;
use crate::gateway::handover::Handover;
use crate::gateway::picture_head::PictureHead;
use crate::ledger::LedgerHandover;
use crate::ledger::predecessor::SetAside;
use crate::money::Usd;
use crate::rate_limit::RateLevel;
use crate::secret::Secret;

/// The version of these messages. A process that does not know the other's says so and ends, and nothing has changed.
pub const PROTOCOL: u32 = 1;

/// One message, a line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Message {
    /// The old process, first of all; its listening sockets came before.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// `server.listen` as the socket was bound.
        listen: String,
        /// `server.admin`, likewise.
        admin: String,
        /// `server.state_dir`.
        state_dir: PathBuf,
    },
    /// The new process has read its config, and could serve.
    Loaded,
    /// The old process hands over.
    Books(Books),
    /// The new process serves.
    Serving,
    /// A link that the old process has handed out.
    Link(GivenLink),
    /// The old process keeps so many slots of each provider from now on.
    Slots {
        /// Provider and slots.
        slots: Vec<(String, usize)>,
    },
}

/// A picture behind a link.
#[derive(Serialize, Deserialize)]
pub struct GivenLink {
    /// How long the link is good for, in milliseconds.
    pub left_ms: u64,
    head: PictureHead,
    /// The bytes in Base64.
    bytes: String,
}

impl GivenLink {
    /// The picture as it is sent.
    pub fn of(picture: &GeneratedPicture, left: Duration) -> GivenLink {
        let bytes = base64_simd::STANDARD.encode_to_string(picture.picture.encoded.bytes());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        GivenLink { left_ms, head: PictureHead::of(picture), bytes }
    }

    /// The picture. `None` where it makes no sense.
    pub fn picture(self) -> Option<GeneratedPicture> {
        self.head.with(base64_simd::STANDARD.decode_to_vec(self.bytes).ok()?.into())
    }
}

/// [`Handover`] as it is sent.
#[derive(Serialize, Deserialize)]
pub struct Books {
    last_id: i64,
    /// Budgets with nano-dollars.
    set_aside: Vec<(String, i64)>,
    slots: Vec<(String, usize)>,
    secret: String,
    config_version: u64,
    client_rates: Vec<SentRate>,
    call_rates: Vec<SentRate>,
}

/// [`RateLevel`] as it is sent.
#[derive(Serialize, Deserialize)]
struct SentRate {
    who: String,
    images: bool,
    forgiven: bool,
    full_in_us: u64,
}

impl From<&RateLevel> for SentRate {
    fn from(level: &RateLevel) -> SentRate {
        let RateLevel { who, images, forgiven, full_in } = level;
        let full_in_us = u64::try_from(full_in.as_micros()).unwrap_or(u64::MAX);
        SentRate { who: who.clone(), images: *images, forgiven: *forgiven, full_in_us }
    }
}

impl From<SentRate> for RateLevel {
    fn from(sent: SentRate) -> RateLevel {
        let SentRate { who, images, forgiven, full_in_us } = sent;
        RateLevel { who, images, forgiven, full_in: Duration::from_micros(full_in_us) }
    }
}

impl From<&Handover> for Books {
    fn from(handover: &Handover) -> Books {
        let Handover {
            ledger: LedgerHandover { last_id, set_aside },
            slots,
            secret,
            version,
            client_rates,
            call_rates,
        } = handover;
        Books {
            last_id: *last_id,
            set_aside: set_aside.iter().map(|part| (part.budget.clone(), part.usd.nanos())).collect(),
            slots: slots.clone(),
            secret: secret.reveal().to_owned(),
            config_version: *version,
            client_rates: client_rates.iter().map(SentRate::from).collect(),
            call_rates: call_rates.iter().map(SentRate::from).collect(),
        }
    }
}

impl From<Books> for Handover {
    fn from(books: Books) -> Handover {
        let Books { last_id, set_aside, slots, secret, config_version, client_rates, call_rates } = books;
        let set_aside =
            set_aside.into_iter().map(|(budget, nanos)| SetAside { budget, usd: Usd::from_nanos(nanos) }).collect();
        let ledger = LedgerHandover { last_id, set_aside };
        let [client_rates, call_rates] =
            [client_rates, call_rates].map(|rates| rates.into_iter().map(RateLevel::from).collect());
        Handover { ledger, slots, secret: Secret::new(secret), version: config_version, client_rates, call_rates }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives_as_it_was_to_the_last_nano_dollar() {
        let set_aside = vec![SetAside { budget: "client:web/day".into(), usd: Usd::from_nanos(9_007_199_254_740_993) }];
        let (ledger, secret) = (LedgerHandover { last_id: i64::MAX - 1, set_aside }, Secret::new("00ff"));
        let rates = vec![RateLevel {
            who: "web".into(),
            images: true,
            forgiven: false,
            full_in: Duration::from_micros(1_500_001),
        }];
        let sent = Handover {
            ledger: ledger.clone(),
            slots: vec![("a".into(), 3)],
            secret: secret.clone(),
            version: 7,
            client_rates: rates.clone(),
            call_rates: Vec::new(),
        };
        let line = serde_json::to_string(&Message::Books(Books::from(&sent))).unwrap();
        let Message::Books(books) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        let got = Handover::from(books);
        assert_eq!((got.ledger, got.slots, got.version), (ledger, sent.slots, 7));
        assert_eq!((got.client_rates, got.call_rates), (rates, Vec::new()));
        assert!(got.secret == secret);
    }
}
