//! What `explain` says is what a request then does.

use proptest::prelude::*;

use super::*;
use crate::gateway::explain::{Explanation, PlannedCall};

/// One offer of a random config, each at a provider of its own.
#[derive(Clone, Debug)]
struct RandomOffer {
    cents: u8,
    committed: bool,
    sizes: bool,
    cap: Option<u8>,
    when: Option<&'static str>,
    budget: Option<u8>,
    limit: u8,
    rate: Option<u8>,
    /// It limited a request before.
    limited: bool,
}

const HOSTS: [&str; 4] = ["p0.example", "p1.example", "p2.example", "p3.example"];

fn offers() -> impl Strategy<Value = Vec<RandomOffer>> {
    let when = prop::option::weighted(
        0.3,
        prop::sample::select(vec!["[first]", "[rejected]", "[unavailable]", "[saturated]", "[late, unavailable]"]),
    );
    let offer = (
        (1..6u8, prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::option::weighted(0.3, 1..6u8)),
        (
            when,
            prop::option::weighted(0.2, 1..9u8),
            1..4u8,
            prop::option::weighted(0.3, 1..6u8),
            prop::bool::weighted(0.2),
        ),
    );
    let offer = offer.prop_map(|((cents, committed, sizes, cap), (when, budget, limit, rate, limited))| RandomOffer {
        cents,
        committed,
        sizes,
        cap,
        when,
        budget,
        limit,
        rate,
        limited,
    });
    prop::collection::vec(offer, 1..=4)
}

fn strategies() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["order", "cheapest", "{cheapest_accepted: {explore: 0%}}", "fastest", "weighted"])
}

/// The config; `None` where no offer could begin, which a check refuses.
fn config(offers: &[RandomOffer], strategy: &str, request_cap: Option<u8>) -> Option<String> {
    let begins = |offer: &RandomOffer| offer.when.is_none_or(|when| when.contains("first") || when.contains("unavail"));
    offers.iter().any(begins).then_some(())?;
    let mut text = "providers:\n".to_owned();
    let mut listed = Vec::new();
    for (nth, offer) in offers.iter().enumerate() {
        let RandomOffer { cents, committed, sizes, cap, when, budget, limit, rate, limited: _ } = offer;
        let billing = if *committed { "billing: {committed_usd_per_month: 0.03}, " } else { "" };
        let budget = budget.map(|cents| format!("budget: {{usd: 0.0{cents}, per: day}}, ")).unwrap_or_default();
        let rate = rate.map(|rate| format!("rate: {{images_per_minute: {rate}}}, ")).unwrap_or_default();
        let sizes = if *sizes { ", sizes: [512x512]" } else { "" };
        text += &format!(
            "  p{nth}: {{kind: openai_compatible, base_url: https://p{nth}.example/v1/, api_key: k, {billing}{budget}{rate}\
             concurrency: {{limit: {limit}, queue: 9}}, models: {{m: {{price: 0.0{cents}, max_n: 1{sizes}}}}}}}\n"
        );
        let cap = cap.map(|cents| format!(", max_usd_per_image: 0.0{cents}")).unwrap_or_default();
        let when = when.map(|when| format!(", when: {when}")).unwrap_or_default();
        listed.push(format!("{{offer: p{nth}/m{cap}{when}}}"));
    }
    let strategy = match strategy {
        "weighted" => format!("{{weighted: {{p{}/m: 60%, p0/m: 40%}}}}", offers.len() - 1),
        word => word.to_owned(),
    };
    let strategy = if offers.len() == 1 { "order".to_owned() } else { strategy };
    let price = request_cap.map(|cents| format!("price: {{max_usd_per_request: 0.{cents:02}}}, ")).unwrap_or_default();
    text += &format!(
        "routes:\n  - {{name: all, quality: false, cache: false, {price}strategy: {strategy}, offers: [{}]}}\n",
        listed.join(", ")
    );
    Some(text)
}

impl Story {
    fn explain(&self, request: &ImageRequest) -> Result<Explanation, Error> {
        self.gateway.explain(&self.gateway.snapshot(), GatewayRequest::new(request.clone()), |_| None)
    }

    /// Each vendor that limits has said so to a request that insisted on it.
    async fn limit(&self, offers: &[RandomOffer]) {
        for (nth, _) in offers.iter().enumerate().filter(|(_, offer)| offer.limited) {
            self.script.answers(HOSTS[nth], rate_limited());
            let body = format!(r#"{{"prompt": "x", "model": "p{nth}/m", "size": "512x512"}}"#);
            let request = ImageRequest::from_json(body.as_bytes()).unwrap();
            self.gateway.serve(&self.gateway.snapshot(), GatewayRequest::new(request), |_| None).await;
            self.script.replies.lock().unwrap().clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_calls_that_are_explained_are_those_that_are_made(
        offers in offers(),
        strategy in strategies(),
        request_cap in prop::option::weighted(0.3, 1..20u8),
        n in 1..=4u8,
        (small, earlier) in (any::<bool>(), 0..3u8),
    ) {
        let Some(config) = config(&offers, strategy, request_cap) else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let story = Story::on(&config);
            story.limit(&offers).await;
            let size = if small { "512x512" } else { "1024x1024" };
            // Requests before it move turns, times and budgets.
            for nth in 0..=earlier {
                let body = format!(r#"{{"prompt": "fox {nth}", "n": {n}, "size": "{size}"}}"#);
                let request = ImageRequest::from_json(body.as_bytes()).unwrap();
                for host in HOSTS {
                    let replies = (0..20).map(drawn_in).collect();
                    story.script.replies.lock().unwrap().insert(host, replies);
                }
                let explained = story.explain(&request).unwrap();
                let again = story.explain(&request).unwrap();
                prop_assert_eq!(&explained.calls, &again.calls, "an explanation changes nothing");
                let served = story.gateway.serve(&story.gateway.snapshot(), GatewayRequest::new(request), |_| None).await;
                let mut made: Vec<(String, &str)> =
                    served.calls.iter().map(|call| (call.offer.clone(), call.reason)).collect();
                let planned = explained.calls.iter().map(|PlannedCall { offer, reason, .. }| (offer.clone(), *reason));
                let mut planned: Vec<(String, &str)> = planned.collect();
                if !explained.queues.is_empty() {
                    // Places that wait for a slot are drawn as calls end; that is behind the moment that is explained.
                    let mut rest = planned.clone();
                    made.retain(|call| rest.iter().position(|known| known == call).map(|at| rest.swap_remove(at)).is_some());
                }
                planned.sort();
                made.sort();
                prop_assert_eq!(planned, made, "{}", config);
                let refused = served.result.as_ref().err().map(|error| error.code().to_owned());
                if explained.calls.is_empty() && explained.queues.is_empty() {
                    prop_assert_eq!(explained.error.map(|error| error.code), refused);
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn every_offer_is_explained_with_its_place_its_price_and_why_it_is_not_asked() {
    let story = Story::on(
        "providers:\n  first: {kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, models: {flux: {price: 0.02}}}\n  \
         second: {kind: openai_compatible, base_url: https://second.example/v1/, api_key: k, models: {flux: {price: 0.01}, dear: {price: 0.5}}}\n\
         routes:\n  - {name: all, quality: false, strategy: cheapest, price: {max_usd_per_image: 0.1}, offers: [first/flux, second/flux, second/dear]}\n",
    );
    story.script.answers("second.example", rate_limited());
    story.script.answers("first.example", drawn());
    story.serve("a fox").await;
    let request = ImageRequest::from_json(br#"{"prompt": "another fox", "n": 2}"#).unwrap();
    let explained = story.explain(&request).unwrap();
    let offers: Vec<_> =
        explained.offers.iter().map(|offer| (offer.offer.as_str(), offer.position, offer.skipped, offer.usd)).collect();
    assert_eq!(
        offers,
        [
            ("second/flux", Some(1), Some("rate_limited"), Some(usd("0.02"))),
            ("first/flux", Some(2), None, Some(usd("0.04"))),
            ("second/dear", None, Some("over_price"), None),
        ]
    );
    assert_eq!(explained.offers[0].paused.map(|(why, _)| why), Some("rate_limited"));
    assert_eq!((explained.strategy, explained.cache, explained.pictures), ("cheapest", "miss", 2));
    let calls: Vec<_> = explained.calls.iter().map(|call| (call.offer.as_str(), call.reason)).collect();
    assert_eq!((calls.as_slice(), explained.calls[0].pictures), ([("first/flux", "next_able")].as_slice(), 2));
    // What was drawn is in the cache, and nobody would be asked for it.
    let request = ImageRequest::from_json(br#"{"prompt": "a fox"}"#).unwrap();
    let explained = story.explain(&request).unwrap();
    assert_eq!((explained.cache, explained.calls.len(), explained.error.is_none()), ("exact", 0, true));
}
