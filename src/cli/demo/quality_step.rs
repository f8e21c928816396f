//! The step of the demo that shows the quality gate: a cheap model whose every other picture is black, a premium model for
//! what is rejected, and a page with what an accepted picture costs by each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli;
use crate::cli::contact_sheet::{self, FileVerdict, SheetCard, SheetCount, SheetHead, SheetPicture};
use crate::cli::demo::{DemoSetup, not_writable};
use crate::ledger::sliding_window::{Dimension, cost_per_accepted};
use crate::money::Usd;
use crate::sandbox::{Mode, Name};

/// The directory of the rejected pictures, in that of the demo's pictures.
pub(super) const REJECTED: &str = "rejected";
/// Two black pictures take some kilobytes; those of somebody who plays on take more.
pub(super) const AT_MOST: u64 = 20 << 20;

/// The route of `conf/demo.yaml`.
const ROUTE: &str = "gated";
/// Its model that is cheap by the picture and not by the accepted picture.
const CHEAP: &str = "stability/stable-diffusion-xl-1024-v1-0";
/// Requests that are sent; half of what the cheap model draws for them is black.
const REQUESTS: u64 = 4;
/// Twice 0.009: half of what is paid for is accepted.
const CHEAP_COST: Usd = Usd::from_nanos(18_000_000);
const HOUR: Duration = Duration::from_secs(3600);
/// How long the rejected pictures are waited for, which are written beside everything else.
const WRITTEN: Duration = Duration::from_secs(10);

/// A picture that was delivered.
struct Accepted {
    file: PathBuf,
    /// Who drew it, and what the request cost.
    about: String,
}

impl DemoSetup {
    /// Draws, tells and shows.
    pub(super) async fn half_rejected(&self) -> Result<(), String> {
        cli::say(format!("\n4. Half of what {CHEAP} draws is black, and the quality gate looks"));
        let mut accepted = Vec::new();
        for number in 1..=REQUESTS {
            let mode = if number % 2 == 1 { Mode::Blank } else { Mode::Normal };
            self.sandbox.set(Name::Stability, |vendor| vendor.mode = mode);
            let answer = self.send_request(ROUTE, &format!("a coffee cup on a wooden table, view {number}")).await?;
            let file = self.save(&answer, &format!("accepted-{number}")).await?;
            let (served_by, cost) = (answer.header("x-easel-served-by"), answer.header("x-easel-cost-usd"));
            let rejected = if answer.header("x-easel-attempts") == "2" { ", after one that was rejected" } else { "" };
            let about = format!("{served_by} for {cost} USD{rejected}");
            cli::say(format!("   picture {number}  {about}"));
            accepted.push(Accepted { file, about });
        }
        let ledger = &self.gateway.shared.ledger;
        let now = self.gateway.shared.clock.now();
        let (cheap, route) = (ledger.on_route(ROUTE, CHEAP, HOUR, now), ledger.sum(Dimension::Route, ROUTE, HOUR, now));
        let cost = |sum| cost_per_accepted(sum).ok_or("nothing was accepted");
        let (cheap_cost, route_cost) = (cost(&cheap)?, cost(&route)?);
        let costs = [
            format!("an accepted picture of {CHEAP} costs {cheap_cost} USD; its price is 0.009"),
            format!("the route delivered {} of {REQUESTS}, each for {route_cost} USD", route.accepted),
        ];
        costs.iter().for_each(|line| cli::say(format!("   {line}")));
        if (cheap_cost, route.accepted) != (CHEAP_COST, REQUESTS) {
            return Err(format!(
                "{} of {REQUESTS} came, and an accepted picture cost {cheap_cost} USD",
                route.accepted
            ));
        }
        self.rejected_written(cheap.rejected).await?;
        let page = self.out.join("quality.html");
        let text = self.page(&accepted, &costs)?;
        std::fs::write(&page, text).map_err(|error| not_writable(&self.out, &error))?;
        cli::say(format!("   page       {}", page.display()));
        Ok(())
    }

    /// Waits until so many rejected pictures lie in their directory.
    async fn rejected_written(&self, pictures: u64) -> Result<(), String> {
        let kept = self.gateway.shared.metrics.rejected_files.with_label_values(&["kept"]);
        let written = async {
            while kept.get() < pictures {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(WRITTEN, written).await;
        waited.map_err(|_| format!("the rejected pictures were not written to '{}'", self.out.join(REJECTED).display()))
    }

    /// The page: both costs, and every picture.
    fn page(&self, accepted: &[Accepted], costs: &[String]) -> Result<String, String> {
        let dir = self.out.join(REJECTED);
        let entries = std::fs::read_dir(&dir).map_err(|error| not_writable(&dir, &error))?;
        let mut rejected: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_png(path)).collect();
        rejected.sort();
        let counts = [
            SheetCount { verdict: FileVerdict::Rejected, files: rejected.len() },
            SheetCount { verdict: FileVerdict::Accepted, files: accepted.len() },
        ];
        let title = "What an accepted picture costs";
        let mut text = contact_sheet::head(&SheetHead { title, counts: &counts, notes: costs, limits: &[] });
        for file in &rejected {
            text += &card(
                file,
                &format!("{REJECTED}/{}", name(file)),
                FileVerdict::Rejected,
                &format!("{CHEAP} for 0.009 USD"),
            );
        }
        for Accepted { file, about } in accepted {
            text += &card(file, &name(file), FileVerdict::Accepted, about);
        }
        Ok(text + contact_sheet::END)
    }
}

fn card(file: &Path, link: &str, verdict: FileVerdict, about: &str) -> String {
    let said = if verdict == FileVerdict::Rejected { "rejected: blank" } else { "accepted" };
    let picture = SheetPicture::Linked(link.to_owned());
    contact_sheet::card(&SheetCard { name: &name(file), picture, about, verdict, said, numbers: &[] })
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "png")
}

fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
