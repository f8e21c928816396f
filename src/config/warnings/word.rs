//! The words by which warnings are known, in the terminal, in JSON, in the log and on the page of them.

/// What a config does that is allowed and hardly meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// An offer is dearer than every cap that holds on its route.
    OfferOverCap,
    /// So is each offer of a route.
    RouteOverCap,
    /// A client may pay less than the cheapest picture costs.
    ClientOverCap,
    /// A budget is less than one picture costs.
    BudgetBelowPicture,
    /// A price looks like cents.
    DearPrice,
    /// A vendor that charges has a price of nothing.
    FreePrice,
    /// A cap holds nothing, since a lower one always holds before.
    IdleCap,
    /// No row prices what a route fills in.
    DefaultsUnpriced,
    /// No offer draws what a route fills in.
    DefaultsRefused,
    /// A model chooses a size that perhaps no row prices.
    SizeLeftOpen,
    /// Earlier routes together take every request of a route.
    UnreachableRoute,
    /// An earlier route takes every request for a model of a route.
    UnreachableModel,
    /// No client may use a route.
    RouteWithoutClient,
    /// A secret stands in the file.
    LiteralSecret,
    /// A key goes over the network unencrypted.
    KeyInClear,
    /// An address has the path in it that Easel adds.
    EndpointInBaseUrl,
    /// An address lacks the version that such addresses have.
    BaseUrlWithoutVersion,
    /// An address is that of this Easel.
    LeadsToItself,
    /// Links to pictures lead to an address that only this machine reaches.
    LocalLinks,
    /// Nothing names a provider.
    UnusedProvider,
    /// Nothing names a model.
    UnusedModel,
    /// A time cannot run out before a shorter one does.
    IdleTimeout,
    /// Nobody can wait in a queue.
    IdleQueue,
    /// A number of attempts cannot be reached.
    IdleAttempts,
    /// An alert watches what there is none of.
    IdleAlert,
    /// A check of the quality gate cannot work.
    IdleCheck,
    /// Nothing stands behind a key.
    EmptyKey,
    /// Easel knows no such model of this kind.
    UnknownModel,
    /// A vendor shuts a model down soon.
    ModelEnds,
    /// A vendor has shut a model down.
    ModelEnded,
    /// A file or directory cannot be used.
    UnusableFile,
    /// The certificate ends soon, or has ended.
    CertificateEnds,
}

impl Warning {
    /// Every warning, as docs/operate/check.md lists them.
    pub const ALL: [Warning; 32] = [
        Warning::OfferOverCap,
        Warning::RouteOverCap,
        Warning::ClientOverCap,
        Warning::BudgetBelowPicture,
        Warning::DearPrice,
        Warning::FreePrice,
        Warning::IdleCap,
        Warning::DefaultsUnpriced,
        Warning::DefaultsRefused,
        Warning::SizeLeftOpen,
        Warning::UnreachableRoute,
        Warning::UnreachableModel,
        Warning::RouteWithoutClient,
        Warning::LiteralSecret,
        Warning::KeyInClear,
        Warning::EndpointInBaseUrl,
        Warning::BaseUrlWithoutVersion,
        Warning::LeadsToItself,
        Warning::LocalLinks,
        Warning::UnusedProvider,
        Warning::UnusedModel,
        Warning::IdleTimeout,
        Warning::IdleQueue,
        Warning::IdleAttempts,
        Warning::IdleAlert,
        Warning::IdleCheck,
        Warning::EmptyKey,
        Warning::UnknownModel,
        Warning::ModelEnds,
        Warning::ModelEnded,
        Warning::UnusableFile,
        Warning::CertificateEnds,
    ];

    /// The word, the same for ever.
    pub fn as_str(self) -> &'static str {
        match self {
            Warning::OfferOverCap => "offer_over_cap",
            Warning::RouteOverCap => "route_over_cap",
            Warning::ClientOverCap => "client_over_cap",
            Warning::BudgetBelowPicture => "budget_below_picture",
            Warning::DearPrice => "dear_price",
            Warning::FreePrice => "free_price",
            Warning::IdleCap => "idle_cap",
            Warning::DefaultsUnpriced => "defaults_unpriced",
            Warning::DefaultsRefused => "defaults_refused",
            Warning::SizeLeftOpen => "size_left_open",
            Warning::UnreachableRoute => "unreachable_route",
            Warning::UnreachableModel => "unreachable_model",
            Warning::RouteWithoutClient => "route_without_client",
            Warning::LiteralSecret => "literal_secret",
            Warning::KeyInClear => "key_in_clear",
            Warning::EndpointInBaseUrl => "endpoint_in_base_url",
            Warning::BaseUrlWithoutVersion => "base_url_without_version",
            Warning::LeadsToItself => "leads_to_itself",
            Warning::LocalLinks => "local_links",
            Warning::UnusedProvider => "unused_provider",
            Warning::UnusedModel => "unused_model",
            Warning::IdleTimeout => "idle_timeout",
            Warning::IdleQueue => "idle_queue",
            Warning::IdleAttempts => "idle_attempts",
            Warning::IdleAlert => "idle_alert",
            Warning::IdleCheck => "idle_check",
            Warning::EmptyKey => "empty_key",
            Warning::UnknownModel => "unknown_model",
            Warning::ModelEnds => "model_ends",
            Warning::ModelEnded => "model_ended",
            Warning::UnusableFile => "unusable_file",
            Warning::CertificateEnds => "certificate_ends",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_has_a_word_of_its_own() {
        let mut words = Warning::ALL.map(Warning::as_str);
        words.sort_unstable();
        let mut once = words.to_vec();
        once.dedup();
        assert_eq!(once, words);
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
