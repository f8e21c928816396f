//! The reference month: the same requests through the cache itself, as the gateway asks it, and how many drawings that saves.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use easel::internals::cache::{
    Asked, CacheLookup, CacheTiers, Freshness, GeneratedPicture, Kept, Looked, PlacedPicture,
};
use easel::internals::canonical::Canonical;
use easel::internals::config::plan::{Cache, CacheWords};
use easel::internals::image::{Encoded, Format, Size};
use easel::internals::prompt_match::WordLists;
use easel::{ImageRequest, Picture, Usd};
use easel_prompts::{Request, Traffic};

use crate::Options;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What a published case study saved of its own traffic (CACHE_QUALITY.md section 1): a share of other requests than these,
/// without a word on how many of its pictures were wrong.
const PUBLISHED: &str = "a published case study: 34% of its own requests, wrong pictures not told";

/// A cache without bounds, to which everything is handed in the order of a month.
struct Month {
    tiers: CacheTiers,
    lists: Arc<WordLists>,
    began: Instant,
    /// Pictures served, by how they were found.
    served: BTreeMap<&'static str, usize>,
    wrong: Vec<(String, String)>,
    drawn: usize,
}

/// What is broken.
pub fn print(options: &Options) -> Vec<String> {
    let requests: Vec<Request> = Traffic::new(options.seed, options.zipf).take(options.requests).collect();
    let mut intents = HashSet::new();
    let reachable = requests.iter().filter(|request| !intents.insert(request.intent.number)).count();
    let mut month = Month::new();
    for (nth, request) in requests.iter().enumerate() {
        month.ask(
            request,
            MONTH / u32::try_from(requests.len()).unwrap_or(u32::MAX) * u32::try_from(nth).unwrap_or(u32::MAX),
        );
    }
    let served: usize = month.served.values().sum();
    let percent = |part: usize| 100.0 * part as f64 / requests.len().max(1) as f64;
    println!(
        "\nreference month: {} requests in 30 days through the cache, `near: verified`, one picture each",
        requests.len()
    );
    println!("  drawn                 {:>7}", month.drawn);
    println!("  not drawn             {served:>7}  {:>5.1}% of the requests", percent(served));
    for (tier, pictures) in &month.served {
        println!("    {tier:<19} {pictures:>7}");
    }
    println!("  the most there can be {reachable:>7}  {:>5.1}%: what was asked for before", percent(reachable));
    println!("  wrong pictures        {:>7}", month.wrong.len());
    println!("  ({PUBLISHED})");
    for (asked, drawn_for) in month.wrong.iter().filter(|_| options.wrong) {
        println!("WRONG: {asked}\n       {drawn_for}");
    }
    let mut broken = Vec::new();
    if served > reachable || !month.wrong.is_empty() {
        broken.push(format!("{served} of {reachable} repeats are served, {} of them wrong", month.wrong.len()));
    }
    broken
}

impl Month {
    fn new() -> Month {
        let bounds = Cache { memory: 64 << 30, links: 0, prompts: 0, words: CacheWords::default() };
        Month {
            tiers: CacheTiers::new(&bounds, None, 5),
            lists: WordLists::builtin(),
            began: Instant::now(),
            served: BTreeMap::new(),
            wrong: Vec::new(),
            drawn: 0,
        }
    }

    /// Serves a request that comes so long after the first, or draws what it means.
    fn ask(&mut self, request: &Request, after: Duration) {
        let body = serde_json::json!({"prompt": request.prompt, "size": "1024x1024"}).to_string();
        let parsed = ImageRequest::from_json(body.as_bytes()).expect("a request");
        let canonical = Canonical::new("web", "mockups", None, &parsed, 5);
        let now = self.began + after;
        let asked = Asked {
            canonical: &canonical,
            n: 1,
            variants: 1,
            near: Some(&self.lists),
            learned: None,
            serves: true,
            caller: 0,
            freshness: Freshness { ttl: MONTH, now, offer_digest: &|_| Some([1; 32]) },
        };
        match self.tiers.look(&asked) {
            Looked::Found(CacheLookup::Hit(found)) => {
                *self.served.entry(found.tier().as_str()).or_default() += 1;
                let Encoded::Raw(bytes) = &found.pictures[0].generated.picture.encoded else { return };
                let (intent, drawn_for) = bytes.split_at(size_of_val(&request.intent.number));
                if intent != request.intent.number.to_le_bytes() {
                    self.wrong.push((request.prompt.clone(), String::from_utf8_lossy(drawn_for).into_owned()));
                }
            }
            _ => self.draw(request, &canonical, now),
        }
    }

    /// A picture that says what it was drawn for.
    fn draw(&mut self, request: &Request, canonical: &Canonical, now: Instant) {
        self.drawn += 1;
        let bytes = [&request.intent.number.to_le_bytes()[..], request.prompt.as_bytes()].concat();
        let picture = Picture {
            encoded: Encoded::Raw(bytes.into()),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        let generated = Arc::new(GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 5));
        let pictures = [PlacedPicture { place: 0, generated }];
        let new = Kept { canonical, pictures: &pictures, offer_digest: [1; 32], ttl: MONTH, now };
        self.tiers.keep(&new, Some(&self.lists), None).expect("it is small");
    }
}
