//! `dialect:`: how an OpenAI-compatible server differs from OpenAI (PROVIDERS.md 8.5).

use url::Url;

use crate::config::check::Checker;
use crate::config::file;
use crate::config::place::Place;
use crate::config::plan::{Dialect, SizeFormat};
use crate::config::suggest::instead;

/// The names Easel sends fields under before `rename` and `drop`: OpenAI's, its own two extensions, the three a
/// size may be written as, and the three of an edit.
const FIELDS: [&str; 21] = [
    "prompt",
    "model",
    "n",
    "size",
    "width",
    "height",
    "aspect_ratio",
    "quality",
    "response_format",
    "output_format",
    "output_compression",
    "background",
    "moderation",
    "style",
    "complexity",
    "seed",
    "negative_prompt",
    "user",
    "image",
    "mask",
    "input_fidelity",
];

pub(super) fn dialect(
    checker: &mut Checker<'_>,
    dialect: &file::Dialect,
    at: Place<'_>,
    base_url: Option<&Url>,
) -> Dialect {
    let file::Dialect {
        path,
        edit_path,
        auth_header,
        auth_prefix,
        rename,
        drop,
        constants,
        size,
        response_format,
        list,
        base64,
        url,
        cost_header,
    } = dialect;
    let default = Dialect::default();
    for (field, theirs) in rename {
        known_field(checker, at.key("rename").name(field), field);
        checker.text(at.key("rename").key(field), Some(theirs));
    }
    for (index, field) in drop.iter().enumerate() {
        known_field(checker, at.key("drop").item(index), field);
    }
    let path = path.as_deref().and_then(|path| self::path(checker, at.key("path"), path, base_url));
    let edit_path = edit_path.as_deref().and_then(|path| self::path(checker, at.key("edit_path"), path, base_url));
    let mut word = |key: &str, written: Option<&str>, default: String| {
        checker.text(at.key(key), written).map_or(default, |text| text.trim_matches('.').to_owned())
    };
    let (list, base64, url) = (
        word("list", list.as_deref(), default.list),
        word("base64", base64.as_deref(), default.base64),
        word("url", url.as_deref(), default.url),
    );
    let response_format = match response_format.as_deref() {
        Some("none") => None,
        written => checker.text(at.key("response_format"), written).or(default.response_format),
    };
    Dialect {
        path: path.unwrap_or(default.path),
        edit_path,
        auth: auth(checker, auth_header.as_deref(), auth_prefix.as_deref(), at),
        rename: rename.clone(),
        drop: drop.iter().cloned().collect(),
        constants: constants.clone(),
        size: size.map_or(default.size, size_format),
        response_format,
        list,
        base64,
        url,
        cost_header: checker.header_name(at.key("cost_header"), cost_header.as_deref()),
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

fn known_field(checker: &mut Checker<'_>, place: Place<'_>, field: &str) {
    if !FIELDS.contains(&field) {
        let help = if place.is_expanded() { None } else { instead(field, FIELDS, "the fields are") };
        checker.report(place, format!("Easel sends no field {}", place.shown()), help);
    }
}

/// A path below `base_url`, without a slash in front. The key must not travel to another host through it.
fn path(checker: &mut Checker<'_>, at: Place<'_>, written: &str, base_url: Option<&Url>) -> Option<String> {
    let path = checker.text(at, Some(written))?.trim_start_matches('/').to_owned();
    let below = |base: &Url| base.join(&path).is_ok_and(|url| url.as_str().starts_with(base.as_str()));
    if path.is_empty() || base_url.is_some_and(|base| !below(base)) {
        let help = "write it like images/generations".to_owned();
        checker.report(at, format!("{} is not a path below `base_url`", at.shown()), help);
        return None;
    }
    Some(path)
}

/// The header that carries the key and what stands before the key, the space between included: YAML drops a space at
/// the end of an unquoted text, so nobody is asked to write one.
fn auth(checker: &mut Checker<'_>, header: Option<&str>, prefix: Option<&str>, at: Place<'_>) -> (String, String) {
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
