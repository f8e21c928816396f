//! What Easel's own tests and benches use of the library besides its API, under the paths that it has in src/. It is no
//! promise: it changes whenever they do.

pub mod cache {
    pub use crate::cache::{Asked, CacheLookup, CacheTiers, Freshness, GeneratedPicture, Kept, Looked, PlacedPicture};
}

pub mod calibration {
    pub use crate::calibration::upper_bound;
}

pub mod calendar {
    pub use crate::calendar::{Moment, Per, Zone};
}

pub mod canonical {
    pub use crate::canonical::Canonical;
}

pub mod capabilities {
    pub use crate::capabilities::{FittedRequest, SizeTolerance, Unsupported};
}

pub mod config {
    pub use crate::config::{Warning, loader_schema, preset, presets};

    /// The schema that editors get.
    pub fn schema() -> serde_json::Value {
        crate::config::schema(&crate::gateway::config_loader::kinds())
    }

    pub mod plan {
        pub use crate::config::plan::{
            Account, Brand, Cache, CacheWords, CapabilityOverrides, CheckSet, Credentials, Dialect, EditOverride,
            Model, OnLedgerError, Provider, QualityCheck, QualityGate, QualityThresholds, Rate, SizeFormat, TextModel,
            Via,
        };
    }
}

pub mod disk_cache {
    pub use crate::disk_cache::{
        ContentHash, DiskCache, DiskCacheStats, FAILURES_IN_A_ROW, GoneReason, MOST_PICTURES, OnGone, OpenError,
        PARTS_FOR_ONE, PAUSE, QUEUE_BYTES, READ_TIMEOUT, READERS, RECORD_BYTES, ReadMiss, ReadResult, Record,
        RecordKind, SECRET_LENGTH, SkipReason, WAITING_READS,
    };
}

pub mod edit_mask {
    pub use crate::edit_mask::white;
}

pub mod failure {
    pub use crate::failure::Failure;
}

pub mod gateway {
    pub mod background {
        pub use crate::gateway::background::alerts;
    }

    pub mod feedback {
        pub use crate::gateway::feedback::FeedbackEffect;
    }
}

pub mod image {
    pub use crate::image::{Encoded, Format, Size};
}

pub mod ledger {
    pub use crate::ledger::{Rejections, SpendKind};

    pub mod entry {
        pub use crate::ledger::entry::{CostSource, Delivered, Entry, Owner, Purpose, Settlement};
    }
}

pub mod money {
    pub use crate::money::sum;
}

pub mod prompt_match {
    pub use crate::prompt_match::WordLists;
}

pub mod pricing {
    pub use crate::pricing::{Price, TextTokenPrice, TextTokens};
}

pub mod provider {
    pub use crate::provider::{
        ALL, Adapter, Call, Job, JobResult, PictureSource, Reply, Reported, Step, by_kind, capabilities,
    };

    pub use crate::provider::{ChatReply, ChatRequest, NoText, text};

    pub mod anthropic {
        pub use crate::provider::anthropic::{DEFAULT_BASE_URL, NAME};
    }

    pub mod openai_text {
        pub use crate::provider::openai_text::{
            DEFAULT_BASE_URL, EmbedReply, EmbedRequest, NAME, embed, read_embeddings,
        };
    }
}

pub mod quality {
    pub use crate::quality::{
        Examination, Expected, Fingerprint, QualityFinding, QualityMetrics, QualityVerdict, examine,
    };
}

pub mod request {
    pub use crate::request::{Edit, EditDraft, Feedback, Fidelity, Input, Mask, Verdict};
}

pub mod secret {
    pub use crate::secret::Secret;
}

pub mod multipart {
    pub use crate::server::multipart::fields;
}

pub mod server {
    pub mod log_writer {
        pub use crate::server::log_writer::stream;
    }
}

pub mod store {
    pub use crate::store::{Location, Options, Store, StoreError, Write};

    pub mod report {
        pub use crate::store::report::{Figures, ReportBy, ReportQuery, of_file};
    }
}
