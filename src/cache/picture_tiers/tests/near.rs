//! Requests that are found in other words, and everything that must be the same for it.

use serde_json::{Value, json};

use super::*;
use crate::cache::near_pools::LISTS;
use crate::config::plan::MOST_VARIANTS;
use crate::prompt_match::{LearnedPairs, MoreWords, WordPair};

fn request(tenant: &str, route: &str, body: &Value) -> Canonical {
    let request = ImageRequest::from_json(body.to_string().as_bytes()).unwrap();
    Canonical::new(tenant, route, None, &request, 5)
}

fn of(prompt: &str) -> Canonical {
    request("t", "r", &json!({ "prompt": prompt }))
}

fn look_near(cache: &PictureTiers, canonical: &Canonical, n: u8, now: Instant) -> CacheLookup {
    look_learned(cache, canonical, n, now, None)
}

fn look_learned(
    cache: &PictureTiers,
    canonical: &Canonical,
    n: u8,
    now: Instant,
    learned: Option<&LearnedPairs>,
) -> CacheLookup {
    let lists = WordLists::builtin();
    found(
        cache,
        &Asked {
            canonical,
            n,
            variants: 1,
            near: Some(&lists),
            learned,
            serves: true,
            caller: 0,
            freshness: freshness(now),
        },
    )
}

fn keep_near(cache: &PictureTiers, canonical: &Canonical, pictures: &[Arc<GeneratedPicture>], now: Instant) {
    let kept = Kept { canonical, pictures: &placed(pictures), offer_digest: OFFER_DIGEST, ttl: HOUR, now };
    cache.keep(&kept, Some(&WordLists::builtin()), None).unwrap();
}

/// The pictures, the tier of the farthest and the words that differed; nothing where nothing was found.
fn told(lookup: CacheLookup) -> Option<(Vec<PlacedPicture>, &'static str, Vec<String>)> {
    match lookup {
        CacheLookup::Hit(found) | CacheLookup::Part(found) => {
            let tier = found.tier().as_str();
            Some((found.pictures, tier, found.differences))
        }
        CacheLookup::Miss(_) => None,
    }
}

#[test]
fn other_words_for_the_same_picture_find_it_and_tell_which_differed() {
    let (cache, now, drawn) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), [picture(1, 10)]);
    keep_near(&cache, &of("A small red sofa beside a wooden table, morning light"), &drawn, now);
    let canonical = look_near(&cache, &of("a small  red sofa beside a wooden table; morning light"), 1, now);
    assert_eq!(told(canonical), Some((placed(&drawn), "canonical", Vec::new())));
    let near = look_near(&cache, &of("A small red sofa beside a woodne table, morning light"), 1, now);
    assert_eq!(told(near), Some((placed(&drawn), "near", vec!["woodne=wooden".to_owned()])));
    let exact = look_near(&cache, &of("A small red sofa beside a wooden table, morning light"), 1, now);
    assert_eq!(told(exact), Some((placed(&drawn), "exact", Vec::new())));
    for other in
        ["A small blue sofa beside a wooden table, morning light", "A small red sofa on a wooden table, morning light"]
    {
        assert_eq!(told(look_near(&cache, &of(other), 1, now)), None, "{other}");
    }
    // A route that does not ask for it gets the same characters alone.
    let off = look_up(&cache, &of("a small red sofa beside a wooden table, morning light"), 1, &freshness(now));
    assert_eq!(off, Got::Miss(Miss::Absent));
}

#[test]
fn everything_but_the_words_must_be_the_same() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    keep_near(&cache, &request("t", "r", &json!({"prompt": "A red fox in the snow"})), &[picture(1, 10)], now);
    let same = json!({"prompt": "a red fox in the snow"});
    assert!(told(look_near(&cache, &request("t", "r", &same), 1, now)).is_some());
    for (field, value) in [
        ("size", json!("512x512")),
        ("quality", json!("high")),
        ("seed", json!(7)),
        ("negative_prompt", json!("snow")),
        ("background", json!("opaque")),
        ("output_format", json!("webp")),
        ("style", json!("vivid")),
    ] {
        let mut body = same.clone();
        body[field] = value;
        assert_eq!(told(look_near(&cache, &request("t", "r", &body), 1, now)), None, "{field}");
    }
    assert_eq!(told(look_near(&cache, &request("u", "r", &same), 1, now)), None, "another tenant");
    assert_eq!(told(look_near(&cache, &request("t", "s", &same), 1, now)), None, "another route");
    // And with a seed, other words draw another picture from it.
    let seeded = |prompt: &str| request("t", "r", &json!({"prompt": prompt, "seed": 7}));
    keep_near(&cache, &seeded("A red fox in the snow"), &[picture(2, 10)], now);
    assert_eq!(told(look_near(&cache, &seeded("a red fox in the snow"), 1, now)), None);
}

#[test]
fn pictures_of_several_wordings_make_a_batch_the_nearest_words_first() {
    let (cache, now, [one, two, three]) =
        (PictureTiers::new(1 << 20, None, 5), Instant::now(), [1, 2, 3].map(|tag| picture(tag, 10)));
    keep_near(&cache, &of("A red fox beside a lake in the morning"), std::slice::from_ref(&one), now);
    keep_near(&cache, &of("a red fox beside a lake in the morning."), &[two.clone(), one.clone()], now);
    keep_near(&cache, &of("a red fox beside a lake in the mornign"), std::slice::from_ref(&three), now);
    let (pictures, tier, differences) =
        told(look_near(&cache, &of("A red fox beside a lake in the morning"), 3, now)).unwrap();
    assert_eq!((pictures, tier), (placed(&[one.clone(), two.clone(), three]), "near"));
    assert_eq!(differences, ["morning=mornign"]);
    let (pictures, tier, differences) =
        told(look_near(&cache, &of("A red fox beside a lake in the morning"), 2, now)).unwrap();
    assert_eq!((pictures, tier, differences), (placed(&[one, two]), "canonical", Vec::new()));
}

#[test]
fn what_was_kept_before_the_route_asked_for_it_is_found_once_it_was_asked_for_again() {
    let (cache, now, drawn) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), [picture(1, 10)]);
    keep(&cache, &of("A red fox in the snow"), &drawn, now);
    assert_eq!(told(look_near(&cache, &of("a red fox in the snow"), 1, now)), None);
    assert!(told(look_near(&cache, &of("A red fox in the snow"), 1, now)).is_some());
    assert!(told(look_near(&cache, &of("a red fox in the snow"), 1, now)).is_some());
}

#[test]
fn the_index_has_what_is_kept_and_nothing_else_whatever_happens() {
    let cache = PictureTiers::new(1 << 20, None, 5);
    let (mut random, mut now) = (fastrand::Rng::with_seed(6), Instant::now());
    let keys: Vec<Canonical> = (0..60).map(|number| of(&format!("A red fox number {number} in the snow"))).collect();
    for round in 0..1_500 {
        now += Duration::from_secs(random.u64(..300));
        let key = &keys[random.usize(..keys.len())];
        let op = random.u8(..20);
        match op {
            0 => cache.resize(random.u64(200_000..2_000_000), Shares::new()),
            1..3 => cache.forget("t", &picture(random.u8(..9), 9_000).id, now),
            3..10 => drop(look_near(&cache, key, random.u8(1..4), now)),
            _ => {
                let batch: Vec<_> =
                    (0..random.u8(1..3)).map(|_| picture(random.u8(..9), 9_000 * random.usize(1..9))).collect();
                keep_near(&cache, key, &batch, now);
            }
        }
        assert_eq!(cache.near.index.len(), cache.pools.table.entries.len(), "{round}: {op}");
    }
    cache.resize(0, Shares::new());
    assert_eq!((cache.bytes(), cache.near.index.len()), (0, 0));
}

#[test]
fn other_lists_find_by_their_own_words_and_old_ones_are_given_up() {
    let (cache, now, drawn) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), [picture(1, 10)]);
    let lists = |word: &str| {
        let more = MoreWords { synonyms: vec![vec![word.to_owned(), "fox".to_owned()]], ..Default::default() };
        Arc::new(WordLists::builtin().extended(&more))
    };
    let look = |canonical: &Canonical, lists: &Arc<WordLists>| {
        let freshness = freshness(now);
        told(found(
            &cache,
            &Asked {
                canonical,
                n: 1,
                variants: 1,
                near: Some(lists),
                learned: None,
                serves: true,
                caller: 0,
                freshness,
            },
        ))
    };
    keep_near(&cache, &of("A red fox in the snow"), &drawn, now);
    // Nobody asks for this one meanwhile.
    keep_near(&cache, &of("A grey hen in the snow"), &drawn, now);
    assert!(look(&of("A red tod in the snow"), &WordLists::builtin()).is_none());
    for word in ["reynard", "todd", "tod", "vulpine", "zorro", "kitsune"] {
        let lists = lists(word);
        // Indexed anew with the first request in its own words.
        assert!(look(&of("A red fox in the snow"), &lists).is_some());
        assert!(look(&of(&format!("A red {word} in the snow")), &lists).is_some(), "{word}");
        assert!(cache.near.lists.read().unwrap().len() <= LISTS);
    }
    // The first lists were given up meanwhile, and come back.
    assert_eq!(cache.near.index.len(), 1);
    for prompt in ["A red fox in the snow", "a red fox in the snow", "A grey hen in the snow", "a grey hen in the snow"]
    {
        assert!(look(&of(prompt), &WordLists::builtin()).is_some(), "{prompt}");
    }
    assert_eq!(cache.near.index.len(), 2);
}

#[test]
fn a_hundred_thousand_requests_with_colliding_hashes_never_get_anothers_picture() {
    let (cache, now) = (PictureTiers::new(64 << 20, None, 5), Instant::now());
    let mut random = fastrand::Rng::with_seed(16);
    let (colors, things) = (["red", "blue", "green"], ["fox", "hen", "bench"]);
    // Somebody talked a judge into these, whose words no pair may explain.
    let talked_into =
        [("red", "blue"), ("red", "green"), ("blue", "green"), ("red fox", "blue fox"), ("blue hen", "red hen")];
    let learned = LearnedPairs::of(talked_into.map(|(a, b)| WordPair::of(a, b)).iter());
    // A picture's bytes say what it was drawn for.
    let mut drawn: HashMap<String, String> = HashMap::new();
    for round in 0..100_000u32 {
        let (tenant, size) = (["t", "u"][random.usize(..2)], ["512x512", "1024x1024"][random.usize(..2)]);
        let seed = random.bool().then(|| random.u32(1..4));
        let [a, b] = [(); 2].map(|()| (colors[random.usize(..3)], things[random.usize(..3)]));
        let prompt = match random.u8(..4) {
            0 => format!("A {} {} and a {} {}", a.0, a.1, b.0, b.1),
            1 => format!("a {} {} and  a {} {}.", a.0, a.1, b.0, b.1),
            2 => format!("{} {} and {} {}", a.0, a.1, b.0, b.1),
            _ => format!("Please draw a {} {} and a {} {}", a.0, a.1, b.0, b.1),
        };
        let meaning = format!("{} {} {} {}", a.0, a.1, b.0, b.1);
        let words = if seed.is_some() { prompt.clone() } else { meaning };
        let mut body = json!({"prompt": prompt, "size": size});
        if let Some(seed) = seed {
            body["seed"] = json!(seed);
        }
        let canonical = request(tenant, "r", &body);
        // As bad as a hash can be: a few keys for all, or one for a request and its swap.
        let key = if random.bool() { u128::from(random.u8(..3)) } else { canonical.key() };
        let canonical = canonical.colliding(key);
        let n = random.u8(1..=3);
        let wanted = |place: u8| format!("{tenant} {size} {:?} {words}", seed.map(|seed| seed + u32::from(place)));
        if let Some((pictures, ..)) = told(look_learned(&cache, &canonical, n, now, Some(&learned))) {
            for placed in pictures {
                assert_eq!(drawn.get(&*placed.generated.id), Some(&wanted(placed.place)), "{round}");
            }
        }
        if random.u8(..3) == 0 {
            let batch: Vec<PlacedPicture> = (0..n)
                .map(|place| {
                    let told = wanted(place);
                    let file = Picture {
                        encoded: Encoded::Raw(Buffer::from(format!("{told} {round} {place}").into_bytes())),
                        format: Format::Png,
                        size: Size::new(1, 1),
                        revised_prompt: None,
                    };
                    let generated = Arc::new(GeneratedPicture::new(file, "p/m".into(), Usd::ZERO, 5));
                    drawn.insert(generated.id.to_string(), told);
                    at(place, &generated)
                })
                .collect();
            let kept = Kept { canonical: &canonical, pictures: &batch, offer_digest: OFFER_DIGEST, ttl: HOUR, now };
            cache.keep(&kept, Some(&WordLists::builtin()), None).unwrap();
        }
    }
    assert!(drawn.len() > 30_000 && usize::from(MOST_VARIANTS) == crate::cache::pools::POOL);
}

#[test]
fn a_learned_pair_finds_pictures_and_without_it_there_is_a_near_miss_to_ask_about() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let lists = WordLists::builtin();
    keep_near(&cache, &of("a photo of a bunny in a garden"), &[picture(1, 10)], now);
    let asked_for = request("t", "r", &json!({"prompt": "a photo of a rabbit in a garden"}));
    let learned = LearnedPairs::of([&WordPair::of("bunny", "rabbit")]);
    let freshness = freshness(now);
    let asked = |learned| Asked {
        canonical: &asked_for,
        n: 1,
        variants: 1,
        near: Some(&lists),
        learned,
        serves: true,
        caller: 0,
        freshness,
    };
    assert_eq!(found(&cache, &asked(None)), CacheLookup::Miss(Miss::Absent));
    let missed = cache.near_misses(&asked(None));
    assert_eq!(missed.iter().map(|missed| missed.near_miss.pair.words()).collect::<Vec<_>>(), [["bunny", "rabbit"]]);
    assert_eq!(missed[0].prompt, "a photo of a bunny in a garden");
    let CacheLookup::Hit(hit) = found(&cache, &asked(Some(&learned))) else { panic!("not found") };
    assert_eq!((hit.tier(), hit.differences), (Tier::Near, vec!["rabbit=bunny".to_owned()]));
    assert_eq!(cache.near_misses(&asked(Some(&learned))), []);
    // What is another tenant's, another size, or a seed's is nothing to ask about.
    for other in [
        request("u", "r", &json!({"prompt": "a photo of a rabbit in a garden"})),
        request("t", "r", &json!({"prompt": "a photo of a rabbit in a garden", "size": "512x512"})),
        request("t", "r", &json!({"prompt": "a photo of a rabbit in a garden", "seed": 7})),
    ] {
        let asked = Asked { canonical: &other, ..asked(Some(&learned)) };
        assert_eq!(cache.near_misses(&asked), []);
        assert!(matches!(found(&cache, &asked), CacheLookup::Miss(_)));
    }
}
