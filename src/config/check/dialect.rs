//! `dialect:`: how an OpenAI-compatible server differs from OpenAI (PROVIDERS.md 8.5).

use std::collections::BTreeMap;

use url::Url;

use crate::config::check::checker::Checker;
use crate::config::check::dialect_paths::place_in;
use crate::config::check::{dialect_paths, poll};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{CapabilityOverrides, CostUnit, Dialect, EditAs, EditOverride, SizeFormat};
use crate::config::suggest::instead;
use crate::pricing::{Meter, Price};
use crate::request::SENT_FIELDS;
use crate::secret::Secret;

pub(super) fn dialect(
    checker: &mut Checker<'_>,
    written: &file::Dialect,
    at: NodePath<'_>,
    base_url: Option<&Url>,
) -> Dialect {
    renamed_and_dropped(checker, written, at);
    let file::Dialect { path, edit_path, list, base64, url, cost_header, cost_at, .. } = written;
    let default = Dialect::default();
    let below = |checker: &mut Checker<'_>, key: &str, path: &Option<String>| {
        path.as_deref().and_then(|path| dialect_paths::path(checker, at.key(key), path, base_url))
    };
    let place =
        |checker: &mut Checker<'_>, key: &str, path: &Option<String>| place_in(checker, at.key(key), path.as_deref());
    let edit_path = below(checker, "edit_path", edit_path);
    told_where(checker, written, at, edit_path.is_some());
    let auth = auth(checker, written.auth_header.as_deref(), written.auth_prefix.as_deref(), at);
    Dialect {
        path: below(checker, "path", path).unwrap_or(default.path),
        edit_path,
        edit_as: written.edit_as.map_or(default.edit_as, edit_as),
        headers: headers(checker, &written.headers, &auth.0, at.key("headers")),
        auth,
        rename: written.rename.clone(),
        drop: written.drop.iter().cloned().collect(),
        constants: written.constants.clone(),
        size: written.size.map_or(default.size, size_format),
        response_format: response_format(checker, written, default.response_format, at),
        list: place(checker, "list", list).unwrap_or(default.list),
        base64: place(checker, "base64", base64).unwrap_or(default.base64),
        url: place(checker, "url", url).unwrap_or(default.url),
        cost_header: checker.header_name(at.key("cost_header"), cost_header.as_deref()),
        cost_at: place(checker, "cost_at", cost_at),
        cost_unit: written.cost_unit.map_or(default.cost_unit, cost_unit),
        poll: written.poll.as_ref().and_then(|poll| poll::poll(checker, poll, at.key("poll"), base_url)),
    }
}

/// The `response_format` that is sent; `none` sends none.
fn response_format(
    checker: &mut Checker<'_>,
    written: &file::Dialect,
    default: Option<String>,
    at: NodePath<'_>,
) -> Option<String> {
    match written.response_format.as_deref() {
        Some("none") => None,
        word => checker.text(at.key("response_format"), word).or(default),
    }
}

/// Notes fields that Easel does not send, and new names that are none.
fn renamed_and_dropped(checker: &mut Checker<'_>, written: &file::Dialect, at: NodePath<'_>) {
    for (field, theirs) in &written.rename {
        known_field(checker, at.key("rename").name(field), field);
        checker.text(at.key("rename").key(field), Some(theirs));
    }
    for (index, field) in written.drop.iter().enumerate() {
        known_field(checker, at.key("drop").item(index), field);
    }
}

/// Notes how something is done that is done nowhere.
fn told_where(checker: &mut Checker<'_>, written: &file::Dialect, at: NodePath<'_>, edits: bool) {
    let file::Dialect { edit_as, cost_header, cost_at, cost_unit, .. } = written;
    if edit_as.is_some() && !edits {
        let help = "add `edit_path`, the endpoint below base_url".to_owned();
        checker.report(at.key("edit_as"), "nothing says where pictures are changed", help);
    }
    if cost_unit.is_some() && cost_header.is_none() && cost_at.is_none() {
        let help = "add `cost_at` or `cost_header`".to_owned();
        checker.report(at.key("cost_unit"), "nothing says where the price of a call is told", help);
    }
}

/// Headers that a vendor wants besides the key. Those that carry the request are written by who sends it.
fn headers(
    checker: &mut Checker<'_>,
    headers: &BTreeMap<String, file::HeaderText>,
    auth: &str,
    at: NodePath<'_>,
) -> Vec<(String, Secret)> {
    const TAKEN: [&str; 7] =
        ["accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent"];
    let mut read = Vec::new();
    for (name, value) in headers {
        let known = checker.header_name(at.name(name), Some(name));
        if let Some(known) = known.as_deref().filter(|known| TAKEN.contains(known) || *known == auth) {
            let help = if known == auth { "write `api_key`, `auth_header` and `auth_prefix`" } else { "delete it" };
            checker.report(at.name(name), format!("Easel writes the header {known} by itself"), help.to_owned());
        }
        let value = checker.header_value(at.key(name), Some(value.0.reveal())).map(Secret::new);
        read.extend(known.zip(value));
    }
    read
}

fn edit_as(written: file::EditAs) -> EditAs {
    match written {
        file::EditAs::Form => EditAs::Form,
        file::EditAs::Json => EditAs::Json,
        file::EditAs::JsonList => EditAs::JsonList,
    }
}

fn cost_unit(written: file::CostUnit) -> CostUnit {
    match written {
        file::CostUnit::Usd => CostUnit::Usd,
        file::CostUnit::Cents => CostUnit::Cents,
        file::CostUnit::Units => CostUnit::Units,
    }
}

/// Notes a price that is to be told by answers which tell none.
pub(super) fn tells_price(checker: &mut Checker<'_>, dialect: &Dialect, price: &Price, at: NodePath<'_>) {
    let told = dialect.cost_header.is_some() || dialect.cost_at.is_some();
    if price.meter == Some(Meter::Reported) && !told {
        let help = "add `dialect: {cost_header: x-litellm-response-cost}`, or `cost_at:`".to_owned();
        checker.report(at.key("reported"), "nothing says where the price of a call is told", help);
    }
}

/// What is said of a model must be something that this dialect can ask for.
pub(super) fn promises(checker: &mut Checker<'_>, dialect: &Dialect, able: &CapabilityOverrides, at: NodePath<'_>) {
    let some = |list: Option<bool>| list == Some(true);
    let stated = [
        ("seed", some(able.seed), "seed"),
        ("negative_prompt", some(able.negative_prompt), "negative_prompt"),
        ("style", some(able.style), "style"),
        ("compression", some(able.compression), "output_compression"),
        ("transparent", some(able.transparent), "background"),
        ("max_n", able.max_n.is_some_and(|n| n > 1), "n"),
        ("formats", able.formats.as_ref().is_some_and(|formats| !formats.is_empty()), "output_format"),
        ("qualities", able.qualities.as_ref().is_some_and(|words| !words.is_empty()), "quality"),
    ];
    for (key, promised, field) in stated {
        if promised && dialect.drop.contains(field) {
            let help = format!("take `{field}` out of the dialect's `drop`, or delete this");
            checker.report(at.key(key), format!("the dialect drops `{field}`, so it cannot be asked for"), help);
        }
    }
    if able.partials == Some(true) && dialect.poll.is_some() {
        let help = "delete one of the two".to_owned();
        checker.report(at.key("partials"), "a job that is polled has no stream to show unfinished pictures in", help);
    }
    if matches!(able.edit, Some(EditOverride::Within { .. })) && dialect.edit_path.is_none() {
        let help = "add `edit_path: images/edits` to the dialect, or delete this".to_owned();
        checker.report(at.key("edit"), "the dialect has no `edit_path`, so no picture can be changed", help);
    }
}

fn size_format(written: file::SizeFormat) -> SizeFormat {
    match written {
        file::SizeFormat::WidthXHeight => SizeFormat::WidthXHeight,
        file::SizeFormat::WidthStarHeight => SizeFormat::WidthStarHeight,
        file::SizeFormat::TwoFields => SizeFormat::TwoFields,
        file::SizeFormat::AspectRatio => SizeFormat::AspectRatio,
        file::SizeFormat::Omit => SizeFormat::Omit,
    }
}

fn known_field(checker: &mut Checker<'_>, place: NodePath<'_>, field: &str) {
    if !SENT_FIELDS.contains(&field) {
        let help = if place.is_expanded() { None } else { instead(field, SENT_FIELDS, "the fields are") };
        checker.report(place, format!("Easel sends no field {}", place.shown()), help);
    }
}

/// The header that carries the key and what stands before the key, the space between included: YAML drops a space at
/// the end of an unquoted text, so nobody is asked to write one.
fn auth(checker: &mut Checker<'_>, header: Option<&str>, prefix: Option<&str>, at: NodePath<'_>) -> (String, String) {
    let (usual_header, usual_prefix) = Dialect::default().auth;
    let header = checker.header_name(at.key("auth_header"), header).unwrap_or_else(|| usual_header.clone());
    let prefix = match prefix {
        None if header == usual_header => usual_prefix,
        None | Some("") => String::new(),
        Some(prefix) => {
            let prefix = checker.header_value(at.key("auth_prefix"), Some(prefix)).unwrap_or_default();
            if prefix.ends_with(|c: char| c.is_ascii_alphanumeric()) { format!("{prefix} ") } else { prefix }
        }
    };
    (header, prefix)
}
