//! A contact sheet: one page of HTML that shows pictures beside what was measured of them. It needs no script and no
//! network. Rows in, text out; whoever has the files reads them and writes the page, a card at a time.
//!
//! Names of files are a stranger's: every text is escaped, and a policy in the page lets nothing run or be fetched but
//! pictures.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What stands above the cards.
pub struct SheetHead<'a> {
    /// What was judged, by what.
    pub title: &'a str,
    /// How many there are of each verdict; none are left out.
    pub counts: &'a [SheetCount],
    /// Sentences for who reads the numbers.
    pub notes: &'a [String],
    /// Every limit of the gate, without a measured number.
    pub limits: &'a [SheetNumber],
}

/// How many pictures of a verdict there are.
pub struct SheetCount {
    /// The verdict.
    pub verdict: FileVerdict,
    /// How many.
    pub files: usize,
}

/// A picture and what is said of it.
pub struct SheetCard<'a> {
    /// Its name.
    pub name: &'a str,
    /// The picture.
    pub picture: SheetPicture,
    /// Size, format, and what else is to be said of the file.
    pub about: &'a str,
    /// What becomes of it, which is a colour.
    pub verdict: FileVerdict,
    /// The same in words, with the reasons.
    pub said: &'a str,
    /// What was measured.
    pub numbers: &'a [SheetNumber],
}

/// Where a picture is.
pub enum SheetPicture {
    /// Within the page.
    Embedded {
        /// Its media type, as its bytes say.
        media_type: &'static str,
        /// Its bytes.
        base64: String,
    },
    /// At the end of a link, percent-encoded, relative to the page.
    Linked(String),
    /// There is none to show.
    None,
}

/// What becomes of a picture's file, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileVerdict {
    /// Nobody could judge it.
    Unreadable,
    /// It is not delivered.
    Rejected,
    /// It is delivered and told.
    Flagged,
    /// It is delivered.
    Accepted,
}

impl FileVerdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            FileVerdict::Unreadable => "unreadable",
            FileVerdict::Rejected => "rejected",
            FileVerdict::Flagged => "flagged",
            FileVerdict::Accepted => "accepted",
        }
    }
}

/// A number that a check goes by.
pub struct SheetNumber {
    /// The check.
    pub check: &'static str,
    /// The number's name.
    pub metric: &'static str,
    /// What was measured, if it was.
    pub measured: Option<String>,
    /// On which side of which limit it speaks against the picture.
    pub fails_where: String,
    /// The key in the config that sets the limit.
    pub setting: &'static str,
    /// Whether the check failed.
    pub fails: bool,
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --rejected: #c62828; --flagged: #9a6700; --accepted: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --rejected: #ff7b72; --flagged: #e3b341; --accepted: #56d364; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 90rem; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.counts { display: flex; flex-wrap: wrap; gap: 1.5rem; padding: 0; list-style: none; }
.counts b { font-size: 1.6rem; display: block; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; align-items: start; }
article { border: 1px solid var(--line); border-top: 4px solid var(--tone); border-radius: 6px; overflow: hidden; }
article > div { padding: .75rem; }
article p, article ul { margin: .3rem 0 0; }
img, .nothing { display: block; width: 100%; height: 20rem; object-fit: contain;
  background: repeating-conic-gradient(#9994 0 25%, #bbb4 0 50%) 0 0 / 24px 24px; }
.nothing { display: grid; place-items: center; }
.rejected, .unreadable { --tone: var(--rejected); }
.flagged { --tone: var(--flagged); }
.accepted { --tone: var(--accepted); }
.verdict { color: var(--tone); font-weight: 600; overflow-wrap: anywhere; }
.about { opacity: .75; }
details { margin-top: .6rem; overflow-x: auto; }
header details { margin-bottom: 1.5rem; }
summary { cursor: pointer; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
td, th { border-bottom: 1px solid var(--line); padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top; }
tr.fails { font-weight: 600; background: var(--soft); }
";

/// What the page ends with.
pub const END: &str = "</main>\n</body>\n</html>\n";

/// The page's beginning, up to its first card.
pub fn head(head: &SheetHead<'_>) -> String {
    let title = escaped(head.title);
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; img-src data: file: 'self'; \
         style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<ul class=\"counts\">\n"
    );
    for SheetCount { verdict, files } in head.counts.iter().filter(|count| count.files > 0) {
        let verdict = verdict.as_str();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "<li class=\"{verdict}\"><b>{files}</b> <span class=\"verdict\">{verdict}</span></li>");
    }
    text += "</ul>\n";
    for note in head.notes {
        let _ = writeln!(text, "<p>{}</p>", escaped(note));
    }
    text += "<details>\n<summary>The limits of the gate</summary>\n";
    text += &table(head.limits, false);
    text + "</details>\n</header>\n<main class=\"cards\">\n"
}

/// One picture.
pub fn card(card: &SheetCard<'_>) -> String {
    let (name, said, verdict) = (escaped(card.name), escaped(card.said), card.verdict.as_str());
    let mut text = format!("<article class=\"{verdict}\">\n");
    let alt = format!("{name}, {said}");
    text += &match &card.picture {
        SheetPicture::Embedded { media_type, base64 } => {
            format!("<img src=\"data:{media_type};base64,{base64}\" alt=\"{alt}\">\n")
        }
        SheetPicture::Linked(to) => {
            format!("<img src=\"{}\" alt=\"{alt}\" loading=\"lazy\">\n", escaped(to))
        }
        SheetPicture::None => "<div class=\"nothing\">no picture to show</div>\n".to_owned(),
    };
    let _ = writeln!(text, "<div>\n<h2>{name}</h2>\n<p class=\"verdict\">{said}</p>");
    let _ = writeln!(text, "<p class=\"about\">{}</p>", escaped(card.about));
    let failed = card.numbers.iter().filter(|number| number.fails);
    let failed: String = failed.map(|number| format!("<li>{}</li>\n", sentence(number))).collect();
    if !failed.is_empty() {
        let _ = writeln!(text, "<ul>\n{failed}</ul>");
    }
    if !card.numbers.is_empty() {
        let _ = writeln!(text, "<details>\n<summary>All numbers</summary>\n{}</details>", table(card.numbers, true));
    }
    text + "</div>\n</article>\n"
}

/// A failed check in a line: what was measured, and where it would have passed.
fn sentence(number: &SheetNumber) -> String {
    let measured = number.measured.as_deref().unwrap_or("not measured");
    format!("{}: {} {} (fails {})", number.check, number.metric, escaped(measured), escaped(&number.fails_where))
}

fn table(numbers: &[SheetNumber], measured: bool) -> String {
    let column = |word: &str| if measured { format!("<th>{word}</th>") } else { String::new() };
    let mut text =
        format!("<table>\n<tr><th>check</th><th>number</th>{}<th>fails</th><th>set by</th></tr>\n", column("measured"));
    for number in numbers {
        let cell = number.measured.as_deref().unwrap_or("-");
        let cell = if measured { format!("<td>{}</td>", escaped(cell)) } else { String::new() };
        let _ = writeln!(
            text,
            "<tr{}><td>{}</td><td>{}</td>{cell}<td>{}</td><td>{}</td></tr>",
            if number.fails { " class=\"fails\"" } else { "" },
            number.check,
            number.metric,
            escaped(&number.fails_where),
            number.setting,
        );
    }
    text + "</table>\n"
}

/// Text as it stands between tags and in quoted attributes. Control characters, which no page may hold, become what
/// stands for a character that is not known.
fn escaped(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && (!c.is_control() || c == '\n');
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c if plain(c) => safe.push(c),
            _ => safe.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_stays_text_wherever_it_stands() {
        let evil = "\"><script>alert('x')</script>&\u{1b}";
        let safe = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\u{fffd}";
        let number = SheetNumber {
            check: "dark",
            metric: "bright_parts",
            measured: Some(evil.to_owned()),
            fails_where: evil.to_owned(),
            setting: "thresholds.dark",
            fails: true,
        };
        let page = head(&SheetHead { title: evil, counts: &[], notes: &[evil.to_owned()], limits: &[] })
            + &card(&SheetCard {
                name: evil,
                picture: SheetPicture::Linked(evil.to_owned()),
                about: evil,
                verdict: FileVerdict::Flagged,
                said: evil,
                numbers: &[number],
            });
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
        assert!(page.matches(safe).count() >= 9, "{page}");
    }

    #[test]
    fn every_tag_that_is_opened_is_closed() {
        let card = card(&SheetCard {
            name: "a.png",
            picture: SheetPicture::None,
            about: "",
            verdict: FileVerdict::Accepted,
            said: "accepted",
            numbers: &[],
        });
        let page = head(&SheetHead { title: "t", counts: &[], notes: &[], limits: &[] }) + &card + END;
        for tag in ["html", "head", "body", "header", "main", "article", "div", "details", "table", "style", "h2"] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag} in {page}");
        }
    }
}
