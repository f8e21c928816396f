//! `easel calibrate`: from which likeness of two embeddings on two prompts may be taken for one picture.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::calibration::{LabelledPair, MaxFalseHit, choose, curve};
use crate::cli;
use crate::cli::json_lines::{heard, line};
use crate::gateway::config_loader::ProcessEnv;
use crate::gateway::snapshot::word_lists;
use crate::money::Usd;
use crate::prompt_match::WordLists;
use crate::similarity::{Embedding, Similarity};

mod alike;
mod embedder;
mod pair_file;
mod told;

use embedder::{Embedded, Embedder};
use pair_file::{Pair, PairFile};
use told::{Counted, Told};

/// Arguments of `easel calibrate`.
#[derive(Parser)]
#[command(after_help = "\
A pair hits at a threshold if no guard stops it (numbers, colors, negations, the order of words and so on must be the same) and its \
embeddings are at least so alike. Thresholds are tried from 1.000 down, and the first at which the wrong hits, with 95% confidence, \
may be more than --max-false-hit ends it. It takes 299 pairs that mean different pictures to certify 1%, and 2,995 for 0.1%, if none \
hits wrongly. The exit code is 0 if a threshold is certified, and 1 if none is.")]
pub struct Args {
    /// Labelled pairs, a line each: `{"a": "...", "b": "...", "same": true}`; `-` for standard input. Without --embedder each
    /// line needs a `similarity`.
    #[arg(long, value_name = "FILE", required_unless_present = "prompts", conflicts_with = "prompts")]
    pairs: Option<PathBuf>,
    /// Prompts, one a line; `-` for standard input. A line of JSON comes out for every two that no guard stops, the most
    /// alike first, for you to add `"same": true` or `"same": false` to.
    #[arg(long, value_name = "FILE", requires = "embedder")]
    prompts: Option<PathBuf>,
    /// How many of the pairs that mean different pictures may hit, with 95% confidence.
    #[arg(long, value_name = "SHARE", value_parser = share, required_unless_present = "prompts")]
    max_false_hit: Option<MaxFalseHit>,
    /// Takes the words of this config's `cache.words` as well, and its embedders.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Who embeds: a model of a provider of kind openai_text.
    #[arg(long, value_name = "PROVIDER/MODEL", requires = "config")]
    embedder: Option<String>,
    /// Texts of one call.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=2048))]
    batch: u16,
    /// The most that embeddings may cost. Nothing is sent that could cost more.
    #[arg(long, value_name = "USD", default_value = "1.00")]
    max_usd: Usd,
    /// The most pairs that come out of --prompts.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    most: u16,
    /// What is printed of --pairs: what came of it, or a line of JSON for each pair and one for what came of it.
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

fn share(text: &str) -> Result<MaxFalseHit, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let ppm = percent.map(|percent| (percent * 10_000.0).round()).filter(|ppm| (1.0..1_000_000.0).contains(ppm));
    // It was held against the bounds.
    ppm.and_then(|ppm| MaxFalseHit::from_ppm(ppm as u32)).ok_or_else(|| "write a share, like 1% or 0.1%".to_owned())
}

/// What is told of a pair.
#[derive(Serialize)]
struct ToldPair<'a> {
    line: usize,
    a: &'a str,
    b: &'a str,
    same: bool,
    guard: Option<&'a str>,
    similarity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

/// Two prompts that are to be labelled.
#[derive(Serialize)]
struct ToLabel<'a> {
    a: &'a str,
    b: &'a str,
    same: Option<bool>,
    similarity: f64,
    embedder: &'a str,
    dimensions: usize,
}

/// Pairs, and who measured them.
struct Measured {
    file: PairFile,
    /// Of each pair that no guard stops.
    similarities: Vec<Option<Similarity>>,
    embedder: Option<String>,
    dimensions: Option<usize>,
    usd: Option<Usd>,
}

/// By which words, and by whom, prompts are measured.
struct Means {
    lists: Arc<WordLists>,
    embedder: Option<Embedder>,
}

/// Calibrates.
pub fn run(args: Args) -> ExitCode {
    let means = match means(&args) {
        Ok(means) => means,
        Err(code) => return code,
    };
    let done = match (&args.pairs, &args.prompts, args.max_false_hit, &means.embedder) {
        (Some(pairs), _, Some(limit), _) => {
            measured(pairs, &means).and_then(|measured| tell(&measured, limit, args.format))
        }
        (_, Some(prompts), _, Some(embedder)) => to_label(prompts, &means.lists, embedder, args.most.into()),
        // The arguments rule it out.
        _ => Err("--pairs takes --max-false-hit, and --prompts takes --embedder".to_owned()),
    };
    done.unwrap_or_else(cli::failed)
}

fn means(args: &Args) -> Result<Means, ExitCode> {
    let Some(config) = &args.config else { return Ok(Means { lists: WordLists::builtin(), embedder: None }) };
    let plan = crate::reload::load(config, &ProcessEnv).map_err(cli::problems)?;
    let embedder = args.embedder.as_deref().map(|name| Embedder::of(&plan, name, args.batch.into(), args.max_usd));
    let embedder = embedder.transpose().map_err(cli::failed)?;
    Ok(Means { lists: word_lists(&plan.cache.words), embedder })
}

/// The pairs of a file, measured by an embedder, or as the file says.
fn measured(path: &Path, means: &Means) -> Result<Measured, String> {
    let file = PairFile::read(path, &means.lists)?;
    let Some(embedder) = &means.embedder else {
        if let Some(line) = file.unmeasured() {
            return Err(format!("{}, line {line} has no `similarity`, and there is no --embedder", path.display()));
        }
        let similarities = file.pairs.iter().map(|pair| pair.similarity).collect();
        let (embedder, dimensions) = file.measured_by.clone().unzip();
        return Ok(Measured { file, similarities, embedder, dimensions, usd: None });
    };
    let Embedded { embeddings, usd } = embedder.embed(&file.texts)?;
    let similarity = |pair: &Pair| {
        let [a, b] = pair.texts?;
        embeddings.get(a)?.similarity(embeddings.get(b)?)
    };
    let similarities = file.pairs.iter().map(similarity).collect();
    let (dimensions, embedder) = (embeddings.first().map(Embedding::dimensions), Some(embedder.name.clone()));
    Ok(Measured { file, similarities, embedder, dimensions, usd: Some(usd) })
}

/// Prints the pairs of a list that a person may label.
fn to_label(path: &Path, lists: &WordLists, embedder: &Embedder, most: usize) -> Result<ExitCode, String> {
    let (prompts, texts) = alike::read(path, lists)?;
    let Embedded { embeddings, .. } = embedder.embed(&texts)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for pair in alike::pairs(&prompts, &embeddings, lists, most) {
        let (Some(a), Some(b)) = (prompts.get(pair.a), prompts.get(pair.b)) else { continue };
        let told = ToLabel {
            a: &a.text,
            b: &b.text,
            same: None,
            similarity: pair.similarity.number(),
            embedder: &embedder.name,
            dimensions: embeddings.first().map_or(0, Embedding::dimensions),
        };
        if !line(&told, &mut out)? {
            break;
        }
    }
    heard(out.flush()).map(|_| ExitCode::SUCCESS)
}

fn tell(measured: &Measured, limit: MaxFalseHit, format: Format) -> Result<ExitCode, String> {
    let Measured { file, similarities, embedder, dimensions, usd } = measured;
    let labelled = |(pair, similarity): (&Pair, &Option<Similarity>)| LabelledPair {
        same: pair.same,
        // What a guard stops hits nowhere.
        similarity: similarity.unwrap_or(Similarity::thousandths(-1000)),
        passes_guards: pair.guard.is_none(),
    };
    let pairs: Vec<LabelledPair> = file.pairs.iter().zip(similarities).map(labelled).collect();
    let (result, curve, counted) = (choose(&pairs, limit.share()), curve(&pairs), counted(file));
    let (embedder, dimensions) = (embedder.as_deref(), *dimensions);
    let told = Told { result: &result, curve: &curve, counted, limit, embedder, dimensions, usd: *usd };
    let mut out = BufWriter::new(io::stdout().lock());
    match format {
        Format::Text => heard(writeln!(out, "{}", told.text()))?,
        Format::Json => {
            for (pair, similarity) in file.pairs.iter().zip(similarities) {
                let Pair { line: at, a, b, same, guard, .. } = pair;
                let (same, guard, similarity) = (*same, *guard, similarity.map(Similarity::number));
                let told = ToldPair { line: *at, a, b, same, guard, similarity, embedder, dimensions };
                if !line(&told, &mut out)? {
                    break;
                }
            }
            line(&told.json(), &mut out)?
        }
    };
    heard(out.flush())?;
    Ok(ExitCode::from(if result.is_ok() { 0 } else { 1 }))
}

fn counted(file: &PairFile) -> Counted {
    let mut counted = Counted { repeated: file.repeated, ..Counted::default() };
    for pair in &file.pairs {
        let (all, guarded) = match pair.same {
            true => (&mut counted.same, &mut counted.same_guarded),
            false => (&mut counted.different, &mut counted.different_guarded),
        };
        *all += 1;
        *guarded += usize::from(pair.guard.is_some());
    }
    counted
}
