//! The frozen generator's requests, answered out of what was asked before by each of several rules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use easel::internals::calibration::upper_bound;
use easel_matcher::{CANDIDATE_DISTANCE, CanonicalPrompt, Sketch, WordLists, canonical, compare, distance};
use easel_prompts::{Request, Traffic};

use crate::Options;

/// What a rule served over all requests.
struct Served {
    name: String,
    right: usize,
    wrong: Vec<(String, String)>,
}

impl Served {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), right: 0, wrong: Vec::new() }
    }

    /// `found` is the request whose picture would be served.
    fn count(&mut self, request: &Request, found: Option<&Request>) {
        match found {
            Some(found) if found.intent.number == request.intent.number => self.right += 1,
            Some(found) => self.wrong.push((request.prompt.clone(), found.prompt.clone())),
            None => {}
        }
    }

    fn print(&self, requests: usize, reachable: usize) {
        let serves = self.right + self.wrong.len();
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        println!(
            "{:<34} {:>7} {:>6.1}% {:>8.1}% {:>7} {:>8.3}% {:>8.3}%",
            self.name,
            serves,
            percent(serves, requests),
            percent(self.right, reachable),
            self.wrong.len(),
            percent(self.wrong.len(), serves),
            100.0 * upper_bound(self.wrong.len() as u64, serves as u64),
        );
    }
}

/// What the canonical tier knows, and where the near tier looks.
#[derive(Default)]
struct Kept {
    by_bytes: HashMap<Vec<u8>, usize>,
    sketches: Vec<Sketch>,
    prompts: Vec<CanonicalPrompt>,
    requests: Vec<usize>,
}

impl Kept {
    fn add(&mut self, prompt: CanonicalPrompt, sketch: Sketch, request: usize) {
        self.by_bytes.insert(prompt.canonical_bytes().to_vec(), request);
        self.sketches.push(sketch);
        self.prompts.push(prompt);
        self.requests.push(request);
    }

    /// The entries within a distance, nearest first.
    fn candidates(&self, sketch: &Sketch, within: u32) -> Vec<(u32, usize)> {
        let near = self.sketches.iter().enumerate();
        let mut near: Vec<(u32, usize)> =
            near.map(|(at, other)| (distance(sketch, other), at)).filter(|(distance, _)| *distance <= within).collect();
        near.sort_unstable();
        near
    }
}

/// How many candidates are compared, as the cache does.
const COMPARED: usize = 4;

pub fn print(options: &Options) -> Vec<String> {
    let lists = WordLists::builtin();
    let requests: Vec<Request> = Traffic::new(options.seed, options.zipf).take(options.requests).collect();
    let mut intents = HashSet::new();
    let reachable = requests.iter().filter(|request| !intents.insert(request.intent.number)).count();
    println!("{} requests, seed {}, Zipf {}\n", requests.len(), options.seed, options.zipf);
    println!("rule                                serves   share captured   wrong    share bound 95%");
    let mut ceiling = Served::new("ceiling: asked for before");
    ceiling.right = reachable;
    ceiling.print(requests.len(), reachable);
    let keyed = [
        by_key("exact bytes", &requests, |prompt| prompt.as_bytes().to_vec()),
        by_key("lower case and blanks", &requests, |prompt| {
            prompt.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").into_bytes()
        }),
        by_key("canonical", &requests, |prompt| canonical(prompt, &lists).canonical_bytes().to_vec()),
    ];
    keyed.iter().for_each(|served| served.print(requests.len(), reachable));
    let Near { served: near, missed, by_edit } = near(&requests, &lists);
    near.print(requests.len(), reachable);
    for served in sketches_alone(&requests, &lists) {
        served.print(requests.len(), reachable);
    }
    println!("\nrepeats with an edit of a class, and how many of them are known by the near tier");
    for (class, [repeats, known]) in by_edit {
        println!("  {class:<14} {repeats:>7} {:>7.2}%", 100.0 * known as f64 / repeats as f64);
    }
    println!();
    for (asked, served) in near.wrong.iter().filter(|_| options.wrong) {
        println!("WRONG: {asked}\n       {served}");
    }
    for (asked, kept) in missed.iter().take(options.missed) {
        println!("missed: {asked}\n        {kept}");
        println!("        {}\n        {}", canonical(asked, &lists).text(), canonical(kept, &lists).text());
    }
    let mut broken = Vec::new();
    if near.right * 100 < reachable * 95 {
        broken.push(format!("{} of {reachable} reachable repeats are captured", near.right));
    }
    if !near.wrong.is_empty() {
        broken.push(format!("{} wrong pictures are served", near.wrong.len()));
    }
    broken
}

fn by_key(name: &str, requests: &[Request], key: impl Fn(&str) -> Vec<u8>) -> Served {
    let mut served = Served::new(name);
    let mut kept: HashMap<Vec<u8>, usize> = HashMap::new();
    for (at, request) in requests.iter().enumerate() {
        let key = key(&request.prompt);
        let found = kept.get(&key).map(|at| &requests[*at]);
        served.count(request, found);
        if found.is_none() {
            kept.insert(key, at);
        }
    }
    served
}

/// What the matcher served.
struct Near {
    served: Served,
    /// Repeats that nothing was found for, each with the first prompt that meant its picture.
    missed: Vec<(String, String)>,
    /// Of each class of edits: the repeats that had one, and those that were known.
    by_edit: BTreeMap<&'static str, [usize; 2]>,
}

/// Canonical, then the nearest candidates whose every difference is explained.
fn near(requests: &[Request], lists: &Arc<WordLists>) -> Near {
    let mut by_edit: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut served = Served::new("canonical and near, verified");
    let mut kept = Kept::default();
    let mut first: HashMap<u32, usize> = HashMap::new();
    let mut missed = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let prompt = canonical(&request.prompt, lists);
        let sketch = prompt.sketch();
        let found = kept.by_bytes.get(prompt.canonical_bytes()).copied().or_else(|| {
            let candidates = kept.candidates(&sketch, CANDIDATE_DISTANCE);
            let mut compared = candidates.iter().take(COMPARED);
            let found = compared.find(|(_, at)| compare(&prompt, &kept.prompts[*at], lists).is_same_picture());
            found.map(|(_, at)| kept.requests[*at])
        });
        served.count(request, found.map(|at| &requests[at]));
        if first.contains_key(&request.intent.number) {
            for class in &request.edits {
                let row = by_edit.entry(class.as_str()).or_default();
                row[0] += 1;
                row[1] += usize::from(found.is_some());
            }
        }
        if let (None, Some(before)) = (found, first.get(&request.intent.number)) {
            missed.push((request.prompt.clone(), requests[*before].prompt.clone()));
        }
        if found.is_none() {
            first.entry(request.intent.number).or_insert(at);
            kept.add(prompt, sketch, at);
        }
    }
    Near { served, missed, by_edit }
}

/// The negative control: the nearest prompt within a distance is served, and nothing is looked at. A harness that showed no wrong
/// pictures here could not see any.
fn sketches_alone(requests: &[Request], lists: &Arc<WordLists>) -> Vec<Served> {
    let sketches: Vec<Sketch> = requests.iter().map(|request| canonical(&request.prompt, lists).sketch()).collect();
    [16, 32]
        .map(|within| {
            let mut served = Served::new(&format!("SimHash alone, within {within}"));
            let mut kept: Vec<usize> = Vec::new();
            for (at, request) in requests.iter().enumerate() {
                let nearest = kept.iter().map(|other| (distance(&sketches[at], &sketches[*other]), *other)).min();
                let found = nearest.filter(|(distance, _)| *distance <= within).map(|(_, other)| &requests[other]);
                served.count(request, found);
                if found.is_none() {
                    kept.push(at);
                }
            }
            served
        })
        .into()
}
