//! `easel compare`: whether the cache takes prompts for the same picture, and what they differ in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::cli;
use crate::cli::json_lines::{heard, line, lines};
use crate::clock::Clock;
use crate::config::instead;
use crate::equivalences::{Equivalence, PairState};
use crate::gateway::config_loader::WithoutSecrets;
use crate::gateway::snapshot::word_lists;
use crate::prompt_match::{
    CANDIDATE_DISTANCE, CanonicalPrompt, Difference, LearnedPairs, Origin, SameWhy, Sketch, Verdict, WordLists,
    canonical, compare_with, distance,
};
use crate::store;

/// Every two of so many prompts are compared in some seconds.
const MOST_PROMPTS: usize = 50_000;

/// Arguments of `easel compare`.
#[derive(Parser)]
#[command(after_help = "\
Without prompts and files, pairs are read from standard input. The tiers are `exact` (the same bytes), `canonical` (the same \
words once spelling, articles, numbers, listed synonyms, praise and requests are taken off), `near` (each difference is explained, as \
a typo is), and `none`. The words are those that ship with Easel, and with --config those of the config and the pairs that a judge \
approved (`learned`), as its state_dir has them.")]
pub struct Args {
    /// A prompt.
    #[arg(requires = "b", conflicts_with_all = ["pairs", "prompts"])]
    a: Option<String>,
    /// Another.
    b: Option<String>,
    /// Pairs of prompts, a line each: `{"a": "...", "b": "..."}`; `-` for standard input. A line of JSON comes out for each.
    #[arg(long, value_name = "FILE", conflicts_with = "prompts")]
    pairs: Option<PathBuf>,
    /// Prompts, one a line; `-` for standard input. A line of JSON comes out for every two that are the same picture.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Takes the words of this config's `cache.words` as well, and the pairs that were learned.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A route of the config: without `near: verified` there, the only tier is `exact`, and without `learn` no learned pair counts.
    #[arg(long, value_name = "NAME", requires = "config")]
    route: Option<String>,
    /// The client whose learned pairs count; without it, those of all do.
    #[arg(long, value_name = "NAME", requires = "config")]
    tenant: Option<String>,
    /// How two prompts are told. Pairs and lists are always told as JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    a: String,
    b: String,
}

/// What is told of two prompts.
#[derive(Serialize)]
struct Told<'a> {
    tier: &'static str,
    a: Side<'a>,
    b: Side<'a>,
    /// In how many of 256 bits their sketches differ.
    distance: u32,
    differences: Vec<ToldDifference>,
}

#[derive(Serialize)]
struct Side<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    prompt: &'a str,
    canonical: String,
    english: bool,
}

#[derive(Serialize)]
struct ToldDifference {
    left: String,
    right: String,
    verdict: &'static str,
    why: &'static str,
    /// Who says that the two words are the same: a list's name, `config` or `learned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
}

impl From<Difference> for ToldDifference {
    fn from(Difference { left, right, verdict }: Difference) -> Self {
        let (verdict, why, from) = match verdict {
            Verdict::Same { why: why @ SameWhy::Synonym { origin } } => {
                ("same", why.as_str(), Some(Origin::as_str(origin)))
            }
            Verdict::Same { why } => ("same", why.as_str(), None),
            Verdict::Differs { why } => ("differs", why.as_str(), None),
        };
        Self { left, right, verdict, why, from }
    }
}

/// A prompt, read once.
struct Prompt {
    line: Option<usize>,
    text: String,
    canonical: CanonicalPrompt,
    sketch: Sketch,
}

impl Prompt {
    fn read(line: Option<usize>, text: String, lists: &WordLists) -> Self {
        let canonical = canonical(&text, lists);
        let sketch = canonical.sketch();
        Self { line, text, canonical, sketch }
    }

    fn told(&self) -> Side<'_> {
        let Self { line, text, canonical, .. } = self;
        Side { line: *line, prompt: text, canonical: canonical.text(), english: canonical.is_english() }
    }
}

/// By what words, and in which tiers, prompts are compared.
struct Rules {
    lists: Arc<WordLists>,
    /// Pairs that a judge approved.
    learned: LearnedPairs,
    /// Whether there are tiers besides `exact`.
    near: bool,
}

impl Rules {
    /// Those that Easel has, or a config's, or those of one of its routes.
    fn of(config: Option<&Path>, route: Option<&str>, tenant: Option<&str>) -> Result<Rules, ExitCode> {
        let Some(config) = config else {
            return Ok(Rules { lists: WordLists::builtin(), learned: LearnedPairs::default(), near: true });
        };
        let plan = crate::reload::load(config, &WithoutSecrets).map_err(cli::problems)?;
        let (near, learns) = match route {
            None => (true, true),
            Some(name) => {
                let route = plan.routes.iter().find(|route| route.name == name).ok_or_else(|| {
                    let names = plan.routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>();
                    let help = instead(name, names, "routes").unwrap_or_default();
                    cli::failed(format!("{} has no route '{name}': {help}", config.display()))
                })?;
                (route.cache.is_some_and(|reuse| reuse.near), route.learn.is_some())
            }
        };
        let dir = plan.server.state_dir.as_deref().filter(|_| learns);
        let learned = dir.map_or(Ok(LearnedPairs::default()), |dir| learned(dir, tenant)).map_err(cli::failed)?;
        Ok(Rules { lists: word_lists(&plan.cache.words), learned, near })
    }
}

/// The pairs that a judge approved for a tenant, or for any.
fn learned(dir: &Path, tenant: Option<&str>) -> Result<LearnedPairs, String> {
    let now = Clock::System.now();
    let known = store::equivalences_of(dir).map_err(|error| error.to_string())?;
    let holds = |known: &&Equivalence| {
        let whose = tenant.is_none_or(|tenant| *known.tenant == *tenant);
        whose && known.state == PairState::Approved && known.until.is_none_or(|until| now < until)
    };
    Ok(LearnedPairs::of(known.iter().filter(holds).map(|known| &known.pair)))
}

fn told<'a>(a: &'a Prompt, b: &'a Prompt, rules: &Rules) -> Told<'a> {
    let comparison = compare_with(&a.canonical, &b.canonical, &rules.lists, &rules.learned);
    let distance = distance(&a.sketch, &b.sketch);
    let tier = match () {
        () if a.text == b.text => "exact",
        () if !rules.near => "none",
        () if a.canonical.canonical_bytes() == b.canonical.canonical_bytes() => "canonical",
        () if comparison.is_same_picture() && distance <= CANDIDATE_DISTANCE => "near",
        () => "none",
    };
    let differences = comparison.differences.into_iter().map(ToldDifference::from).collect();
    Told { tier, a: a.told(), b: b.told(), distance, differences }
}

/// Compares.
pub fn run(args: Args) -> ExitCode {
    let rules = match Rules::of(args.config.as_deref(), args.route.as_deref(), args.tenant.as_deref()) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let written = match (args.a, args.b, args.prompts) {
        (Some(a), Some(b), _) => {
            let (a, b) = (Prompt::read(None, a, &rules.lists), Prompt::read(None, b, &rules.lists));
            let told = told(&a, &b, &rules);
            return cli::print(match args.format {
                // Texts, numbers and lists of them always become JSON.
                Format::Json => serde_json::to_string(&told).unwrap_or_default(),
                Format::Text => for_people(&told),
            });
        }
        (_, _, Some(prompts)) => merges(&prompts, &rules),
        _ => pairs(&args.pairs.unwrap_or_else(|| "-".into()), &rules),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => cli::failed(why),
    }
}

fn for_people(told: &Told<'_>) -> String {
    let Told { tier, a, b, distance, differences } = told;
    let mut text = format!("{tier} ({distance} of 256 bits apart, {CANDIDATE_DISTANCE} are looked at)\n");
    for (name, side) in [("a", a), ("b", b)] {
        let language = if side.english { "" } else { "  (not read as English: only blanks and quotation marks)" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name}: {}{language}", side.canonical);
    }
    for ToldDifference { left, right, verdict, why, from } in differences {
        let from = from.map(|from| format!(", from {from}")).unwrap_or_default();
        let _ = writeln!(text, "  {left:?} / {right:?}: {verdict} ({why}{from})");
    }
    text.truncate(text.trim_end().len());
    text
}

fn pairs(path: &Path, rules: &Rules) -> Result<(), String> {
    let mut out = BufWriter::new(io::stdout().lock());
    for read in lines(path)? {
        let (at, text) = read?;
        let Pair { a, b } = serde_json::from_str(&text).map_err(|error| {
            format!("{}, line {at} is no {{\"a\": \"...\", \"b\": \"...\"}}: {error}", path.display())
        })?;
        let (a, b) = (Prompt::read(Some(at), a, &rules.lists), Prompt::read(Some(at), b, &rules.lists));
        if !line(&told(&a, &b, rules), &mut out)? {
            return Ok(());
        }
    }
    heard(out.flush()).map(|_| ())
}

fn merges(path: &Path, rules: &Rules) -> Result<(), String> {
    let mut prompts = Vec::new();
    for read in lines(path)? {
        let (at, text) = read?;
        if prompts.len() == MOST_PROMPTS {
            return Err(format!("{} has more than {MOST_PROMPTS} prompts: split it", path.display()));
        }
        prompts.push(Prompt::read(Some(at), text.trim_end_matches('\r').to_owned(), &rules.lists));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    // Where nothing but the characters counts, they are the form.
    let form = |prompt: &'_ Prompt| match rules.near {
        true => prompt.canonical.canonical_bytes().to_vec(),
        false => prompt.text.clone().into_bytes(),
    };
    let mut groups: BTreeMap<Vec<u8>, Vec<&Prompt>> = BTreeMap::new();
    for prompt in &prompts {
        groups.entry(form(prompt)).or_default().push(prompt);
    }
    // One prompt for each canonical form, in the file's order.
    let mut first: Vec<&Prompt> = groups.values().filter_map(|group| group.first().copied()).collect();
    first.sort_by_key(|prompt| prompt.line);
    for (at, left) in first.iter().enumerate() {
        let same = groups.get(&form(left)).into_iter().flatten().skip(1);
        let near = first.iter().skip(at + 1).filter(|right| {
            rules.near
                && distance(&left.sketch, &right.sketch) <= CANDIDATE_DISTANCE
                && compare_with(&left.canonical, &right.canonical, &rules.lists, &rules.learned).is_same_picture()
        });
        for right in same.chain(near) {
            if !line(&told(left, right, rules), &mut out)? {
                return Ok(());
            }
        }
    }
    heard(out.flush()).map(|_| ())
}
