//! What is wrong with a config file, or hardly meant, and how it is printed.
//!
//! Rooms note a [`Finding`] (bytes and words); the caller gets [`Problem`]s (line and column too), sorted by position.
//! Printing quotes one line of the file as `redact` left it, never a value that came from outside the file.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::config::span::Span;
use crate::config::warnings::word::Warning;

/// One thing wrong, as a room notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    span: Span,
    what: String,
    help: Option<String>,
    /// Which warning it is, where it refuses nothing.
    warning: Option<Warning>,
}

impl Finding {
    /// `what` is wrong at `span`; `help` says what to write instead.
    pub(super) fn new(span: Span, what: impl Into<String>, help: Option<&str>) -> Finding {
        Finding { span, what: what.into(), help: help.map(str::to_owned), warning: None }
    }

    /// The same of what is hardly meant and refuses nothing.
    pub(super) fn warning(warning: Warning, span: Span, what: impl Into<String>, help: Option<&str>) -> Finding {
        Finding { warning: Some(warning), ..Finding::new(span, what, help) }
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

/// One thing wrong with a config file, or hardly meant.
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
    /// Which warning it is; `None` where the file is refused for it.
    pub warning: Option<Warning>,
}

impl Problem {
    fn new(finding: Finding, text: &str) -> Problem {
        let Finding { span, what, help, warning } = finding;
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
            warning,
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

/// Everything wrong with a config file, or everything hardly meant, in the order of the file. Prints as a person reads it, without colours.
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
        let word = if self.problems.iter().any(|problem| problem.warning.is_none()) { "problem" } else { "warning" };
        out.push_str(&format!("{count} {word}{} in {}", if count == 1 { "" } else { "s" }, self.name));
        out
    }

    /// Each in one line, for a log: `easel.yaml:3:5: warning[word]: what; what to write`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| {
            let Problem { line, column, what, suggestion, warning, .. } = problem;
            let level = warning.map_or("error".to_owned(), |warning| format!("warning[{}]", warning.as_str()));
            let help = suggestion.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            format!("{}:{line}:{column}: {level}: {what}{help}", self.name)
        })
    }

    /// Those of them that `kept` keeps; `None` where that is none.
    #[cfg(feature = "cli")]
    pub fn filtered(&self, kept: impl Fn(&Problem) -> bool) -> Option<Problems> {
        let problems: Vec<Problem> = self.problems.iter().filter(|problem| kept(problem)).cloned().collect();
        (!problems.is_empty()).then(|| Problems { name: self.name.clone(), text: self.text.clone(), problems })
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
        let title = match problem.warning {
            Some(warning) => Level::WARNING.primary_title(problem.what.as_str()).id(warning.as_str()),
            None => Level::ERROR.primary_title(problem.what.as_str()),
        };
        let mut group = title.element(snippet);
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
