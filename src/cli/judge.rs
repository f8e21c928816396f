//! `easel judge`: what a route's quality gate makes of picture files, number by number, so that thresholds are set by eyes.
//!
//! What fails is decided in `quality`, as it is for what vendors draw; here it is printed. A picture that the gateway would
//! not take at all is rejected with the gateway's own word for it. A judge outside is never asked.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::cli;
use crate::image::Size;

mod chosen_gate;
mod look;
mod picture_files;
mod printed;
mod sheet_file;

use chosen_gate::ChosenGate;
use look::{JudgedFile, Tally};
use sheet_file::SheetFile;

/// Arguments of `easel judge`.
#[derive(Parser)]
pub struct Args {
    /// Picture files; a directory stands for the PNG, JPEG and WebP files in it.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The config that has the gate. Default: the usual checks, as of `quality: true`.
    #[arg(short, long)]
    config: Option<PathBuf>,
    /// The route whose gate it is. May be left out where there is one route.
    #[arg(short, long, requires = "config")]
    route: Option<String>,
    /// The size that was agreed with the vendor, like 1024x1024.
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,
    /// A transparent background was asked for.
    #[arg(long)]
    transparent: bool,
    /// The files are the pictures of one request, so that duplicates are looked for.
    #[arg(long)]
    together: bool,
    /// Print a line of JSON for each file.
    #[arg(long)]
    json: bool,
    /// Write a page that shows each picture beside its numbers, the rejected ones first.
    #[arg(long, value_name = "OUT.html")]
    sheet: Option<PathBuf>,
}

/// Judges the files.
pub fn run(args: Args) -> ExitCode {
    let gate = match ChosenGate::of(&args) {
        Ok(gate) => gate,
        Err(ended) => return ended,
    };
    let files = match picture_files::named_by(&args.files) {
        Ok(files) => files,
        Err(why) => return cli::failed(why),
    };
    let sheet = match args.sheet.as_deref().map(|path| SheetFile::create(path, &files)).transpose() {
        Ok(sheet) => sheet,
        Err(why) => return cli::failed(why),
    };
    let mut shown = Shown { gate: &gate, json: args.json, out: BufWriter::new(io::stdout()), broken: None };
    if !args.json {
        shown.write(&printed::head(&gate));
    }
    // Of each file some numbers are kept for the sheet, which begins with what comes last.
    let (mut tally, mut kept) = (Tally::default(), Vec::new());
    let looked = look::in_order(&files, &gate, |judged| {
        tally.count(&judged);
        let goes_on = shown.file(&judged);
        kept.extend(sheet.is_some().then_some(judged));
        goes_on
    });
    if let Err(why) = looked {
        return cli::failed(why);
    }
    if !args.json {
        shown.write(&format!("{tally}\n"));
    }
    match shown.broken.take() {
        // Whoever reads only its beginning has what he wants.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Some(error) => return cli::failed(format!("the output was not written: {error}")),
        None => {}
    }
    if let Some(Err(why)) = sheet.map(|sheet| sheet.write(&gate, &tally, kept)) {
        return cli::failed(why);
    }
    ExitCode::from(match tally {
        Tally { unreadable: 1.., .. } => 2,
        Tally { rejected: 1.., .. } => 1,
        _ => 0,
    })
}

/// What is printed as files are judged, as long as somebody reads it.
struct Shown<'a> {
    gate: &'a ChosenGate,
    json: bool,
    out: BufWriter<io::Stdout>,
    broken: Option<io::Error>,
}

impl Shown<'_> {
    fn file(&mut self, judged: &JudgedFile) -> ControlFlow<()> {
        if let Err(why) = &judged.found {
            let _ = writeln!(io::stderr(), "easel: {} cannot be judged: {why}", printed::name(&judged.path));
        }
        if self.json {
            self.write(&format!("{}\n", printed::json(judged, self.gate)));
        } else {
            self.write(&printed::text(judged, self.gate));
        }
        if self.broken.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn write(&mut self, text: &str) {
        // Each file is shown as soon as it is judged.
        if let Err(error) = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            self.broken.get_or_insert(error);
        }
    }
}
