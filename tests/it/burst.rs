//! Two minutes of virtual time in which twenty times the usual traffic comes to three providers. The bench of this name lets an
//! hour pass, and prints it; the traffic, the vendors and the promises are its own.

use std::time::Duration;

use self::decisions::parting;
use self::report::Report;
use self::traffic::Traffic;

#[path = "../../benches/burst/decisions.rs"]
mod decisions;
#[path = "../../benches/burst/drive.rs"]
mod drive;
#[path = "../../benches/burst/report.rs"]
#[allow(dead_code, reason = "the bench prints tables")]
mod report;
#[path = "../../benches/burst/simulation.rs"]
mod simulation;
#[path = "../../benches/burst/traffic.rs"]
mod traffic;
#[path = "../../benches/burst/virtual_vendors.rs"]
mod virtual_vendors;

fn run(seed: u64, burst: u64, with_batch: bool) -> Report {
    let (steady, burst) = (Duration::from_secs(60), Duration::from_secs(burst));
    simulation::run(Traffic { seed, steady, burst, with_batch }).unwrap()
}

#[test]
fn caps_hold_who_is_let_in_is_in_time_all_others_are_told_when_and_a_batch_job_harms_nobody() {
    let (report, without) = (run(14, 120, true), run(14, 120, false));
    let broken = [report.broken(), report.late(), report.harmed_by_batch(&without), without.broken(), without.late()];
    assert_eq!(broken.concat(), [""; 0], "{:#?}", report.lines());
    let drawn: u64 = report.vendors.iter().map(|vendor| vendor.pictures).sum();
    assert!(report.vendors.iter().all(|vendor| vendor.most_in_flight >= 10) && drawn > 2000, "{:#?}", report.lines());
}

#[test]
fn the_same_seed_makes_the_same_decisions_and_another_seed_others() {
    let (one, same, other) = (run(7, 20, true), run(7, 20, true), run(8, 20, true));
    assert_eq!(parting(&one.decisions, &same.decisions), None);
    assert!(parting(&one.decisions, &other.decisions).is_some_and(|(nth, _)| nth < 10));
}
