//! Words of the reference: metrics, codes of errors, headers, reasons. The code says each of them, and the pages have
//! what the code says.

use std::collections::BTreeSet;
use std::path::Path;

use easel::internals::config::Warning;

use super::{read, root};
use crate::world::{World, ask, route};

/// All code, tests inside it included.
fn code() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

/// What stands in backticks in one column of a page's tables.
fn column(page: &str, column: usize) -> BTreeSet<String> {
    let page = read(Path::new(page));
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split('|').nth(column + 1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn unsaid(words: &BTreeSet<String>, prefix: &str) -> Vec<String> {
    let code = code();
    let literal = |word: &str| code.contains(&format!("\"{}\"", word.strip_prefix(prefix).unwrap_or(word)));
    words.iter().filter(|word| !literal(word)).cloned().collect()
}

#[tokio::test]
async fn the_page_of_metrics_has_what_is_scraped_and_nothing_that_is_gone() {
    let page = column("docs/operate/metrics.md", 0);
    let world = World::new(&route(&["stability/core"])).await;
    world.draw(ask("a fox")).await;
    let scraped = world.metrics().await;
    let names = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<&str> = names.filter(|name| name.starts_with("easel_") && !page.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/operate/metrics.md does not have {missing:?}");
    assert!(page.len() > 30, "{page:?}");
    assert_eq!(unsaid(&page, "easel_"), [] as [&str; 0]);
}

#[test]
fn the_page_of_errors_has_the_codes_that_the_code_gives_and_no_others() {
    let page = column("docs/reference/errors.md", 1);
    let code = code();
    let given = code.split("with_code(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let missing: BTreeSet<&str> = given.filter(|given| !page.contains(*given)).collect();
    assert!(missing.is_empty(), "docs/reference/errors.md does not have {missing:?}");
    assert!(page.len() > 30, "{page:?}");
    assert_eq!(unsaid(&page, ""), [] as [&str; 0]);
}

#[test]
fn the_page_of_headers_has_no_header_and_no_reason_that_the_code_does_not_say() {
    let page = column("docs/reference/headers.md", 0);
    assert!(page.len() > 40, "{page:?}");
    assert_eq!(unsaid(&page, ""), [] as [&str; 0]);
}

#[test]
fn the_page_of_checks_has_every_warning_and_no_other() {
    let page = read(Path::new("docs/operate/check.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    let told: BTreeSet<String> = rows.collect();
    let known: BTreeSet<String> = Warning::ALL.iter().map(|warning| warning.as_str().to_owned()).collect();
    assert_eq!(told, known);
}
