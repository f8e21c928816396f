//! What the metrics page says.

use super::*;
use crate::config::plan::Dimension;
use crate::ledger::SpendKind;
use crate::ledger::{SpendAccount, Total};
use crate::money::Usd;

#[test]
fn the_scrape_shows_what_an_accepted_picture_costs_now() {
    let ledger = Arc::new(Ledger::default());
    let metrics = Metrics::new(&ledger).unwrap();
    let nanos = Arc::new(std::sync::atomic::AtomicI64::new(12_500_000));
    let told = nanos.clone();
    let costs = move || {
        let usd = Usd::from_nanos(told.load(std::sync::atomic::Ordering::Relaxed));
        let name = "stability".into();
        vec![Cost { by: Dimension::Provider, name, window: "1h", usd: Some(usd), accepted: 7, rejected: 2 }]
    };
    metrics.tell_costs(costs).unwrap();
    let shows = |value: &str| {
        let line = "easel_cost_per_accepted_usd{by=\"provider\",name=\"stability\",window=\"1h\"} ";
        let page = metrics.render(Scrape::default()).unwrap();
        assert!(page.lines().any(|got| got == format!("{line}{value}")), "{page}");
    };
    shows("0.0125");
    let line = "easel_window_images{by=\"provider\",name=\"stability\",verdict=\"rejected\",window=\"1h\"} 2";
    assert!(metrics.render(Scrape::default()).unwrap().lines().any(|got| got == line));
    nanos.store(9_000_000, std::sync::atomic::Ordering::Relaxed);
    shows("0.009");
}

#[test]
fn open_metrics_names_the_last_trace_of_each_bucket_and_is_otherwise_the_same_page() {
    let metrics = Metrics::new(&Arc::new(Ledger::default())).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    metrics.answered(("r", "miss"), Duration::from_millis(1_250), Some("4bf9"), at);
    metrics.answered(("r", "miss"), Duration::from_millis(1_500), Some("4bfa"), at);
    metrics.answered(("r", "miss"), Duration::from_secs(999), Some("4bfb"), at);
    metrics.answered(("r", "miss"), Duration::from_millis(20), None, at);
    metrics.skipped.with_label_values(&["p", "full"]).inc();
    let (text, open) =
        (metrics.render(Scrape::default()).unwrap(), metrics.render_open_metrics(Scrape::default()).unwrap());
    let bucket = |le: &str| format!("easel_request_seconds_bucket{{cache=\"miss\",route=\"r\",le=\"{le}\"}}");
    for line in [
        format!("{} 3 # {{trace_id=\"4bfa\"}} 1.5 1.500", bucket("2")),
        format!("{} 4 # {{trace_id=\"4bfb\"}} 999 1.500", bucket("+Inf")),
        format!("{} 1", bucket("0.025")),
        "# TYPE easel_skipped counter".to_owned(),
        "# HELP easel_skipped Offers not asked.".to_owned(),
        "easel_skipped_total{provider=\"p\",reason=\"full\"} 1".to_owned(),
    ] {
        assert!(open.lines().any(|told| told == line), "{line}\n{open}");
    }
    assert!(open.ends_with("\n# EOF\n") && !text.contains("trace_id"));
    let plain = |page: &str| -> Vec<String> {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(" # ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(plain(&text), plain(&open));
}

#[test]
fn the_scrape_shows_the_ledger_in_dollars() {
    let ledger = Arc::new(Ledger::default());
    let metrics = Metrics::new(&ledger).unwrap();
    let account = SpendAccount { provider: "p".into(), model: "m".into(), kind: SpendKind::Delivered };
    ledger.begin_with(account, Total { pictures: 1, usd: "0.009".parse().unwrap() });
    let text = metrics.render(Scrape::default()).unwrap();
    let line = "easel_spend_usd_total{kind=\"delivered\",model=\"m\",provider=\"p\"} 0.009";
    assert!(text.lines().any(|got| got == line), "{text}");
    assert!(text.contains("easel_build_info{version="), "{text}");
}
