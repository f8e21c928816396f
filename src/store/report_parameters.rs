//! A report as people ask for it, in words: on the command line, and in the query of `/admin/ledger`.
//!
//! Every word that means nothing is an error that says what would mean something.

use crate::calendar::{Moment, Zone};
use crate::error::Error;
use crate::store::report::{ReportBy, ReportQuery};
use crate::store::settled_queries::Filter;

/// The words, each as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportParameters {
    /// `day,provider,model,route,tenant,source,request,chosen,reason,outcome`, or some of these; empty for one row of all.
    pub by: Option<String>,
    /// A day, or a moment in RFC 3339: from then on.
    pub since: Option<String>,
    /// A day, or a moment in RFC 3339: before it.
    pub until: Option<String>,
    /// A month, `2026-11`, instead of both.
    pub month: Option<String>,
    /// A time zone of IANA's; UTC without.
    pub zone: Option<String>,
    /// Whose rows.
    pub filter: Filter,
}

/// What is grouped by when nobody says.
const USUAL: [ReportBy; 2] = [ReportBy::Provider, ReportBy::Model];

impl ReportParameters {
    /// The names of the parameters, as a query has them.
    pub const NAMES: [&str; 9] = ["by", "since", "until", "month", "zone", "tenant", "route", "provider", "model"];

    /// The parameter of this name.
    pub fn parameter(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "by" => &mut self.by,
            "since" => &mut self.since,
            "until" => &mut self.until,
            "month" => &mut self.month,
            "zone" => &mut self.zone,
            "tenant" => &mut self.filter.tenant,
            "route" => &mut self.filter.route,
            "provider" => &mut self.filter.provider,
            "model" => &mut self.filter.model,
            _ => return None,
        })
    }

    /// What they mean.
    ///
    /// # Errors
    /// The first that means nothing by its name, and what to write.
    pub fn query(self) -> Result<ReportQuery, Error> {
        let zone: Zone = match &self.zone {
            None => Zone::default(),
            Some(name) => name.parse().map_err(|()| none("zone", name, "Europe/Berlin"))?,
        };
        let by = self.by.as_deref().map_or_else(|| Ok(USUAL.to_vec()), columns)?;
        let moment =
            |name: &str, text: &Option<String>| text.as_deref().map(|text| moment(name, text, &zone)).transpose();
        let (mut since, mut until) = (moment("since", &self.since)?, moment("until", &self.until)?);
        if let Some(month) = &self.month {
            if since.is_some() || until.is_some() {
                return Err(Error::invalid("month", "month goes without since and until"));
            }
            let period = zone.month(month).ok_or_else(|| none("month", month, "2026-11"))?;
            (since, until) = (Some(period.start), period.end);
        }
        Ok(ReportQuery { since, until, by, filter: self.filter, zone })
    }
}

fn none(name: &str, text: &str, like: &str) -> Error {
    Error::invalid(name, format!("{name} '{text}' is none, write it like {like}"))
}

fn columns(text: &str) -> Result<Vec<ReportBy>, Error> {
    let mut by = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let Some(column) = ReportBy::ALL.into_iter().find(|by| by.as_str() == word) else {
            let known: Vec<_> = ReportBy::ALL.iter().map(|by| by.as_str()).collect();
            return Err(Error::invalid("by", format!("cannot group by '{word}', only by {}", known.join(", "))));
        };
        if !by.contains(&column) {
            by.push(column);
        }
    }
    Ok(by)
}

fn moment(name: &str, text: &str, zone: &Zone) -> Result<Moment, Error> {
    let like = || format!("{name} '{text}' is no day, write it like 2026-11-25 or 2026-11-25T12:00:00Z");
    zone.midnight(text).or_else(|| text.parse().ok()).ok_or_else(|| Error::invalid(name, like()))
}
