//! The page for people on call: what a picture costs now, why one cost what it did, and whether anything is about to break.
//!
//! It is drawn whole by the server and can be read without a script; a small one brings it up to date. It loads nothing
//! from elsewhere, and what it shows is looked up in [`facts`], in the ledger's own figures.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Semaphore;

use crate::admin::dashboard::facts::LastSums;
use crate::admin::requests::RequestStory;
use crate::calendar::Zone;
use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;

mod chart;
mod config_panel;
mod facts;
mod money_panel;
mod page;
mod pieces;
mod provider_panel;
mod request_panel;

/// What the page may load and do: its own style, script and pictures, and itself again.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The path of a page about one request, before its id.
const REQUEST: &str = "/requests/";

/// The path of a picture in small, before its id.
const PICTURE: &str = "/pictures/";

/// The longest name of a time zone; the longest that there is has 30 characters.
const LONGEST_ZONE: usize = 64;

/// What is served for people.
pub enum Served {
    /// A page.
    Page(StatusCode, String),
    /// What a page loads: its media type and text.
    Asset(&'static str, &'static str),
    /// A picture in small, as a PNG.
    Picture(Bytes),
}

/// Draws the page. It remembers the sums that it read last.
#[derive(Default)]
pub struct Dashboard {
    sums: Arc<LastSums>,
}

impl Dashboard {
    /// Has the ledger read before somebody asks for the page. Nobody waits for that.
    pub fn read_ahead(&self, gateway: &Arc<Gateway>) {
        let (sums, gateway) = (self.sums.clone(), gateway.clone());
        drop(tokio::task::spawn_blocking(move || sums.read_ahead(&gateway)));
    }

    /// Whether `path` is of the page or of what it loads.
    pub fn has(path: &str) -> bool {
        matches!(path, "/" | "/dashboard.css" | "/dashboard.js" | "/dashboard.svg")
            || path.starts_with(REQUEST)
            || path.starts_with(PICTURE)
    }

    /// What is at `path`, which [`Dashboard::has`]. A page that is drawn has one of `turns` until the ledger is read for it.
    ///
    /// # Errors
    /// When the query means nothing, or the ledger cannot be read.
    pub async fn serve(
        &self,
        gateway: &Arc<Gateway>,
        (path, query): (&str, &str),
        turns: &'static Semaphore,
    ) -> Result<Served, Error> {
        match path {
            "/dashboard.css" => Ok(Served::Asset("text/css; charset=utf-8", include_str!("dashboard/style.css"))),
            "/dashboard.svg" => Ok(Served::Asset("image/svg+xml", include_str!("dashboard/icon.svg"))),
            "/dashboard.js" => {
                Ok(Served::Asset("text/javascript; charset=utf-8", include_str!("dashboard/refresh.js")))
            }
            path if path.starts_with(PICTURE) => picture(gateway, path).await,
            path => {
                let id = path.strip_prefix(REQUEST).map(str::to_owned);
                let (gateway, sums, zone) = (gateway.clone(), self.sums.clone(), zone(query)?);
                let turn = turns.acquire().await;
                let drawn = tokio::task::spawn_blocking(move || {
                    // It goes on if whoever asked is gone, and so does its turn.
                    let _turn = turn;
                    match id {
                        Some(id) => story(&gateway, &id),
                        None => overview(&gateway, &sums, zone),
                    }
                });
                drawn.await.unwrap_or_else(|error| {
                    log::error!("the page was not drawn: {error}");
                    Err(Error::new(ErrorKind::Internal, "the page was not drawn"))
                })
            }
        }
    }
}

/// A picture in small: `/pictures/ID.png`.
async fn picture(gateway: &Gateway, path: &str) -> Result<Served, Error> {
    let max_pixels = gateway.snapshot().plan.quality.max_pixels;
    let small = match path.strip_prefix(PICTURE).and_then(|name| name.strip_suffix(".png")) {
        Some(id) => gateway.shared.recent_pictures.small(id, max_pixels).await,
        None => None,
    };
    let gone = || Error::new(ErrorKind::FileNotFound, "This picture is not shown, or not any more.");
    small.map(Served::Picture).ok_or_else(gone)
}

fn overview(gateway: &Gateway, sums: &LastSums, zone: Zone) -> Result<Served, Error> {
    let unreadable = |error: crate::store::StoreError| {
        Error::new(ErrorKind::Unavailable, error.to_string()).with_code("ledger_unreadable")
    };
    let facts = facts::collect(gateway, sums, zone).map_err(unreadable)?;
    Ok(Served::Page(StatusCode::OK, page::overview(&facts)))
}

fn story(gateway: &Gateway, id: &str) -> Result<Served, Error> {
    match RequestStory::of(gateway, id) {
        Ok(story) => Ok(Served::Page(StatusCode::OK, page::story(id, Ok(&story)))),
        Err(error) if error.kind == ErrorKind::Unavailable => Err(error),
        Err(error) => Ok(Served::Page(StatusCode::NOT_FOUND, page::story(id, Err(&error.message)))),
    }
}

/// Whose days, of `zone=Europe/Berlin`.
fn zone(query: &str) -> Result<Zone, Error> {
    let mut zone = Zone::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "zone" {
            let message = format!("'{name}' means nothing here, only zone");
            return Err(Error::invalid(&*name, message).with_code("unknown_parameter"));
        }
        let known = (value.len() <= LONGEST_ZONE).then(|| value.parse().ok()).flatten();
        zone = known.ok_or_else(|| Error::invalid("zone", "zone is the name of a time zone, like Europe/Berlin"))?;
    }
    Ok(zone)
}
