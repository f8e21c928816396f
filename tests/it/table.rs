//! The table of docs/reference/providers.md, held cell by cell against what happens over HTTP.
//!
//! A cell is a word that the page explains. Here it becomes a claim about all offers of its row, and each of them is
//! asked for that very thing, pinned, at vendors that are strict and charge another price than the config says. What a
//! provider's code claims is not looked at, save for how many pictures to ask for at once. Whether a wish reaches the
//! vendor in the right words is the golden samples' business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use easel::internals::config::plan::{EditOverride, Provider};
use easel::internals::provider::{ALL, by_kind, capabilities, text};
use easel::sandbox::{Name, Settings};
use easel::{Plan, Usd};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::providers::{CONFIG, EDIT, picture, speak};
use crate::stream::events;
use crate::world::{GENERATE, World, plan};

const PAGE: &str = include_str!("../../docs/reference/providers.md");

const COLUMNS: [&str; 10] =
    ["kind", "what it is", "generate", "edit", "mask", "n", "seed", "negative prompt", "stream", "settled by"];

/// What no offer of `providers.rs` shows: those that can't what others of their row can, and costs told or kept quiet.
const MORE: &str = "
  azure-classic: {kind: azure, base_url: '${SANDBOX}/azure/', api_key: k,
    models: {pictures-dall-e-3: {price: 0.04, model_family: dall-e-3}}}
  header: {kind: openai_compatible, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    dialect: {cost_header: x-cost}, models: {any-model: {price: 0.04}}}
  answer: {kind: openai_compatible, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    dialect: {cost_at: usage.usd}, models: {any-model: {price: 0.04}}}
  litellm-silent: {kind: openai_compatible, preset: litellm, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    models: {any-model: {price: 0.04}}}
  gemini: {kind: google, base_url: '${SANDBOX}/google/v1beta/', api_key: k,
    models: {imagen-4.0-generate-001: {price: 0.04}}}
  vertex-more: {kind: google, base_url: '${SANDBOX}/google/', project: p1, location: global,
    credentials: 'CREDENTIALS',
    models: {gemini-3.1-flash-image: {price: 0.04}, imagen-3.0-generate-001: {price: 0.04},
      imagen-4.0-generate-001: {price: 0.04}}}
  openrouter-any: {kind: openrouter, base_url: '${SANDBOX}/openrouter/api/v1/', api_key: k,
    models: {somebody/new: {price: 0.04}}}
  bfl-more: {kind: bfl, base_url: '${SANDBOX}/bfl/', api_key: k,
    models: {flux-kontext-pro: {price: 0.04}, flux-pro-1.0-fill: {price: 0.04}}}
  dashscope-more: {kind: dashscope, base_url: '${SANDBOX}/dashscope/', api_key: k,
    models: {z-image-turbo: {price: 0.04}}}
  dashscope-units: {kind: dashscope, base_url: '${SANDBOX}/dashscope/', api_key: k,
    models: {wan2.6-t2i: {price: 0.04, unit_price: 0.03}}}
  fal-more: {kind: fal, base_url: '${SANDBOX}/fal/', api_key: k,
    models: {openai/gpt-image-2: {price: 0.04}, fal-ai/fast-sdxl: {price: 0.04}, fal-ai/flux-2-pro: {price: 0.04}}}
";

/// What the vendors charge for a picture; no config says so.
const CHARGED: Usd = Usd::from_nanos(30_000_000);

/// By what a provider of the config learns what a call costs, in the table's words, where it learns it at all.
const TELLS: [(&str, &str); 9] = [
    ("header", "header"),
    ("litellm", "header"),
    ("answer", "answer"),
    ("openrouter", "usage.cost"),
    ("openrouter-any", "usage.cost"),
    ("bfl", "cost"),
    ("bfl-more", "cost"),
    ("dashscope-units", "units"),
    ("fal", "units"),
];

/// What the names in cells mean, as parts of a model's name.
const NAMES: [(&str, &[&str]); 6] = [
    ("Gemini", &["gemini"]),
    ("Imagen", &["imagen"]),
    ("old Imagen", &["imagen-3"]),
    ("SDXL", &["sdxl", "stable-diffusion-xl"]),
    ("OpenAI", &["openai"]),
    ("GPT image models", &["gpt-image"]),
];

/// What one offer was seen to do.
#[derive(Default)]
struct Deeds {
    offer: String,
    generate: bool,
    edit: bool,
    mask: bool,
    n: u8,
    seed: bool,
    negative_prompt: bool,
    partials: bool,
    settled_by: &'static str,
    /// What its config says of edits: `edit_path`, `edit: true`.
    says: BTreeSet<&'static str>,
}

impl Deeds {
    /// Whether a name in a cell, or a word of the config, means this offer.
    fn named(&self, name: &str) -> bool {
        let (_, model) = self.offer.split_once('/').unwrap();
        let parts = NAMES.iter().find(|(known, _)| *known == name).map(|(_, parts)| *parts);
        self.says.contains(name) || parts.unwrap_or(&[name]).iter().any(|part| model.contains(part))
    }
}

/// The table's rows: what each is of, a kind or `preset: NAME`, and its cells by column.
fn all_rows() -> BTreeMap<String, BTreeMap<&'static str, String>> {
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    assert_eq!(cells(lines.next().unwrap()), COLUMNS, "the table's columns");
    let row = |line| {
        let cells = cells(line);
        assert_eq!(cells.len(), COLUMNS.len(), "{line}");
        let subject = cells[0].strip_prefix("with ").unwrap_or(&cells[0]).to_owned();
        (subject, COLUMNS.into_iter().zip(cells).collect())
    };
    lines.skip(1).map(row).collect()
}

/// The rows of those who draw.
pub fn rows() -> BTreeMap<String, BTreeMap<&'static str, String>> {
    let mut rows = all_rows();
    // The kinds that write: `tests/it/enrich.rs`.
    text::KINDS.iter().for_each(|kind| drop(rows.remove(kind.name)));
    rows
}

/// The row that a provider of the config belongs to; one with a preset has its name, or begins with it.
fn row_of(provider: &Provider) -> String {
    let presets =
        easel::internals::config::presets().filter(|preset| provider.name.starts_with(&preset.replace('_', "-")));
    let preset = presets.max_by_key(|preset| preset.len()).filter(|_| provider.kind == "openai_compatible");
    preset.map_or_else(|| provider.kind.to_owned(), |preset| format!("preset: {preset}"))
}

/// Every model of every provider as an offer of one route.
fn config() -> String {
    // Where a unit has a price, it is the vendor's.
    let providers = format!("{CONFIG}{MORE}").replace("unit_price: 0.04", "unit_price: 0.03");
    let read: Value = serde_yaml::from_str(&providers).unwrap();
    let of = |(provider, entry): (&String, &Value)| -> Vec<String> {
        entry["models"].as_object().unwrap().keys().map(|model| format!("{provider}/{model}")).collect()
    };
    let offers: Vec<String> = read["providers"].as_object().unwrap().iter().flat_map(of).collect();
    format!(
        "{providers}\nroutes:\n  - {{name: all, offers: {}, cache: false, size: {{tolerance: 60%}}}}\n",
        json!(offers)
    )
}

/// Lets the vendor of a compatible provider speak as it does to that one.
fn speak_to(world: &World, provider: &Provider) {
    let row = row_of(provider);
    speak(world, &row.trim_start_matches("preset: ").replace('_', "-"));
    world.set(Name::Compatible, |vendor| match provider.name.as_str() {
        "header" => vendor.dialect.cost_header = Some("x-cost".to_owned()),
        "answer" => vendor.dialect.cost_at = Some("usage.usd".to_owned()),
        "litellm-silent" => vendor.dialect.cost_header = None,
        _ => {}
    });
}

/// An offer being asked.
struct Asked<'a> {
    world: &'a World,
    offer: &'a str,
    vendor: Name,
}

impl Asked<'_> {
    /// The answer to a wish, and how many calls it took; `None` when the offer can't, which must be for one of these
    /// reasons and told before the vendor is asked.
    async fn met(&self, wish: &Wish, more: Value, reasons: &[&str]) -> Option<(Answer, u64)> {
        let (path, mut body) = wish.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body["model"] = json!(self.offer);
        body["prompt"] = json!("a red fox in the snow");
        let before = self.world.bill(self.vendor).calls;
        let answer = self.world.client().await.post(path, &body).await;
        let bill = self.world.bill(self.vendor);
        assert_eq!(bill.violations, [""; 0], "{}", self.offer);
        let calls = bill.calls - before;
        if answer.status == 200 {
            return Some((answer, calls));
        }
        let skipped = reasons.iter().any(|why| answer.header("x-easel-skipped") == format!("{}={why}", self.offer));
        let told = format!("{} {more}: {} {}", self.offer, answer.header("x-easel-skipped"), answer.text());
        assert!([400, 404].contains(&answer.status) && calls == 0 && skipped, "{told}");
        None
    }
}

/// A path and a body, which still lacks model and prompt.
type Wish = (&'static str, Value);

/// Asks an offer for everything that the table has a column for.
async fn deeds(world: &World, provider: &Provider, model: &str, offer: &str) -> Deeds {
    let vendor = Name::ALL.into_iter().find(|name| provider.kind.ends_with(name.as_str())).unwrap();
    let asked = Asked { world, offer, vendor };
    let wishes: [(Wish, &[&str]); 3] = [
        ((GENERATE, json!({})), &["generate"]),
        ((EDIT, json!({"images": [picture(1024, 255)]})), &["edit", "mask_missing"]),
        ((EDIT, json!({"images": [picture(1024, 255)], "mask": picture(1024, 0)})), &["edit", "mask"]),
    ];
    let mut answers = Vec::new();
    for (wish, reasons) in &wishes {
        answers.push(asked.met(wish, json!({}), reasons).await);
    }
    let able: Vec<bool> = answers.iter().map(Option::is_some).collect();
    let at = able.iter().position(|able| *able).unwrap_or_else(|| panic!("{offer} does nothing"));
    let (wish, (answer, _)) = (&wishes[at].0, answers[at].as_ref().unwrap());
    Deeds {
        offer: offer.to_owned(),
        generate: able[0],
        edit: able[1],
        mask: able[2],
        n: pictures_a_call(&asked, wish, provider, model).await,
        seed: keeps_to_its_seed(&asked, wish).await,
        negative_prompt: asked.met(wish, json!({"negative_prompt": "text"}), &["negative_prompt"]).await.is_some(),
        partials: streams_partials(&asked, wish).await,
        settled_by: settled_by(provider, model, answer),
        says: said_of_edits(provider, model),
    }
}

/// How many pictures a call draws: so many are one call, and one more is two.
async fn pictures_a_call(asked: &Asked<'_>, wish: &Wish, provider: &Provider, model: &str) -> u8 {
    let kind = by_kind(provider.kind).unwrap();
    let most = capabilities(kind, &provider.account, &provider.models[model]).max_n;
    for (n, calls) in [(most, 1), (most + 1, 2)] {
        if (2..=10).contains(&n) {
            let (answer, made) = asked.met(wish, json!({"n": n}), &[]).await.unwrap();
            let drawn = answer.json()["data"].as_array().unwrap().len();
            assert_eq!((drawn, made), (usize::from(n), calls), "{} n={n}", asked.offer);
        }
    }
    most
}

/// Whether the offer takes a seed; then the same seed must draw the same picture.
async fn keeps_to_its_seed(asked: &Asked<'_>, wish: &Wish) -> bool {
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let answer = asked.met(wish, json!({"seed": 7}), &["seed"]).await;
        drawn.push(answer.map(|(answer, _)| answer.json()["data"][0]["b64_json"].clone()));
    }
    assert_eq!(drawn[0], drawn[1], "{} draws another picture from the same seed", asked.offer);
    drawn[0].is_some()
}

/// Whether unfinished pictures are shown; the finished one is always an event, the last.
async fn streams_partials(asked: &Asked<'_>, wish: &Wish) -> bool {
    // What is finished at once has nothing unfinished to show. Long enough for a busy machine to show it.
    asked.world.set(asked.vendor, |vendor| vendor.latency = Duration::from_millis(700));
    let (answer, _) = asked.met(wish, json!({"stream": true, "partial_images": 2}), &[]).await.unwrap();
    asked.world.set(asked.vendor, |vendor| vendor.latency = Duration::ZERO);
    let events = events(&answer.text());
    let (last, before) = events.split_last().unwrap();
    assert!(last.0.ends_with(".completed"), "{}: {}", asked.offer, last.0);
    assert!(before.iter().all(|(name, _)| name.ends_with(".partial_image")), "{}", asked.offer);
    !before.is_empty()
}

/// Where the price of an answer comes from: it is the config's or the vendor's.
fn settled_by(provider: &Provider, model: &str, answer: &Answer) -> &'static str {
    let cost: Usd = answer.header("x-easel-cost-usd").parse().unwrap();
    let tells = TELLS.iter().find(|(name, _)| *name == provider.name).map(|(_, tells)| *tells);
    match (cost == CHARGED, tells) {
        (true, Some(tells)) => tells,
        (true, None) => panic!("{}/{model} learns its cost, and nobody says by what", provider.name),
        (false, _) => "table",
    }
}

/// The table's words for what the config says of a model's edits.
fn said_of_edits(provider: &Provider, model: &str) -> BTreeSet<&'static str> {
    let path = provider.account.dialect.edit_path.as_ref().map(|_| "edit_path");
    let edit = matches!(provider.models[model].capabilities.edit, Some(EditOverride::Within { .. }));
    path.into_iter().chain(edit.then_some("edit: true")).collect()
}

/// Whether a cell's word is right: `yes`, `no`, `model` for some, or the names of those that can.
fn right(cell: &str, offers: &[&Deeds], does: impl Fn(&Deeds) -> bool) -> bool {
    let can = offers.iter().filter(|offer| does(offer)).count();
    match cell {
        "yes" => can == offers.len(),
        "no" => can == 0,
        "model" => (1..offers.len()).contains(&can),
        names => can > 0 && offers.iter().all(|offer| does(offer) == names.split(", ").any(|name| offer.named(name))),
    }
}

/// Whether `n` is right: a number for all, `1 to 4` for the ends, `1 or 4` for all there are, `1, SDXL 10` by name.
fn right_n(cell: &str, offers: &[&Deeds]) -> bool {
    let seen: BTreeSet<u8> = offers.iter().map(|offer| offer.n).collect();
    let number = |text: &str| text.parse::<u8>().unwrap_or_else(|_| panic!("`{text}` in `{cell}` is no number"));
    if let Some((least, most)) = cell.split_once(" to ") {
        return (seen.first(), seen.last()) == (Some(&number(least)), Some(&number(most)));
    }
    if cell.contains(" or ") {
        return seen == cell.split(" or ").map(number).collect();
    }
    let parts: Vec<(&str, u8)> =
        cell.split(", ").map(|part| part.rsplit_once(' ').unwrap_or(("", part))).map(|(a, b)| (a, number(b))).collect();
    let of = |offer: &Deeds| {
        let named = parts.iter().find(|(name, _)| !name.is_empty() && offer.named(name));
        named.or_else(|| parts.iter().find(|(name, _)| name.is_empty())).map(|(_, n)| *n)
    };
    seen == parts.iter().map(|(_, n)| *n).collect() && offers.iter().all(|offer| of(offer) == Some(offer.n))
}

/// Whether these are the sources of what is settled, all of them and no others.
fn right_sources(cell: &str, offers: &[&Deeds]) -> bool {
    let words = cell.split(", ").map(|word| word.strip_prefix("or ").unwrap_or(word));
    words.collect::<BTreeSet<&str>>() == offers.iter().map(|offer| offer.settled_by).collect()
}

/// A column that is yes or no for one offer.
type Does = fn(&Deeds) -> bool;

/// The cells of a row that are wrong, with what was seen instead.
fn wrong(row: &BTreeMap<&'static str, String>, offers: &[&Deeds]) -> Vec<String> {
    let does: [(&str, Does); 6] = [
        ("generate", |offer| offer.generate),
        ("edit", |offer| offer.edit),
        ("mask", |offer| offer.mask),
        ("seed", |offer| offer.seed),
        ("negative prompt", |offer| offer.negative_prompt),
        ("stream", |offer| offer.partials),
    ];
    let mut wrong = Vec::new();
    let mut hold = |column: &str, right: bool, seen: &dyn Fn(&Deeds) -> String| {
        if !right {
            let seen: Vec<String> = offers.iter().map(|offer| format!("{} {}", offer.offer, seen(offer))).collect();
            wrong.push(format!("{column} is not `{}`: {}", row[column], seen.join(", ")));
        }
    };
    for (column, does) in does {
        let word = match (column, row[column].as_str()) {
            ("stream", "whole") => "no",
            ("stream", "partials") => "GPT image models",
            (_, word) => word,
        };
        hold(column, right(word, offers, does), &|offer| does(offer).to_string());
    }
    hold("n", right_n(&row["n"], offers), &|offer| offer.n.to_string());
    hold("settled by", right_sources(&row["settled by"], offers), &|offer| offer.settled_by.to_owned());
    wrong
}

/// What all offers do, by row. Vendors are asked side by side, and each one thing at a time, so that calls can be
/// counted and an accent lasts as long as it has to.
async fn seen(world: &World, plan: &Plan) -> BTreeMap<String, Vec<Deeds>> {
    let of_kind = async |kind: &'static str| {
        let mut seen = Vec::new();
        for provider in plan.providers.values().filter(|provider| provider.kind == kind) {
            if kind == "openai_compatible" {
                speak_to(world, provider);
            }
            for model in provider.models.keys() {
                let offer = format!("{}/{model}", provider.name);
                seen.push((row_of(provider), deeds(world, provider, model, &offer).await));
            }
        }
        seen
    };
    let mut by_row: BTreeMap<String, Vec<Deeds>> = BTreeMap::new();
    for (row, deeds) in join_all(ALL.iter().map(|provider| of_kind(provider.name()))).await.into_iter().flatten() {
        by_row.entry(row).or_default().push(deeds);
    }
    by_row
}

#[test]
fn who_only_writes_has_a_row_that_promises_no_picture() {
    for kind in text::KINDS {
        let row = &all_rows()[kind.name];
        let promises =
            ["generate", "edit", "mask", "n", "seed", "negative prompt", "stream"].map(|cell| row[cell].as_str());
        assert_eq!(promises, ["no", "no", "no", "-", "-", "-", "no"]);
        assert!(by_kind(kind.name).is_none(), "it has no way to draw");
    }
}

#[test]
fn every_kind_and_every_preset_has_a_row() {
    let kinds = ALL.iter().map(|provider| provider.name().to_owned());
    let all: BTreeSet<String> =
        kinds.chain(easel::internals::config::presets().map(|name| format!("preset: {name}"))).collect();
    assert_eq!(rows().into_keys().collect::<BTreeSet<_>>(), all);
}

#[test]
fn a_cell_is_right_for_all_offers_of_its_row_or_wrong() {
    let offer = |offer: &str, mask, n| Deeds { offer: offer.to_owned(), mask, n, ..Deeds::default() };
    let (fill, sdxl) = (offer("p/flux-fill", true, 1), offer("p/sdxl", false, 4));
    let offers = [&fill, &sdxl];
    for (cell, holds) in [("fill", true), ("model", true), ("yes", false), ("no", false), ("SDXL", false), ("x", false)]
    {
        assert_eq!(right(cell, &offers, |offer| offer.mask), holds, "{cell}");
    }
    for (cell, holds) in [("1 to 4", true), ("1 or 4", true), ("1, SDXL 4", true), ("1 to 3", false), ("4", false)] {
        assert_eq!(right_n(cell, &offers), holds, "{cell}");
    }
    assert!(!right_n("1, fill 4", &offers) && !right_n("1, SDXL 4, x 4, y 2", &offers));
    assert!(right_n("1", &offers[..1]) && right("yes", &offers[..1], |offer| offer.mask));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_is_what_happens_over_http() {
    let mut settings = Settings::default();
    for name in Name::ALL {
        settings.vendors.get_mut(name).default_price = CHARGED;
    }
    // A model of a maker that nobody described: its vendor knows it by its price.
    settings.vendors.openrouter.price.insert("somebody/new".to_owned(), CHARGED);
    let world = crate::google::with_account(&config(), settings).await;
    let plan = plan(&config().replace("CREDENTIALS", "metadata"), &world.sandbox.url());
    let seen = seen(&world, &plan).await;
    let mut report = String::new();
    for (subject, row) in rows() {
        let offers: Vec<&Deeds> = seen.get(&subject).map_or_else(Vec::new, |offers| offers.iter().collect());
        for wrong in wrong(&row, &offers) {
            report += &format!("{subject}: {wrong}\n");
        }
    }
    assert!(report.is_empty(), "docs/reference/providers.md is wrong:\n{report}");
}
