//! Small pieces that all panels are made of.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};

/// A panel with its heading.
pub fn panel(id: &str, title: &str, body: &Markup) -> Markup {
    let heading = format!("{id}-title");
    html! { section id=(id) aria-labelledby=(heading) { h2 id=(heading) { (title) } (body) } }
}

/// A table that scrolls sideways where a screen is too narrow for it. `numbers` are the columns that hold numbers.
pub fn table(caption: &str, titles: &[&str], numbers: Range<usize>, rows: &[Vec<Markup>]) -> Markup {
    html! {
        div class="scroll" role="region" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead { tr { @for (nth, title) in titles.iter().enumerate() { th scope="col" class=[numbers.contains(&nth).then_some("number")] { (title) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (nth, cell) in row.iter().enumerate() {
                                @if nth == 0 { th scope="row" { (cell) } }
                                @else { td class=[numbers.contains(&nth).then_some("number")] { (cell) } }
                            }
                        }
                    }
                    @if rows.is_empty() { tr { td colspan=(titles.len()) { "nothing yet" } } }
                }
            }
        }
    }
}

/// A chart, what it shows in words, and the figures behind it in a table that unfolds.
pub fn figure(svg: String, words: &str, legend: &[(String, String)], figures: &Markup) -> Markup {
    html! {
        figure {
            div role="img" aria-label=(words) { (PreEscaped(svg)) }
            @if !legend.is_empty() {
                ul class="legend" aria-hidden="true" { @for (class, name) in legend { li { span class={ "swatch " (class) } {} (name) } } }
            }
            figcaption { (words) }
            details { summary { "Figures" } (figures) }
        }
    }
}

/// Plain text as a cell.
pub fn text(value: impl std::fmt::Display) -> Markup {
    html! { (value.to_string()) }
}
