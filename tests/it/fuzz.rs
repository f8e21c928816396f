//! The fuzz targets on what they begin with and on all that was ever found, as tests like any other.
//!
//! `scripts/fuzz` has the seeds written from here, and gives the targets what libFuzzer makes of them. A file in
//! tests/fuzz/found/TARGET is something that a target once fell over.

use std::path::Path;

use tempfile::tempdir_in;

mod seeds;
#[path = "../fuzz/lib.rs"]
mod targets;

type Target = fn(&[u8]);

/// The targets by their names.
const TARGETS: [(&str, Target); 6] = [
    ("config", targets::config),
    ("multipart", targets::multipart),
    ("picture", targets::picture),
    ("prompts", targets::prompts),
    ("reply", targets::reply),
    ("request_json", targets::request_json),
];

/// Where the seeds are to stay, for `scripts/fuzz`.
const SEEDS: &str = "EASEL_WRITE_FUZZ_SEEDS";

/// Gives a target every file of a folder; returns how many there were.
fn run(folder: &Path, target: Target) -> usize {
    let Ok(files) = std::fs::read_dir(folder) else { return 0 };
    let run = |path: std::path::PathBuf| {
        let data = std::fs::read(&path).unwrap();
        assert!(std::panic::catch_unwind(|| target(&data)).is_ok(), "fell over {}", path.display());
    };
    files.map(|entry| run(entry.unwrap().path())).count()
}

#[test]
fn no_target_falls_over_its_seeds_or_over_what_was_ever_found() {
    let scratch = tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kept = std::env::var_os(SEEDS);
    let to = kept.as_ref().map_or(scratch.path(), Path::new);
    seeds::write(to).unwrap();
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found");
    for (name, target) in TARGETS {
        let few = run(&to.join(name), target);
        assert!(few >= 4, "{name} begins with {few} seeds");
        run(&found.join(name), target);
    }
}

#[test]
fn every_target_is_built_and_every_job_is_of_a_kind_that_there_is() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
    }
    let built = manifest.matches("path = \"targets/").count();
    assert_eq!(built, TARGETS.len(), "a target is not in this test");
    let kinds = easel::internals::provider::ALL.iter().map(|provider| provider.name());
    let kinds = kinds.chain(easel::internals::provider::text::KINDS.iter().map(|kind| kind.name));
    let untried: Vec<&str> = kinds.filter(|kind| targets::JOBS.iter().all(|(known, _)| known != kind)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}
