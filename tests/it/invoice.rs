//! Ten thousand requests over every vendor, and what each provider's invoice and Easel's record of it have between
//! them: nothing.
//!
//! A vendor's prices are written twice, in Easel's words and in the vendor's own, and the sandbox shares no code with
//! what reads the first. One provider is asked after the other, because several of them are one vendor of the sandbox
//! that speaks in another accent each time. No amount is compared with a tolerance, and none is taken from an answer.

use std::collections::BTreeMap;

use easel::Usd;
use easel::internals::ledger::SpendKind;
use easel::internals::money;
use easel::internals::store::report::{Figures, ReportBy, ReportQuery};
use easel::sandbox::{Mode, Name, Vendor};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::providers::{ALL, EDIT, Line, picture, provider_of, speak};
use crate::tariffs::{PARTS, Part, priced, settings};
use crate::world::{GENERATE, World, plan};

/// Clients that share a provider's requests.
const CLIENTS: usize = 16;

/// The same where a client mostly waits between one look at its picture and the next.
const PATIENT: usize = 80;

/// How many pictures are asked for: every number that a request may, small ones more often.
const NUMBERS: [u64; 20] = [1, 1, 2, 1, 3, 1, 2, 4, 1, 10, 1, 2, 5, 1, 6, 3, 7, 1, 8, 9];

/// One request in so many is left by its client before its answer.
const LEAVING: usize = 20;

/// What became of requests.
#[derive(Default)]
pub struct Tally {
    pub asked: usize,
    pub drawn: usize,
    pub refused: usize,
    pub left: usize,
}

/// The pictures that edits begin with, drawn once.
struct Given {
    picture: Value,
    mask: Value,
}

impl Part {
    /// Lets the vendor speak and charge as it does to this provider.
    fn set(&self, world: &World) {
        speak(world, self.provider);
        let Vendor { price, price_table, default_price, rates, .. } = serde_yaml::from_str(self.charges).unwrap();
        world.set(self.vendor, |vendor| {
            (vendor.price, vendor.price_table) = (price, price_table);
            (vendor.default_price, vendor.rates) = (default_price, rates);
        });
    }

    /// The request of this turn: every model that can do it comes to its turn, one in ten is an edit where any can.
    fn request(&self, turn: usize, given: &Given) -> (&'static str, Value) {
        let word = match turn % 40 {
            3 | 23 => " cached by the way",
            5 => " thinking",
            9 => " blurred",
            19 => " withheld",
            _ => "",
        };
        let mut body = json!({"prompt": format!("picture {turn} of {}{word}", self.provider),
            "n": NUMBERS[turn % NUMBERS.len()], "size": self.sizes[turn / 3 % 2]});
        if turn % 3 == 1 {
            body["quality"] = json!(["low", "high"][turn / 6 % 2]);
        }
        let edit = |masked: bool| {
            let mut body = body.clone();
            body["images"] = json!([given.picture]);
            if masked {
                body["mask"] = given.mask.clone();
            }
            (EDIT, body)
        };
        let mut kinds = [(GENERATE, body.clone()), edit(false), edit(true)];
        kinds.rotate_left(match turn % 20 {
            4 => 1,
            14 => 2,
            _ => 0,
        });
        let of_provider = |line: &&Line| provider_of(line.offer) == self.provider;
        let able = |(path, body): &(&str, Value)| -> Vec<&str> {
            let lines = ALL.iter().filter(of_provider).filter(|line| line.able(path, body));
            lines.map(|line| line.offer).collect()
        };
        let (path, mut body) = kinds.into_iter().find(|kind| !able(kind).is_empty()).unwrap();
        let offers = able(&(path, body.clone()));
        body["model"] = json!(offers[turn % offers.len()]);
        (path, body)
    }

    fn clients(&self) -> usize {
        if matches!(self.vendor, Name::DashScope | Name::Bfl | Name::Fal) { PATIENT } else { CLIENTS }
    }

    /// One client's share of the first so many requests, one after the other.
    async fn ask(&self, world: &World, client: usize, given: &Given, requests: usize) -> Tally {
        let (mut connection, mut tally) = (world.client().await, Tally::default());
        for turn in (client..requests).step_by(self.clients()) {
            let (path, body) = self.request(turn, given);
            tally.asked += 1;
            let answer = match turn % LEAVING == 7 {
                true => self.leave(world, path, &body).await,
                false => Some(connection.post(path, &body).await),
            };
            match answer {
                None => tally.left += 1,
                Some(answer) => tally.count(&answer),
            }
        }
        tally
    }

    /// A client that is gone as soon as its vendor works for it, unless it was answered first.
    async fn leave(&self, world: &World, path: &str, body: &Value) -> Option<Answer> {
        let (mut client, before) = (world.client().await, world.bill(self.vendor).calls);
        client.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await;
        tokio::select! {
            biased;
            answer = client.receive() => answer,
            _ = world.sandbox.until(self.vendor, |bill| bill.calls > before) => None,
        }
    }
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        match answer.status {
            200 => self.drawn += 1,
            400 => {
                assert_eq!(answer.error().1, "moderation_blocked", "{}", answer.text());
                self.refused += 1;
            }
            status => assert!([429, 502, 503].contains(&status), "{}", answer.text()),
        }
    }

    fn and(self, other: Tally) -> Tally {
        let Tally { asked, drawn, refused, left } = other;
        Tally {
            asked: self.asked + asked,
            drawn: self.drawn + drawn,
            refused: self.refused + refused,
            left: self.left + left,
        }
    }
}

/// The record's figures by provider.
pub fn recorded(world: &World) -> BTreeMap<String, Figures> {
    let query = ReportQuery { by: vec![ReportBy::Provider], ..ReportQuery::default() };
    let rows = world.gateway.shared.durable_ledger.store().report(&query).unwrap();
    rows.into_iter().map(|row| (row.keys[0].clone(), row.figures)).collect()
}

/// What the ledger in memory has by provider: invoiced, and uncertain.
fn remembered(world: &World) -> BTreeMap<String, [Usd; 2]> {
    let mut sums: BTreeMap<String, [Vec<Usd>; 2]> = BTreeMap::new();
    for (account, total) in world.gateway.shared.ledger.totals() {
        assert_ne!(account.kind, SpendKind::Prepaid, "nothing here is paid for in advance");
        sums.entry(account.provider).or_default()[usize::from(account.kind == SpendKind::Uncertain)].push(total.usd);
    }
    sums.into_iter().map(|(provider, sums)| (provider, sums.map(|sum| money::sum(sum).unwrap()))).collect()
}

/// What a vendor put on its invoice for one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invoiced {
    pub usd: Usd,
    pub calls: u64,
    pub pictures: u64,
}

impl Invoiced {
    fn between(world: &World, vendor: Name, before: Invoiced) -> Invoiced {
        let bill = world.bill(vendor);
        assert_eq!(bill.violations, Vec::<String>::new(), "{vendor}");
        let usd = bill.usd.checked_sub(before.usd).unwrap();
        Invoiced { usd, calls: bill.calls - before.calls, pictures: bill.pictures - before.pictures }
    }

    fn so_far(world: &World, vendor: Name) -> Invoiced {
        Invoiced::between(world, vendor, Invoiced { usd: Usd::ZERO, calls: 0, pictures: 0 })
    }
}

/// Asks every provider for one in so many of its requests; what each of them charged for it, and what became of the
/// requests.
pub async fn ask_everybody(world: &World, one_in: usize) -> (BTreeMap<String, Invoiced>, Tally) {
    let given = Given { picture: picture(1024, 255), mask: picture(1024, 0) };
    let (mut invoiced, mut tally) = (BTreeMap::new(), Tally::default());
    for part in &PARTS {
        part.set(world);
        let before = Invoiced::so_far(world, part.vendor);
        let shares =
            join_all((0..part.clients()).map(|client| part.ask(world, client, &given, part.requests / one_in))).await;
        world.idle().await;
        tally = shares.into_iter().fold(tally, Tally::and);
        invoiced.insert(part.provider.to_owned(), Invoiced::between(world, part.vendor, before));
    }
    invoiced.insert("claude".to_owned(), Invoiced::so_far(world, Name::Anthropic));
    (invoiced, tally)
}

/// Calls of which an estimate is all that is known, by provider, as the least and the most of them.
///
/// One charges by the token and tells none: all that it charged are. It draws one picture at a time, so it charged as
/// many calls as pictures. One has prices by quality, tells none, and is asked for none by two requests in three: of its
/// calls that is more than half, because some are not charged, and less than three in four. Everybody else tells what is
/// needed.
fn to_be_estimated(provider: &str, invoiced: &Invoiced) -> (u64, u64) {
    match provider {
        "janus" => (invoiced.pictures, invoiced.pictures),
        "tokenmix" => (invoiced.calls / 2, invoiced.calls * 3 / 4),
        _ => (0, 0),
    }
}

/// Whether what may have been charged has a reason: one call in twenty is answered by a page or by nothing, for which
/// these vendors charge nothing, and nobody could know that. Three are estimated at much more than they charge: a
/// rewritten prompt at the most it may cost, the one whose answers tell another price than the config knows, and one that
/// charges by the token.
fn has_a_reason(provider: &str, row: &Figures) -> bool {
    let share = if matches!(provider, "claude" | "litellm" | "openai") { 1 } else { 4 };
    row.uncertain.checked_mul(share).is_some_and(|much| much < row.usd)
}

/// Holds the record against what was invoiced, estimates included.
fn agree(world: &World, invoiced: &BTreeMap<String, Invoiced>) {
    agree_on_what_is_invoiced(world, invoiced);
    for (provider, row) in &recorded(world) {
        let (least, most) = to_be_estimated(provider, &invoiced[provider]);
        assert!((least..=most).contains(&row.estimated), "{provider}: {least} to {most}: {row:?}");
        assert!(has_a_reason(provider, row), "{provider}: {row:?}");
    }
}

/// Holds the record, and the ledger in memory, against what was invoiced.
pub fn agree_on_what_is_invoiced(world: &World, invoiced: &BTreeMap<String, Invoiced>) {
    let health = world.gateway.shared.durable_ledger.health();
    assert!(health.writable && health.lost == 0, "nothing is to be paid without a record: {health:?}");
    let (recorded, remembered) = (recorded(world), remembered(world));
    assert_eq!(recorded.keys().collect::<Vec<_>>(), invoiced.keys().collect::<Vec<_>>());
    for (provider, invoiced) in invoiced {
        let row = &recorded[provider];
        assert_eq!(row.usd, invoiced.usd, "{provider}: {row:?}");
        assert_eq!((row.attempts, row.billed), (invoiced.calls, invoiced.pictures), "{provider}");
        assert_eq!(remembered[provider], [row.usd, row.uncertain], "{provider}");
    }
    assert_eq!(world.spent(), world.invoiced());
    assert_eq!(world.gateway.shared.ledger.reserved(), Usd::ZERO);
}

/// How many calls in a hundred did not bring all that was asked of them.
async fn share_of_failures(world: &World) -> u64 {
    let (mut good, mut all) = (0, 0);
    for line in world.metrics().await.lines().filter(|line| line.starts_with("easel_attempts_total{")) {
        let calls: u64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        all += calls;
        good += if line.contains("outcome=\"ok\"") { calls } else { 0 };
    }
    (all - good) * 100 / all
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_with_faults_refusals_and_hang_ups_leave_no_nano_dollar_between_invoice_and_ledger() {
    let is_asked = |provider: &str| PARTS.iter().any(|part| part.provider == provider);
    assert!(
        easel::internals::config::presets().all(|preset| is_asked(&preset.replace('_', "-"))),
        "a preset is not asked"
    );
    let draws = |name: &Name| ![Name::Anthropic, Name::Text].contains(name);
    assert!(Name::ALL.into_iter().filter(draws).all(|name| is_asked(name.as_str())), "a vendor is not asked");
    let state = tempfile::tempdir().unwrap();
    let config = priced(state.path());
    let world = World::with(&config, settings()).await;
    let (invoiced, tally) = ask_everybody(&world, 1).await;
    assert_eq!(tally.asked, 10_000);
    assert!(tally.left >= tally.asked * 4 / 100, "{} left", tally.left);
    assert!(tally.refused >= tally.asked * 4 / 100, "{} were refused", tally.refused);
    assert!(tally.drawn >= tally.asked / 2, "{} were drawn", tally.drawn);
    let failed = share_of_failures(&world).await;
    assert!((15..=25).contains(&failed), "{failed}% of the calls failed, where 15% meet a fault and 5% a refusal");
    agree(&world, &invoiced);
    nobody_answers(&world, &config).await;
}

/// An offer of each way to ask, and what the one picture of a call costs there.
const UNANSWERED: [(&str, Name, &str); 5] = [
    ("openai/dall-e-3", Name::OpenAi, "0.040000001"),
    ("localai/flux.1-dev", Name::Compatible, "0.04"),
    ("stability/core", Name::Stability, "0.030000001"),
    ("replicate/black-forest-labs/flux-dev", Name::Replicate, "0.04"),
    ("bfl/flux-pro-1.1", Name::Bfl, "0.04"),
];

/// Vendors that take calls and never answer: each call may have been charged, at what it would have cost, and none is
/// on the invoice or counts as spent.
async fn nobody_answers(world: &World, config: &str) {
    let impatient = config.replace("breaker: {failures", "timeout: 2s, breaker: {failures");
    world.gateway.replace(plan(&impatient, &world.sandbox.url())).unwrap();
    let (before, calls) = (recorded(world), UNANSWERED.map(|(_, vendor, _)| world.bill(vendor).calls));
    for (_, vendor, _) in UNANSWERED {
        world.set(vendor, |vendor| vendor.mode = Mode::Hang);
    }
    let ask = |offer| json!({"model": offer, "prompt": "whatever", "size": "1024x1024"});
    for answer in join_all(UNANSWERED.map(|(offer, ..)| world.draw(ask(offer)))).await {
        assert!([502, 503, 504].contains(&answer.status), "{}", answer.text());
    }
    world.idle().await;
    let (after, memory) = (recorded(world), remembered(world));
    for ((offer, vendor, usd), calls) in UNANSWERED.into_iter().zip(calls) {
        let (provider, unanswered) = (provider_of(offer), world.bill(vendor).calls - calls);
        let (row, before) = (&after[provider], &before[provider]);
        let perhaps = usd.parse::<Usd>().unwrap().checked_mul(u32::try_from(unanswered).unwrap());
        assert!(unanswered > 0, "{provider} was asked");
        assert_eq!((row.usd, row.attempts), (before.usd, before.attempts + unanswered), "{provider}");
        assert_eq!(row.uncertain.checked_sub(before.uncertain), perhaps, "{provider}");
        assert_eq!(memory[provider], [row.usd, row.uncertain], "{provider}");
    }
    assert_eq!(world.spent(), world.invoiced());
}

/// A vendor of each way to ask, with half a dollar a day to spend and one model at the sandbox's price.
const HALF_A_DOLLAR: &str = "
  openai: {kind: openai, base_url: '${SANDBOX}/openai/v1/', COMMON, models: {dall-e-3: {price:
    [{quality: standard, usd: 0.04}, {quality: hd, usd: 0.08}]}}}
  compatible: {kind: openai_compatible, base_url: '${SANDBOX}/compatible/v1/', COMMON,
    dialect: {response_format: url}, models: {any-model: {price: 0.04, sizes: any}}}
  stability: {kind: stability, base_url: '${SANDBOX}/stability/', COMMON, models: {core: {price: 0.04}}}
  replicate: {kind: replicate, base_url: '${SANDBOX}/replicate/v1/', COMMON,
    models: {black-forest-labs/flux-schnell: {price: 0.04}}}
  openrouter: {kind: openrouter, base_url: '${SANDBOX}/openrouter/api/v1/', COMMON,
    models: {openai/gpt-image-2: {price: 0.04}}}
  dashscope: {kind: dashscope, base_url: '${SANDBOX}/dashscope/', COMMON, models: {qwen-image-2.0: {price: 0.04}}}
  bfl: {kind: bfl, base_url: '${SANDBOX}/bfl/', COMMON, models: {flux-pro-1.1: {price: 0.04}}}
  fal: {kind: fal, base_url: '${SANDBOX}/fal/', COMMON, models: {fal-ai/flux/schnell: {price: 0.04}}}
  google: {kind: google, base_url: '${SANDBOX}/google/v1beta/', COMMON,
    models: {gemini-3.1-flash-image: {price: 0.04}}}
";

/// Their offers.
const HALVES: [(&str, Name); 9] = [
    ("openai/dall-e-3", Name::OpenAi),
    ("compatible/any-model", Name::Compatible),
    ("stability/core", Name::Stability),
    ("replicate/black-forest-labs/flux-schnell", Name::Replicate),
    ("openrouter/openai/gpt-image-2", Name::OpenRouter),
    ("dashscope/qwen-image-2.0", Name::DashScope),
    ("bfl/flux-pro-1.1", Name::Bfl),
    ("fal/fal-ai/flux/schnell", Name::Fal),
    ("google/gemini-3.1-flash-image", Name::Google),
];

/// More than a budget has; fewer where each takes as long as its provider's timeout.
fn turns(mode: Mode) -> u64 {
    if mode == Mode::HangingDownload { 3 } else { 15 }
}

/// Asks each of them so often, in this mode, and gives the record's figures by provider.
async fn ask_halves(world: &World, mode: Mode) -> BTreeMap<String, Figures> {
    for (_, vendor) in HALVES {
        world.set(vendor, |vendor| vendor.mode = mode);
    }
    let ask = async |(offer, _): (&str, Name)| {
        let mut client = world.client().await;
        for turn in 0..turns(mode) {
            // Small, so that a slow machine draws them in time; of OpenAI the quality is left out, too.
            let size = if offer.starts_with("openai") { "1024x1024" } else { "512x512" };
            let body = json!({"model": offer, "prompt": format!("{turn}"), "size": size});
            let answer = client.post(GENERATE, &body).await;
            assert!([200, 429, 502, 503, 504].contains(&answer.status), "{mode:?} {offer}: {}", answer.text());
            let attempts = answer.header("x-easel-attempts");
            // What came and is broken is bought once more; what nobody knows of, or can't be fetched, is not.
            let most = if mode == Mode::Truncated { "2" } else { "1" };
            assert!(attempts <= most, "{mode:?} {offer}: bought {attempts} times");
        }
    };
    join_all(HALVES.map(ask)).await;
    world.idle().await;
    recorded(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_done_and_charged_is_never_more_than_what_is_recorded_nor_than_a_budget() {
    let common = "api_key: k, timeout: 4s, breaker: {failures: 1000, pause: 1ms}, budget: {usd: 0.50, per: total}";
    let offers = HALVES.map(|(offer, _)| offer);
    let config = format!(
        "providers:{}routes: [{{name: r, cache: false, offers: {}}}]\n",
        HALF_A_DOLLAR.replace("COMMON", common),
        json!(offers)
    );
    let limit: Usd = "0.50".parse().unwrap();
    for mode in [
        Mode::Normal,
        Mode::Unreadable,
        Mode::GatewayTimeout,
        Mode::CdnTimeout,
        Mode::Redirect,
        Mode::Cut,
        Mode::HangingDownload,
        Mode::Garbage,
        Mode::Truncated,
    ] {
        let world = World::new(&config).await;
        let rows = ask_halves(&world, mode).await;
        for (offer, vendor) in HALVES {
            let (bill, row) = (world.bill(vendor), &rows[provider_of(offer)]);
            let recorded = row.usd.checked_add(row.uncertain).unwrap();
            let what = format!("{mode:?} {offer}: {row:?} {} USD in {} calls", bill.usd, bill.calls);
            assert_eq!(bill.violations, Vec::<String>::new(), "{what}");
            assert!(bill.usd <= recorded && recorded <= limit, "{what}");
            assert_eq!(row.attempts, bill.calls, "{what}");
            // Twelve pictures of four cents are what the budget has, or six where each might cost eight.
            assert!(row.attempts >= turns(mode).min(6), "{what}");
            let told = matches!(mode, Mode::Normal | Mode::Truncated | Mode::HangingDownload);
            if told {
                assert_eq!((row.usd, row.uncertain, row.estimated), (bill.usd, Usd::ZERO, 0), "{what}");
            } else {
                assert_eq!(row.usd, Usd::ZERO, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_may_have_been_charged_is_reckoned_with_everything_that_is_on_top_of_the_price() {
    let config = "providers:
  openrouter: {kind: openrouter, base_url: '${SANDBOX}/openrouter/api/v1/', api_key: k, markup: 10%, fee: 0.001,
    billing: {volume: [{from: 0, discount: 50%}]}, models: {openai/gpt-image-2: {price: 0.04, multiplier: 50%,
      addons: {seed: 0.002}}, google/gemini-3.1-flash-image: {price: {reported: true, estimate: 0.05}}}}
  bfl: {kind: bfl, base_url: '${SANDBOX}/bfl/', api_key: k, markup: 10%, fee: 0.001,
    models: {flux-pro-1.1: {price: 0.9, addons: {seed: 0.003}}}}
routes: [{name: r, cache: false, offers: [openrouter/openai/gpt-image-2, openrouter/google/gemini-3.1-flash-image,
    bfl/flux-pro-1.1]}]
";
    for (offer, vendor, seed, usd) in [
        // 0.04 by half and the add-on, 10% on both, the fee; half of all that.
        ("openrouter/google/gemini-3.1-flash-image", Name::OpenRouter, None, "0.028"),
        ("openrouter/openai/gpt-image-2", Name::OpenRouter, None, "0.0115"),
        ("bfl/flux-pro-1.1", Name::Bfl, Some(7), "0.9943"),
    ] {
        let world = World::new(config).await;
        world.set(vendor, |vendor| vendor.mode = Mode::GatewayTimeout);
        world.draw(json!({"model": offer, "prompt": "a fox", "seed": seed})).await;
        let row = recorded(&world)[provider_of(offer)];
        assert_eq!((row.usd, row.uncertain), (Usd::ZERO, usd.parse().unwrap()), "{offer}");
    }
}
