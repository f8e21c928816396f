//! What is wrong with a config file, and how it is printed.
//!
//! Rooms note a [`Finding`] (bytes and words); the caller gets [`Problem`]s (line and column too), sorted by position.
//! Printing quotes one line of the file as `redact` left it, never a value that came from outside the file.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::config::span::Span;

/// One thing wrong, as a room notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    span: Span,
    what: String,
    help: Option<String>,
}

impl Finding {
    /// `what` is wrong at `span`; `help` says what to write instead.
    pub(super) fn new(span: Span, what: impl Into<String>, help: Option<&str>) -> Finding {
        Finding { span, what: what.into(), help: help.map(str::to_owned) }
    }
}

/// Everything noted so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Notes a finding, once: a mapping that is used twice through an alias is wrong once.
    pub(super) fn add(&mut self, finding: Finding) {
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// Notes those of others too.
    pub(super) fn extend(&mut self, others: Findings) {
        others.0.into_iter().for_each(|finding| self.add(finding));
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings with line and column in `text`, whose secrets are redacted.
    pub(super) fn into_problems(self, name: &str, text: String) -> Problems {
        let mut problems: Vec<Problem> = self.0.into_iter().map(|finding| Problem::new(finding, &text)).collect();
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        Problems { name: name.to_owned(), text, problems }
    }
}

/// One thing wrong with a config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The offending text, in bytes from the start of the file; within one line, and empty where something is missing
    /// from an empty file.
    pub span: Span,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub suggestion: Option<String>,
}

impl Problem {
    fn new(finding: Finding, text: &str) -> Problem {
        let Finding { span, what, help } = finding;
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = line_start + line_from(text, line_start).len();
        let start = start.min(line_end);
        let end = floor_boundary(text, span.end).clamp(start, line_end);
        Problem {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            span: start..end,
            what,
            suggestion: help,
        }
    }
}

/// The line that begins at `start`, without its end.
fn line_from(text: &str, start: usize) -> &str {
    let line = text[start..].split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

/// The last character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Everything wrong with a config file, in the order of the file. Prints as a person reads it, without colours.
#[derive(Clone, Debug)]
pub struct Problems {
    name: String,
    /// The file's text with its secrets redacted.
    text: String,
    problems: Vec<Problem>,
}

impl Problems {
    /// How many there are; at least one.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// The problems in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// The whole report as `renderer` draws it; with colours, for a terminal.
    pub fn render(&self, renderer: &Renderer) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&self.render_one(problem, renderer));
            out.push_str("\n\n");
        }
        let count = self.problems.len();
        out.push_str(&format!("{count} problem{} in {}", if count == 1 { "" } else { "s" }, self.name));
        out
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        // Only the line itself is handed over: a large file is not laid out again for every problem.
        let start = self.text[..problem.span.start].rfind('\n').map_or(0, |newline| newline + 1);
        // A carriage return within a line would move the cursor of the terminal it is printed on.
        let line = line_from(&self.text, start).replace('\r', " ");
        let underlined = problem.span.start - start..problem.span.end - start;
        let snippet = Snippet::source(line)
            .line_start(problem.line)
            .path(self.name.as_str())
            .annotation(AnnotationKind::Primary.span(underlined));
        let mut group = Level::ERROR.primary_title(problem.what.as_str()).element(snippet);
        if let Some(suggestion) = &problem.suggestion {
            group = group.element(Level::HELP.message(suggestion.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Problems {}
