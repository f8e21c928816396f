//! Requests that are found by embeddings of their words, and everything that no likeness outweighs.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cache::lookup::{AlikeRequest, AskedEmbedding, Tier};
use crate::similarity::Similarity;

const EMBEDDER: u64 = 7;

/// A vector at this angle from another's.
fn embedding(angle: f32) -> Embedding {
    Embedding::new(&[angle.cos(), angle.sin(), 0.0]).unwrap()
}

fn request(tenant: &str, route: &str, body: &Value) -> Canonical {
    let request = ImageRequest::from_json(body.to_string().as_bytes()).unwrap();
    Canonical::new(tenant, route, None, &request, 5)
}

fn of(prompt: &str) -> Canonical {
    request("t", "r", &json!({ "prompt": prompt }))
}

fn keep_embedded(cache: &PictureTiers, canonical: &Canonical, tag: u8, angle: f32, now: Instant) {
    let pictures = placed(&[picture(tag, 10)]);
    let kept = Kept { canonical, pictures: &pictures, offer_digest: OFFER_DIGEST, ttl: HOUR, now };
    cache.keep(&kept, Some(&WordLists::builtin()), None).unwrap();
    cache.embed(canonical, EMBEDDER, &embedding(angle));
}

fn asked<'a>(canonical: &'a Canonical, lists: &'a Arc<WordLists>, n: u8, now: Instant) -> Asked<'a> {
    let freshness = freshness(now);
    Asked { canonical, n, variants: 1, near: Some(lists), learned: None, serves: true, caller: 0, freshness }
}

fn by(embedding: &Embedding, threshold: i32) -> AskedEmbedding<'_> {
    AskedEmbedding { embedding, embedder: EMBEDDER, threshold: Similarity::thousandths(threshold) }
}

/// What is found at a threshold of 0.9, by the vector at an angle of 0.
fn look_alike(cache: &PictureTiers, canonical: &Canonical, n: u8, now: Instant) -> Option<Found> {
    let (lists, embedding) = (WordLists::builtin(), embedding(0.0));
    match cache.look(&asked(canonical, &lists, n, now), Some(&by(&embedding, 900))) {
        Looked::Found(CacheLookup::Hit(found) | CacheLookup::Part(found)) => Some(found),
        _ => None,
    }
}

fn pictures(found: Option<Found>) -> Option<Vec<PlacedPicture>> {
    found.map(|found| found.pictures)
}

#[test]
fn words_that_are_alike_find_a_picture_and_tell_how_alike_and_what_differed() {
    let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
    keep_embedded(&cache, &of("a rabbit beside a lake in the morning"), 1, 0.3, now);
    let found = look_alike(&cache, &of("a bunny beside a lake in the morning"), 1, now).unwrap();
    assert_eq!((found.tier(), found.differences), (Tier::Embedding, vec!["bunny=rabbit".to_owned()]));
    assert_eq!(found.similarity.map(|similarity| similarity.to_string()).as_deref(), Some("0.955"));
    assert_eq!(found.pictures, placed(&[picture(1, 10)]));
    // Not without the embedding, and not by one of another model or below the threshold.
    let (lists, wanted) = (WordLists::builtin(), of("a bunny beside a lake in the morning"));
    let asked = asked(&wanted, &lists, 1, now);
    let hits = |by: Option<&AskedEmbedding<'_>>| matches!(cache.look(&asked, by), Looked::Found(CacheLookup::Hit(_)));
    let near = embedding(0.0);
    assert!(hits(Some(&by(&near, 955))) && !hits(None) && !hits(Some(&by(&near, 956))));
    assert!(!hits(Some(&AskedEmbedding { embedder: 8, ..by(&near, 900) })), "another model");
    let longer = Embedding::new(&[1.0, 0.0]).unwrap();
    assert!(!hits(Some(&by(&longer, 0))), "another length");
}

#[test]
fn the_words_alone_come_before_any_likeness_and_the_most_alike_before_the_less() {
    let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
    keep_embedded(&cache, &of("a rabbit beside a lake in the morning"), 1, 0.0, now);
    keep_embedded(&cache, &of("a hare beside a lake in the morning"), 2, 0.2, now);
    keep_embedded(&cache, &of("a bunny beside a lake in the mornign"), 3, 0.4, now);
    let tags = |found: &Found| -> Vec<u8> {
        found.pictures.iter().map(|placed| placed.generated.picture.encoded.bytes()[0]).collect()
    };
    let wanted = of("a bunny beside a lake in the morning");
    let one = look_alike(&cache, &wanted, 1, now).unwrap();
    assert_eq!((tags(&one), one.tier(), one.similarity), (vec![3], Tier::Near, None));
    let all = look_alike(&cache, &wanted, 3, now).unwrap();
    assert_eq!((tags(&all), all.tier()), (vec![3, 1, 2], Tier::Embedding));
    assert_eq!(all.similarity.map(|similarity| similarity.to_string()).as_deref(), Some("0.979"));
}

#[test]
fn what_a_guard_stops_is_not_found_however_alike_and_neither_is_what_differs_besides_the_words() {
    let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
    let lake = json!({"prompt": "a rabbit and two red boats on a lake"});
    keep_embedded(&cache, &request("t", "r", &lake), 1, 0.0, now);
    let found = |canonical: &Canonical| look_alike(&cache, canonical, 1, now).is_some();
    assert!(found(&of("a bunny and two red boats on a lake")));
    for other in [
        "a rabbit and two blue boats on a lake",
        "a rabbit and three red boats on a lake",
        "a rabbit and no red boats on a lake",
        "a red rabbit and two boats on a lake",
        "two red boats and a rabbit on a lake",
        "a rabbit and two red boats under a lake",
        "a rabbit and two red boat on a lake",
        "ein Hase und zwei rote Boote auf einem See",
        "a rabbit \"and two\" red boats on a lake",
    ] {
        assert!(!found(&of(other)), "{other}");
    }
    let mut words = json!({"prompt": "a bunny and two red boats on a lake"});
    for (field, value) in [("size", json!("512x512")), ("seed", json!(7)), ("negative_prompt", json!("snow"))] {
        words[field] = value;
        assert!(!found(&request("t", "r", &words)), "{field}");
        words.as_object_mut().unwrap().remove(field);
    }
    assert!(!found(&request("u", "r", &words)) && !found(&request("t", "s", &words)), "another tenant or route");
    let seeded = |prompt: &str| request("t", "r", &json!({"prompt": prompt, "seed": 7}));
    keep_embedded(&cache, &seeded("a rabbit in the snow"), 2, 0.0, now);
    assert!(!found(&seeded("a bunny in the snow")), "another word draws another picture from a seed");
}

/// Shards and pools are found by hashes, which only propose: whatever lies where a request is looked for is held against it whole.
#[test]
fn what_an_equal_hash_proposes_is_not_served() {
    let (cache, now, near) = (PictureTiers::new(1 << 25, None, 5), Instant::now(), embedding(0.0));
    let wanted = of("a bunny by the sea");
    let shard = EmbeddingShard::of(wanted.hard_key(), EMBEDDER, &near);
    let words = json!({"prompt": "a rabbit by the sea"});
    let mut sized = words.clone();
    sized["size"] = json!("512x512");
    for (tag, other) in [(1, request("u", "r", &words)), (2, request("t", "s", &words)), (3, request("t", "r", &sized))]
    {
        keep_embedded(&cache, &other, tag, 0.0, now);
        cache.near.embeddings.add(shard, &near, other.key());
    }
    cache.near.embeddings.add(shard, &near, 99);
    assert_eq!(pictures(look_alike(&cache, &wanted, 1, now)), None);
    assert_eq!(cache.contents().embedded, 3, "what leads nowhere is given up");
    keep_embedded(&cache, &request("t", "r", &words), 4, 0.0, now);
    assert_eq!(pictures(look_alike(&cache, &wanted, 1, now)), Some(placed(&[picture(4, 10)])));
}

#[test]
fn what_is_gone_is_found_no_more_and_takes_no_room() {
    let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
    let (kept, wanted) = (of("a rabbit by the sea"), of("a bunny by the sea"));
    keep_embedded(&cache, &kept, 1, 0.0, now);
    assert_eq!((cache.contents().embedded, cache.embedding_bytes() > 0), (1, true));
    assert_eq!(pictures(look_alike(&cache, &wanted, 1, now + HOUR)), None, "its time is over");
    assert_eq!((cache.contents().embedded, cache.embedding_bytes()), (0, 0));
    keep_embedded(&cache, &kept, 1, 0.0, now);
    cache.purge(&PurgeSelector { route: Some("r".into()), ..PurgeSelector::default() }, now);
    assert_eq!((pictures(look_alike(&cache, &wanted, 1, now)), cache.embedding_bytes()), (None, 0));
    // Nothing is kept of a request that has no pictures.
    cache.embed(&kept, EMBEDDER, &embedding(0.0));
    assert_eq!(cache.contents().embedded, 0);
    // What gives way to others takes its embedding along.
    let small = PictureTiers::new(1 << 16, None, 5);
    for number in 0..60 {
        let canonical = of(&format!("a rabbit by sea number {number}"));
        let kept = Kept {
            canonical: &canonical,
            pictures: &placed(&[picture(number, 4_000)]),
            offer_digest: OFFER_DIGEST,
            ttl: HOUR,
            now,
        };
        small.keep(&kept, Some(&WordLists::builtin()), None).unwrap();
        small.embed(&canonical, EMBEDDER, &embedding(0.0));
        assert!(small.contents().embedded <= small.contents().requests);
    }
    small.resize(0, Shares::new());
    assert_eq!((small.contents().requests, small.contents().embedded), (0, 0));
}

#[test]
fn a_word_list_that_changes_leaves_embeddings_where_they_are() {
    let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
    keep_embedded(&cache, &of("a rabbit by the sea"), 1, 0.0, now);
    let more = crate::prompt_match::MoreWords { brands: vec!["acme".to_owned()], ..Default::default() };
    let lists = Arc::new(WordLists::builtin().extended(&more));
    let near = embedding(0.0);
    // An exact look indexes it anew under these lists.
    let exact = of("a rabbit by the sea");
    assert!(matches!(cache.look(&asked(&exact, &lists, 1, now), None), Looked::Found(CacheLookup::Hit(_))));
    let wanted = of("a bunny by the sea");
    let found = cache.look(&asked(&wanted, &lists, 1, now), Some(&by(&near, 900)));
    assert!(matches!(found, Looked::Found(CacheLookup::Hit(_))));
}

#[test]
fn a_shadow_look_names_the_most_alike_and_serves_nothing() {
    let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
    keep_embedded(&cache, &of("a rabbit by the sea"), 1, 0.3, now);
    keep_embedded(&cache, &of("a blue bunny by the sea"), 2, 0.0, now);
    let (lists, near, wanted) = (WordLists::builtin(), embedding(0.0), of("a bunny by the sea"));
    let alike = cache.alike(&asked(&wanted, &lists, 1, now), &by(&near, 900)).unwrap();
    let AlikeRequest { key, prompt, similarity } = alike;
    assert_eq!((key, prompt.as_str()), (of("a rabbit by the sea").key(), "a rabbit by the sea"));
    assert_eq!(similarity.to_string(), "0.955");
    assert_eq!(cache.alike(&asked(&wanted, &lists, 1, now), &by(&near, 960)), None);
}

/// A request of a few tenants, routes, sizes and prompts that are alike in everything but what a guard or a rule forbids.
fn any_request() -> impl Strategy<Value = (u8, u8, u8, usize, bool)> {
    (0u8..2, 0u8..2, 0u8..2, 0usize..PROMPTS.len(), any::<bool>())
}

const PROMPTS: [&str; 8] = [
    "a rabbit and two red boats on a lake",
    "a bunny and two red boats on a lake",
    "a rabbit and two blue boats on a lake",
    "a rabbit and three red boats on a lake",
    "a red rabbit and two boats on a lake",
    "two red boats and a rabbit on a lake",
    "a rabbit and two red boats without a lake",
    "a rabbit and \"two\" red boats on a lake",
];

fn canonical_of((tenant, route, size, prompt, seeded): (u8, u8, u8, usize, bool)) -> Canonical {
    let size = ["512x512", "1024x1024"][usize::from(size)];
    let mut body = json!({"prompt": PROMPTS[prompt], "size": size});
    if seeded {
        body["seed"] = json!(7);
    }
    request(&format!("t{tenant}"), &format!("r{route}"), &body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Every embedding is the same, so that likeness forbids nothing: whatever is kept and asked, nobody gets a picture of
    /// another tenant, another route, another size, another seed, or of words that a guard tells apart.
    #[test]
    fn nobody_gets_anothers_picture_where_all_embeddings_are_equal(
        kept in proptest::collection::vec(any_request(), 1..12), wanted in any_request(), n in 1u8..4,
    ) {
        let (cache, now) = (PictureTiers::new(1 << 25, None, 5), Instant::now());
        for (tag, key) in (0u8..).zip(&kept) {
            keep_embedded(&cache, &canonical_of(*key), tag, 0.0, now);
        }
        let found = look_alike(&cache, &canonical_of(wanted), n, now);
        for placed in found.iter().flat_map(|found| &found.pictures) {
            let tag = usize::from(placed.generated.picture.encoded.bytes()[0]);
            let (tenant, route, size, prompt, seeded) = kept[tag];
            prop_assert_eq!((tenant, route, size, seeded), (wanted.0, wanted.1, wanted.2, wanted.4));
            let rabbits = |prompt: usize| if prompt == 1 { 0 } else { prompt };
            let same = if seeded { prompt == wanted.3 } else { rabbits(prompt) == rabbits(wanted.3) };
            prop_assert!(same, "{} for {}", PROMPTS[prompt], PROMPTS[wanted.3]);
        }
    }
}
