//! `budget:`, `billing:` and `volume:`: limits that mean something, tiers in order.

use crate::calendar::{Per, Zone};
use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Billing, Budget};
use crate::pricing::undelivered::{Charged, Charges};
use crate::pricing::volume_tiers::{VolumePrice, VolumeTier};

/// The budgets written at `at`.
pub(super) fn budgets(checker: &mut Checker<'_>, written: Option<&file::Budgets>, at: NodePath<'_>) -> Vec<Budget> {
    let read: Vec<Option<Budget>> = match written {
        None => Vec::new(),
        Some(file::Budgets::One(one)) => vec![budget(checker, one, at)],
        Some(file::Budgets::Many(many)) => {
            let each = many.iter().enumerate();
            each.map(|(index, one)| budget(checker, one, at.item(index))).collect()
        }
    };
    let budgets: Vec<Budget> = read.into_iter().flatten().collect();
    for (index, one) in budgets.iter().enumerate() {
        if budgets[..index].iter().any(|other| (other.per, &other.zone) == (one.per, &one.zone)) {
            let help = "keep the smaller one".to_owned();
            checker.report(at.item(index), format!("there are two budgets per {} here", one.per.as_str()), help);
        }
    }
    budgets
}

fn budget(checker: &mut Checker<'_>, written: &file::Budget, at: NodePath<'_>) -> Option<Budget> {
    let file::Budget { usd, per, zone } = written;
    if usd.is_none() {
        let help = "add `usd: 300`".to_owned();
        checker.report(at.key("usd"), "this budget has no amount", help);
    }
    let per = match per {
        None | Some(file::Per::Month) => Per::Month,
        Some(file::Per::Day) => Per::Day,
        Some(file::Per::Total) => Per::Total,
    };
    let zone = self::zone(checker, zone.as_ref(), at.key("zone"));
    Some(Budget { usd: checker.read(at.key("usd"), usd.as_ref())?, per, zone })
}

fn zone(checker: &mut Checker<'_>, written: Option<&file::ZoneName>, at: NodePath<'_>) -> Zone {
    checker.read(at, written).unwrap_or_default()
}

/// What is agreed with the vendor at `at`.
pub(super) fn billing(checker: &mut Checker<'_>, written: &file::Billing, at: NodePath<'_>) -> Billing {
    let file::Billing {
        zone,
        volume: written_volume,
        committed_usd_per_month,
        reserved_usd_per_month,
        active,
        charges: written_charges,
    } = written;
    let reserved = checker.read(at.key("reserved_usd_per_month"), reserved_usd_per_month.as_ref());
    if active.is_some() && reserved_usd_per_month.is_none() {
        let help = "add `reserved_usd_per_month: 200`, or delete it".to_owned();
        checker.report(at.key("active"), "`active` means nothing without a reservation", help);
    }
    let tiers = at.key("volume");
    for (index, tier) in written_volume.iter().enumerate() {
        if tier.usd.is_some() {
            let help = "write it under one model, or `discount: 10%` here".to_owned();
            checker.report(tiers.item(index).key("usd"), "all models of a provider have no price in common", help);
        }
    }
    Billing {
        zone: self::zone(checker, zone.as_ref(), at.key("zone")),
        volume: volume(checker, written_volume, tiers),
        committed: checker.read(at.key("committed_usd_per_month"), committed_usd_per_month.as_ref()),
        reserved: reserved.filter(|_| *active != Some(false)),
        charges: charges(written_charges),
    }
}

fn charges(written: &file::Charges) -> Charges {
    let file::Charges { refused, rejected, failed, abandoned } = written;
    let charged = |written: &Option<file::Charged>| {
        written.map(|charged| match charged {
            file::Charged::No => Charged::No,
            file::Charged::Yes => Charged::Yes,
            file::Charged::Maybe => Charged::Maybe,
        })
    };
    Charges {
        refused: charged(refused),
        rejected: charged(rejected),
        failed: charged(failed),
        abandoned: charged(abandoned),
    }
}

/// Volume tiers, by the number of pictures they begin at.
pub(super) fn volume(checker: &mut Checker<'_>, written: &[file::VolumeTier], at: NodePath<'_>) -> Vec<VolumeTier> {
    let mut tiers: Vec<VolumeTier> = Vec::new();
    for (index, tier) in written.iter().enumerate() {
        let place = at.item(index);
        let Some(tier) = self::tier(checker, tier, place) else { continue };
        if tiers.iter().any(|other| other.from == tier.from) {
            checker.report(place.key("from"), "another tier begins there", "delete one of the two".to_owned());
        }
        tiers.push(tier);
    }
    tiers.sort_by_key(|tier| tier.from);
    tiers
}

fn tier(checker: &mut Checker<'_>, written: &file::VolumeTier, at: NodePath<'_>) -> Option<VolumeTier> {
    let file::VolumeTier { from, usd, discount } = written;
    if from.is_none() {
        let help = "add `from: 100000`, pictures charged before in the same month".to_owned();
        checker.report(at.key("from"), "this tier does not say where it begins", help);
    }
    let price = match (usd, discount) {
        (Some(usd), None) => checker.read(at.key("usd"), Some(usd)).map(VolumePrice::Flat),
        (None, Some(off)) => checker.read(at.key("discount"), Some(off)).map(VolumePrice::Discount),
        _ => {
            let help = "write either `usd: 0.005` or `discount: 10%`".to_owned();
            checker.report(at, "a tier has one price", help);
            None
        }
    };
    if let Some(VolumePrice::Discount(ppm)) = price
        && ppm > 1_000_000
    {
        checker.report(at.key("discount"), "is more than everything", "write at most 100%".to_owned());
        return None;
    }
    Some(VolumeTier { from: (*from)?, price: price? })
}
