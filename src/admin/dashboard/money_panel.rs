//! What was paid, what an accepted picture cost, and what the cache saved.

use maud::{Markup, html};

use crate::admin::dashboard::chart::{Chart, Line, color_class};
use crate::admin::dashboard::facts::{Facts, MOST_ROWS, cost_line};
use crate::admin::dashboard::pieces::{figure, panel, table, text};
use crate::ledger::counter::Budgeted;
use crate::money::Usd;
use crate::store::report::Figures;

/// Today and this month against the budgets, and the day's curve.
pub fn spend(facts: &Facts) -> Markup {
    let sums = &facts.sums;
    let tiles = [("today", &sums.today), ("month", &sums.month)].map(|(id, figures)| {
        html! {
            div class="tile" {
                h3 { @if id == "today" { "Today" } @else { "This month" } }
                p class="amount" id={ "spend-" (id) } { "$" (figures.usd) }
                dl {
                    dt { "out of commitments" } dd { "$" (figures.prepaid) }
                    dt { "bought nothing" } dd { "$" (figures.lost) }
                    dt { "may be charged besides" } dd { "$" (figures.uncertain) }
                    dt { "per accepted image" } dd id={ "accepted-" (id) } { (per_accepted(figures)) }
                    dt { "accepted" } dd { (figures.accepted) " of " (figures.accepted.saturating_add(figures.rejected)) " (" (acceptance(figures)) ")" }
                }
            }
        }
    });
    let body = html! {
        div class="tiles" { @for tile in &tiles { (tile) } }
        (curve(facts))
        (budgets(&facts.budgets))
    };
    panel("spend", "Spend", &body)
}

fn curve(facts: &Facts) -> Markup {
    let hours = &facts.sums.hours;
    let places: Vec<String> = facts.sums.hour_names.iter().map(|hour| hour_of_day(hour).to_owned()).collect();
    let mut sum = Usd::ZERO;
    let points = facts.sums.hour_names.iter().enumerate().map(|(at, name)| {
        let figures = hours.iter().find(|(hour, _)| hour == name).map(|(_, figures)| figures);
        let spent = figures.map_or(Usd::ZERO, |figures| figures.usd.saturating_add(figures.prepaid));
        sum = sum.saturating_add(spent);
        (at, sum)
    });
    let line = Line { name: "spent".to_owned(), points: points.collect() };
    let rows: Vec<Vec<Markup>> = hours
        .iter()
        .map(|(hour, figures)| {
            vec![text(hour), usd(figures.usd), usd(figures.prepaid), text(figures.attempts), text(figures.accepted)]
        })
        .collect();
    let figures = table("Each hour of today", &["hour", "usd", "prepaid_usd", "attempts", "accepted"], 1..5, &rows);
    let words = format!("Spent today by the hour, commitments included: ${sum} so far.");
    let svg = Chart { places: &places, lines: &[line], limit: None }.svg();
    figure(svg, &words, &[], &figures)
}

/// The hour in `2026-11-25T14:00+01:00`.
fn hour_of_day(hour: &str) -> &str {
    hour.get(11..16).unwrap_or(hour)
}

fn budgets(budgets: &[Budgeted]) -> Markup {
    let rows: Vec<Vec<Markup>> = budgets
        .iter()
        .take(MOST_ROWS)
        .map(|budget| {
            let Budgeted { key, limit, used } = budget;
            let share = used.nanos().max(0).saturating_mul(100).checked_div(limit.nanos()).unwrap_or(100).min(100);
            vec![
                text(&key.scope),
                html! { (key.per.as_str()) " (" (key.zone) ")" },
                usd(*used),
                usd(*limit),
                usd(budget.left()),
                html! { meter min="0" max="100" low="80" high="95" optimum="0" value=(share) aria-label={ "used of the budget of " (key.scope) } {} " " (share) "%" },
            ]
        })
        .collect();
    let titles = ["budget of", "each", "spent or promised", "limit", "left", "used"];
    table("Budgets", &titles, 2..6, &rows)
}

/// What an accepted picture cost each day, by provider, with the line of the alert that watches it.
pub fn accepted_cost(facts: &Facts) -> Markup {
    let places = &facts.sums.day_names;
    let mut lines: Vec<Line> = Vec::new();
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for (day, provider, figures) in &facts.sums.days {
        rows.push(vec![
            text(day),
            text(provider),
            per_accepted(figures),
            usd(figures.usd),
            text(figures.accepted),
            text(figures.rejected),
        ]);
        let (Some(cost), Some(at)) = (figures.cost_per_accepted(), places.iter().position(|place| place == day)) else {
            continue;
        };
        match lines.iter_mut().find(|line| line.name == *provider) {
            Some(line) => line.points.push((at, cost)),
            None => lines.push(Line { name: provider.clone(), points: vec![(at, cost)] }),
        }
    }
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    let limit = cost_line(&facts.snapshot);
    let shown: Vec<String> = places.iter().map(|day| day.get(5..).unwrap_or(day).to_owned()).collect();
    let svg = Chart { places: &shown, lines: &lines, limit }.svg();
    let legend: Vec<(String, String)> =
        lines.iter().enumerate().map(|(nth, line)| (color_class(nth), line.name.clone())).collect();
    let words = match limit {
        Some((name, usd)) => format!("Cost per accepted image by provider and day. The alert {name} watches ${usd}."),
        None => "Cost per accepted image by provider and day. No alert watches it.".to_owned(),
    };
    let titles = ["day", "provider", "cost_per_accepted_usd", "usd", "accepted", "rejected"];
    let days = table("Each day by provider", &titles, 2..6, &rows);
    let body = html! { (figure(svg, &words, &legend, &days)) (models(facts)) };
    panel("accepted", "Cost per accepted image", &body)
}

fn models(facts: &Facts) -> Markup {
    let rows: Vec<Vec<Markup>> = facts
        .sums
        .models
        .iter()
        .take(MOST_ROWS)
        .map(|(provider, model, figures)| {
            vec![
                html! { (provider) "/" (model) },
                per_accepted(figures),
                text(acceptance(figures)),
                text(figures.accepted),
                text(figures.rejected),
                text(figures.attempts),
                usd(figures.usd),
                usd(figures.lost),
                figures.average_ms().map_or_else(|| text("-"), text),
            ]
        })
        .collect();
    let titles = [
        "offer",
        "cost_per_accepted_usd",
        "acceptance",
        "accepted",
        "rejected",
        "attempts",
        "usd",
        "lost_usd",
        "average_ms",
    ];
    table("This month by offer", &titles, 1..9, &rows)
}

/// What the cache saved, by how it found the picture.
pub fn savings(facts: &Facts) -> Markup {
    let rows: Vec<Vec<Markup>> = facts
        .sums
        .tiers
        .iter()
        .map(|(tier, (today, month))| {
            vec![
                text(tier),
                text(today.saved_pictures),
                usd(today.saved_usd),
                text(month.saved_pictures),
                usd(month.saved_usd),
            ]
        })
        .collect();
    let titles = ["tier", "pictures today", "saved today", "pictures this month", "saved this month"];
    let month = &facts.sums.month;
    let body = html! {
        p { "This month the cache served " strong { (month.saved_pictures) } " pictures that would have cost " strong { "$" (month.saved_usd) } "." }
        (table("Saved by tier", &titles, 1..5, &rows))
    };
    panel("savings", "Savings of the cache", &body)
}

fn usd(amount: Usd) -> Markup {
    html! { "$" (amount) }
}

fn per_accepted(figures: &Figures) -> Markup {
    figures.cost_per_accepted().map_or_else(|| text("-"), usd)
}

/// Accepted pictures among those that were looked at, in tenths of a percent.
fn acceptance(figures: &Figures) -> String {
    let all = u128::from(figures.accepted) + u128::from(figures.rejected);
    match (u128::from(figures.accepted) * 1_000).checked_div(all) {
        Some(permille) => format!("{}.{}%", permille / 10, permille % 10),
        None => "-".to_owned(),
    }
}
