//! Reads single values of the config and notes what is wrong with them.

use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::config::file::{Percent, Time};
use crate::config::node_path::NodePath;
use crate::config::report::{Finding, Findings};
use crate::config::units::ConfigUnit;

/// Reads single values and notes what is wrong with them.
pub(super) struct Checker<'a> {
    pub(super) findings: &'a mut Findings,
}

impl Checker<'_> {
    /// Notes that something is wrong at `place`, unless something is known to be.
    pub(super) fn report(&mut self, place: NodePath<'_>, what: impl Into<String>, help: impl Into<Option<String>>) {
        if !place.is_bad() {
            self.findings.add(Finding::new(place.span(), what, help.into().as_deref()));
        }
    }

    /// The value a text stands for; `None` when there is none or it is wrong.
    pub(super) fn read<W: ConfigUnit>(&mut self, place: NodePath<'_>, written: Option<&W>) -> Option<W::Value> {
        let wrong = match written?.read() {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        let help = match wrong.instead.as_slice() {
            // What came from outside the file is not repeated, not even as a suggestion.
            [_, ..] if place.is_expanded() => W::RULE.to_owned(),
            [] => W::RULE.to_owned(),
            [instead] => format!("write `{instead}`"),
            several => {
                let several: Vec<String> = several.iter().map(|instead| format!("`{instead}`")).collect();
                format!("write {}, whichever is meant", several.join(" or "))
            }
        };
        self.report(place, format!("{} {}", place.shown(), wrong.what), help);
        None
    }

    /// A time that may be zero.
    pub(super) fn time(&mut self, place: NodePath<'_>, written: Option<&Time>, default: Duration) -> Duration {
        self.read(place, written).unwrap_or(default)
    }

    /// A time that must not be zero.
    pub(super) fn some_time(&mut self, place: NodePath<'_>, written: Option<&Time>, default: Duration) -> Duration {
        let time = self.time(place, written, default);
        if time.is_zero() {
            self.report(place, "must be longer than nothing", Time::RULE.to_owned());
        }
        time
    }

    /// A part of a whole, in parts per million; `None` is all of it.
    pub(super) fn share(&mut self, place: NodePath<'_>, written: Option<&Percent>) -> Option<u32> {
        let ppm = self.read(place, written)?;
        if !(1..=1_000_000).contains(&ppm) {
            self.report(place, "must be more than 0% and at most 100%", None);
        }
        Some(ppm).filter(|ppm| *ppm < 1_000_000)
    }

    /// A count of at least `least` that fits in `T`.
    pub(super) fn count<T: TryFrom<u64>>(
        &mut self,
        place: NodePath<'_>,
        written: Option<u64>,
        least: u64,
        default: T,
    ) -> T {
        let Some(count) = written else { return default };
        if count < least {
            self.report(place, format!("must be at least {least}"), None);
            return default;
        }
        T::try_from(count).unwrap_or_else(|_| {
            self.report(place, "is too large a number", None);
            default
        })
    }

    /// A text that must not be blank.
    pub(super) fn text(&mut self, place: NodePath<'_>, written: Option<&str>) -> Option<String> {
        let text = written?;
        if text.trim().is_empty() {
            let what = if place.is_expanded() { "what this refers to is empty" } else { "must not be empty" };
            self.report(place, what, None);
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that goes into a header's value.
    pub(super) fn header_value(&mut self, place: NodePath<'_>, written: Option<&str>) -> Option<String> {
        let text = self.text(place, written)?;
        if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Some(text);
        }
        let what = "has characters that cannot be sent in a header";
        self.report(place, what, "write it in plain ASCII, on one line".to_owned());
        None
    }

    /// A header's name, lower-case.
    pub(super) fn header_name(&mut self, place: NodePath<'_>, written: Option<&str>) -> Option<String> {
        let text = self.text(place, written)?;
        match HeaderName::try_from(text.as_str()) {
            Ok(name) => Some(name.as_str().to_owned()),
            Err(_) => {
                self.report(place, format!("{} is not the name of a header", place.shown()), None);
                None
            }
        }
    }

    /// A name of the user's choice: it stands in metrics, headers and `provider/model`.
    pub(super) fn name(&mut self, place: NodePath<'_>, name: &str) -> bool {
        let mut bytes = name.bytes();
        let good = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if !good {
            let help = "use lower-case letters, digits, `-` and `_`, beginning with a letter or a digit";
            self.report(place, format!("{} is not a usable name", place.shown()), help.to_owned());
        }
        good
    }

    /// An http or https address without user name, query or fragment.
    pub(super) fn url(&mut self, place: NodePath<'_>, written: Option<&str>) -> Option<Url> {
        let text = self.text(place, written)?;
        let shown = place.shown();
        let Ok(url) = Url::parse(&text) else {
            // A name without a scheme, as browsers let people write it.
            let whole = format!("https://{text}");
            let named = text.contains('.') && !text.contains(|c: char| c.is_whitespace() || c == ':');
            let help = match named && !place.is_expanded() && Url::parse(&whole).is_ok() {
                true => format!("write `{whole}`"),
                false => "write it like https://api.example.com/v1/".to_owned(),
            };
            self.report(place, format!("{shown} is not a URL"), help);
            return None;
        };
        if !matches!(url.scheme(), "http" | "https") {
            let help = match text.contains("://") || place.is_expanded() {
                true => "write it like https://api.example.com/v1/".to_owned(),
                false => format!("write `http://{text}` or `https://{text}`"),
            };
            self.report(place, format!("{shown} is neither http nor https"), help);
            return None;
        }
        let extra = if !url.username().is_empty() || url.password().is_some() {
            "a user name or password"
        } else if url.query().is_some() {
            "a query"
        } else if url.fragment().is_some() {
            "a fragment"
        } else {
            return Some(url);
        };
        self.report(place, format!("this URL must not have {extra}"), None);
        None
    }
}
