//! What an error of OpenAI's shape means: its words and sentences, and the class of failure each tells.

use crate::config::plan::{Dialect, SizeFormat};
use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::provider::adapter::{Job, Reply};
use crate::provider::common::vendor_error::VendorError;

/// A vendor's words -> what they mean; earlier rows count first (PROVIDERS.md 1.6, 2, 8, 17).
pub(super) const WORDS: &[(&str, Class)] = &[
    ("moderation_blocked", Class::Policy),
    ("content_policy_violation", Class::Policy),
    ("content_moderation", Class::Policy),
    ("contentFilter", Class::Policy),
    ("content_filter", Class::Policy),
    ("ResponsibleAIPolicyViolation", Class::Policy),
    ("data_inspection_failed", Class::Policy),
    ("insufficient_quota", Class::Quota),
    ("billing_hard_limit_reached", Class::Quota),
    ("billing_not_active", Class::Quota),
    ("budget_exceeded", Class::Quota),
    ("insufficient_balance", Class::Quota),
    // SiliconFlow's numbers: no money, told with a 403; no such model; the content.
    ("30001", Class::Quota),
    ("20012", Class::ModelGone),
    ("20015", Class::Policy),
    ("invalid_api_key", Class::Auth),
    ("authentication_error", Class::Auth),
    ("key_model_access_denied", Class::Auth),
    ("team_model_access_denied", Class::Auth),
    ("unsupported_country_region_territory", Class::Auth),
    ("rate_limit_exceeded", Class::RateLimited),
    ("model_not_found", Class::ModelGone),
    ("DeploymentNotFound", Class::ModelGone),
    // The deployment is there, but not of an image model.
    ("OperationNotSupported", Class::ModelGone),
    ("unknown_parameter", Class::AdapterBug),
    ("unsupported_parameter", Class::AdapterBug),
    ("unsupported_value", Class::AdapterBug),
    ("missing_required_parameter", Class::AdapterBug),
    ("extra_forbidden", Class::AdapterBug),
    ("value_error.extra", Class::AdapterBug),
    ("missing", Class::AdapterBug),
    ("value_error.missing", Class::AdapterBug),
    ("json_invalid", Class::AdapterBug),
];

/// Words whose failure reaches otherwise than its class usually does.
pub(super) const REACHES: &[(&str, FailureScope)] = &[
    ("DeploymentNotFound", FailureScope::Model),
    ("key_model_access_denied", FailureScope::Model),
    ("team_model_access_denied", FailureScope::Model),
];

/// Sentences that tell a refusal where no word does.
pub(super) const REFUSALS: &[&str] =
    &["safety system", "content policy", "contentpolicyviolation", "content management policy", "nsfw"];

/// A rate limit that does not go by the model.
pub(super) const OF_ALL_MODELS: &[&str] = &["all models", "across models"];

/// What a vendor's words or sentences say by themselves, whatever the status they come with.
pub fn class_of_words(vendor_error: &VendorError) -> Option<Class> {
    let refused = vendor_error.refuses(200, REFUSALS).then_some(Class::Policy);
    vendor_error.class_by_word(WORDS).or(refused)
}

/// A failure out of what the vendor says.
pub fn failure(job: &Job<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let status = match vendor_error.status_word() {
        Some(inner) if reply.status < 300 => inner,
        _ => reply.status,
    };
    let finding = finding(vendor_error, status);
    vendor_error.failure(finding, job, reply, |field| our_field(&job.account.dialect, field))
}

/// What a vendor says with this status: its words first, then the status, and sentences only where neither tells.
pub(in crate::provider) fn finding(vendor_error: &VendorError, status: u16) -> Classification {
    if let Some(class) = vendor_error.by_word(WORDS, status) {
        let reaches = REACHES.iter().find(|(word, _)| vendor_error.words.iter().any(|said| said == word));
        let finding = Classification::stated(class);
        return reaches.map_or(finding, |(_, scope)| finding.at(*scope));
    }
    if vendor_error.refuses(status, REFUSALS) {
        return Classification::stated(Class::Policy);
    }
    let finding = vendor_error.by_status(status);
    match finding.class {
        // "The model 'x' does not exist" is sometimes a 400, and sometimes one that blames this field.
        Class::CallerInvalid if vendor_error.field.as_deref() == Some("model") => {
            Classification::stated(Class::ModelGone)
        }
        Class::CallerInvalid | Class::ModelGone if vendor_error.misses_the_model() => {
            Classification::stated(Class::ModelGone)
        }
        Class::RateLimited if vendor_error.mentions(OF_ALL_MODELS) => finding.at(FailureScope::Account),
        _ => finding,
    }
}

/// Our name of a field as this dialect spells it.
pub(super) fn our_field(dialect: &Dialect, field: &str) -> Option<String> {
    let last = field.rsplit('.').next().unwrap_or(field);
    let is_theirs = |theirs: &str| theirs == field || theirs.rsplit('.').next() == Some(last);
    let renamed = dialect.rename.iter().find(|(_, theirs)| is_theirs(theirs)).map(|(ours, _)| ours.as_str());
    let ours = match renamed.unwrap_or(last) {
        "width" | "height" if dialect.size == SizeFormat::TwoFields => "size",
        "aspect_ratio" if dialect.size == SizeFormat::AspectRatio => "size",
        "image[]" => "image",
        ours => ours,
    };
    Some(ours.to_owned())
}
