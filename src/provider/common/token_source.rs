//! Where a short-lived token comes from, for vendors that take one instead of a key.
//!
//! Data only: `upstream/token/` signs, fetches and keeps. Two sources that are equal give tokens that are as good as
//! each other, which is how a reloaded config goes on with the token it has.

use url::Url;

use crate::secret::Secret;

/// Whom to ask for a token, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// Google's way: a statement signed with a service account's key.
    ServiceAccount {
        /// Who asks.
        client_email: String,
        /// PKCS#8, PEM.
        private_key: Secret,
        /// Which of the account's keys it is.
        key_id: Option<String>,
        /// Whom to ask.
        token_uri: Url,
        /// What the token is to open.
        scope: String,
    },
    /// The machine's own identity, from the cloud's metadata server.
    Metadata {
        /// Whom to ask.
        url: Url,
        /// The header that shows that nobody was led there: its name, lower-case, and its value.
        header: (&'static str, &'static str),
    },
    /// OAuth's client credentials, as Azure's Entra takes them.
    ClientCredentials {
        /// Whom to ask.
        url: Url,
        /// Who asks.
        client_id: String,
        /// The password that goes with it.
        client_secret: Secret,
        /// What the token is to open.
        scope: String,
    },
}
