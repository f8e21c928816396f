//! Tests of the picture tiers: exact requests, seeds, bounds, and what is forgotten.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ::bytes::Bytes as Buffer;

use super::*;
use crate::cache::CacheTiers;
use crate::cache::byte_bounded::Weigh;
use crate::cache::generated_picture::GeneratedPicture;
use crate::cache::lookup::Freshness;
use crate::canonical::config_digest::Digest;
use crate::image::{Encoded, Format, Picture, Size};
use crate::money::Usd;
use crate::request::ImageRequest;

mod disk;
mod embedding;
mod near;
mod purge;
mod variants;

const HOUR: Duration = Duration::from_secs(3600);

fn canonical(prompt: &str) -> Canonical {
    let body = serde_json::json!({ "prompt": prompt }).to_string();
    Canonical::new("t", "r", None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
}

fn picture(tag: u8, bytes: usize) -> Arc<GeneratedPicture> {
    let picture = Picture {
        encoded: Encoded::Raw(Buffer::from(vec![tag; bytes])),
        format: Format::Png,
        size: Size::new(1, 1),
        revised_prompt: None,
    };
    Arc::new(GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 5))
}

const OFFER_DIGEST: Digest = [1; 32];

/// An hour, and offers that draw as they did.
fn freshness(now: Instant) -> Freshness<'static> {
    Freshness { ttl: HOUR, now, offer_digest: &|_| Some(OFFER_DIGEST) }
}

fn keep(cache: &PictureTiers, canonical: &Canonical, pictures: &[Arc<GeneratedPicture>], now: Instant) -> bool {
    insert(cache, canonical, &placed(pictures), OFFER_DIGEST, now).is_ok()
}

fn insert(
    cache: &PictureTiers,
    canonical: &Canonical,
    pictures: &[PlacedPicture],
    offer_digest: Digest,
    now: Instant,
) -> Result<(), Oversized> {
    cache.keep(&Kept { canonical, pictures, offer_digest, ttl: HOUR, now }, None, None)
}

/// What a look comes to where nothing is on disk.
fn found(cache: &PictureTiers, asked: &Asked<'_>) -> CacheLookup {
    match cache.look(asked, None) {
        Looked::Found(lookup) => lookup,
        Looked::Cold(_) => panic!("nothing is on disk"),
    }
}

/// What a look found, without how.
#[derive(Debug, PartialEq)]
enum Got {
    Hit(Vec<PlacedPicture>),
    Part(Vec<PlacedPicture>),
    Miss(Miss),
}

fn look_up(cache: &PictureTiers, canonical: &Canonical, n: u8, freshness: &Freshness<'_>) -> Got {
    match found(
        cache,
        &Asked { canonical, n, variants: 1, near: None, learned: None, serves: true, caller: 0, freshness: *freshness },
    ) {
        CacheLookup::Hit(found) => Got::Hit(found.pictures),
        CacheLookup::Part(found) => Got::Part(found.pictures),
        CacheLookup::Miss(miss) => Got::Miss(miss),
    }
}

/// Each in the place in which it is listed.
fn placed(pictures: &[Arc<GeneratedPicture>]) -> Vec<PlacedPicture> {
    (0..).zip(pictures).map(|(place, generated)| at(place, generated)).collect()
}

fn at(place: u8, generated: &Arc<GeneratedPicture>) -> PlacedPicture {
    PlacedPicture { place, generated: generated.clone() }
}

fn seeded(seed: u32) -> Canonical {
    let body = serde_json::json!({ "prompt": "a fox", "seed": seed }).to_string();
    Canonical::new("t", "r", None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
}

#[test]
fn what_was_kept_is_found_until_its_time_is_over() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let fox = canonical("a fox");
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now)), Got::Miss(Miss::Absent));
    assert!(keep(&cache, &fox, &[picture(1, 100)], now));
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now)), Got::Hit(placed(&[picture(1, 100)])));
    assert_eq!(look_up(&cache, &canonical("a box"), 1, &freshness(now)), Got::Miss(Miss::Absent));
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now + HOUR)), Got::Miss(Miss::Expired));
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now)), Got::Miss(Miss::Absent));
}

#[test]
fn part_of_a_batch_is_kept_and_the_rest_joins_it() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let fox = canonical("a fox");
    keep(&cache, &fox, &[picture(1, 10), picture(2, 10)], now);
    assert_eq!(look_up(&cache, &fox, 4, &freshness(now)), Got::Part(placed(&[picture(1, 10), picture(2, 10)])));
    keep(&cache, &fox, &[picture(3, 10), picture(1, 10), picture(4, 10)], now);
    let all = [3, 1, 4, 2].map(|tag| picture(tag, 10));
    assert_eq!(look_up(&cache, &fox, 4, &freshness(now)), Got::Hit(placed(&all)));
}

#[test]
fn with_a_seed_a_picture_is_served_for_its_own_place_alone() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let (fox, [zero, one, two, four]) = (seeded(7), [0, 1, 2, 4].map(|tag| picture(tag, 10)));
    insert(&cache, &fox, &[at(4, &four), at(2, &two)], OFFER_DIGEST, now).unwrap();
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now)), Got::Miss(Miss::Absent), "nothing drawn by seed 7");
    assert_eq!(look_up(&cache, &fox, 4, &freshness(now)), Got::Part(vec![at(2, &two)]));
    insert(&cache, &fox, &[at(1, &one)], OFFER_DIGEST, now).unwrap();
    insert(&cache, &fox, &[at(0, &zero)], OFFER_DIGEST, now).unwrap();
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now)), Got::Hit(vec![at(0, &zero)]));
    assert_eq!(look_up(&cache, &fox, 3, &freshness(now)), Got::Hit(vec![at(0, &zero), at(1, &one), at(2, &two)]));
    // Drawn anew, and the same bytes twice: a vendor may draw alike for two seeds.
    insert(&cache, &fox, &[at(1, &four), at(2, &four)], OFFER_DIGEST, now).unwrap();
    assert_eq!(look_up(&cache, &fox, 3, &freshness(now)), Got::Hit(vec![at(0, &zero), at(1, &four), at(2, &four)]));
    assert_eq!(look_up(&cache, &seeded(8), 1, &freshness(now)), Got::Miss(Miss::Absent));
}

#[test]
fn each_picture_of_a_pool_has_an_age_of_its_own() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let (old, new) = (picture(1, 10), picture(2, 10));
    for (fox, new_at) in [(canonical("a fox"), 0), (seeded(7), 1)] {
        insert(&cache, &fox, &[at(0, &old)], OFFER_DIGEST, now).unwrap();
        insert(&cache, &fox, &[at(1, &new)], OFFER_DIGEST, now + HOUR / 2).unwrap();
        assert!(matches!(look_up(&cache, &fox, 2, &freshness(now + HOUR / 2)), Got::Hit(_)));
        assert_eq!(look_up(&cache, &fox, 2, &freshness(now + HOUR)), Got::Part(vec![at(new_at, &new)]));
        // A route whose pictures are to be younger has them younger at once.
        let strict = Freshness { ttl: HOUR / 4, ..freshness(now + HOUR) };
        assert_eq!(look_up(&cache, &fox, 2, &strict), Got::Miss(Miss::Expired));
    }
}

#[test]
fn what_would_be_drawn_another_way_now_is_not_served_and_the_rest_is() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let (fox, ours) = (canonical("a fox"), picture(1, 10));
    let theirs = Arc::new(GeneratedPicture { drawn_by: "q/m".into(), ..(*picture(2, 10)).clone() });
    insert(&cache, &fox, &[at(0, &theirs)], [2; 32], now).unwrap();
    insert(&cache, &fox, &[at(0, &ours)], OFFER_DIGEST, now).unwrap();
    let look_up = |offer_digest: &(dyn Fn(&str) -> Option<Digest> + Sync)| {
        look_up(&cache, &fox, 2, &Freshness { offer_digest, ..freshness(now) })
    };
    assert_eq!(
        look_up(&|name| Some(if name == "p/m" { OFFER_DIGEST } else { [2; 32] })),
        Got::Hit(placed(&[ours.clone(), theirs.clone()]))
    );
    assert_eq!(look_up(&|_| Some(OFFER_DIGEST)), Got::Part(placed(&[ours])), "the other one's options changed");
    assert_eq!(look_up(&|name| (name == "p/m").then_some([3; 32])), Got::Part(placed(&[theirs])), "it is gone");
    assert_eq!(look_up(&|_| Some([3; 32])), Got::Miss(Miss::Stale));
}

#[test]
fn an_expired_pool_that_another_has_replaced_meanwhile_is_not_removed() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let (fox, new) = (canonical("a fox"), picture(2, 10));
    let later = now + HOUR;
    let old = || {
        let pictures = vec![PooledPicture {
            place: 0,
            generated: picture(1, 10),
            since: now,
            offer_digest: OFFER_DIGEST,
            turn: Arc::default(),
            on_disk: Arc::default(),
            cold: false,
        }];
        Arc::new(PoolEntry::new(&fox, pictures))
    };
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| (0..50_000).for_each(|_| drop(look_up(&cache, &fox, 1, &freshness(later)))));
        while !looking.is_finished() {
            cache.pools.table.entries.insert(fox.key(), old());
            keep(&cache, &fox, std::slice::from_ref(&new), later);
            assert_eq!(look_up(&cache, &fox, 1, &freshness(later)), Got::Hit(placed(std::slice::from_ref(&new))));
        }
    });
}

#[test]
fn a_colliding_hash_never_serves_another_requests_picture() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let fox = canonical("a fox");
    let pictures = vec![PooledPicture {
        place: 0,
        generated: picture(1, 9),
        since: now,
        offer_digest: OFFER_DIGEST,
        turn: Arc::default(),
        on_disk: Arc::default(),
        cold: false,
    }];
    cache.pools.table.entries.insert(fox.key(), Arc::new(PoolEntry::new(&canonical("something else"), pictures)));
    assert_eq!(look_up(&cache, &fox, 1, &freshness(now)), Got::Miss(Miss::Collision));
}

#[test]
fn a_picture_that_is_forgotten_leaves_every_pool_of_its_tenant_and_no_other() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let of = |tenant: &str, prompt: &str| {
        let body = serde_json::json!({ "prompt": prompt }).to_string();
        Canonical::new(tenant, "r", None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
    };
    let (bad, good) = (picture(1, 100), picture(2, 100));
    for canonical in [of("t", "a fox"), of("t", "a vixen"), of("tt", "a fox")] {
        keep(&cache, &canonical, &[bad.clone(), good.clone()], now);
    }
    keep(&cache, &of("t", "alone"), std::slice::from_ref(&bad), now);
    cache.forget("t", &bad.id, now);
    assert_eq!(look_up(&cache, &of("t", "a fox"), 2, &freshness(now)), Got::Part(placed(std::slice::from_ref(&good))));
    assert_eq!(look_up(&cache, &of("t", "a vixen"), 1, &freshness(now)), Got::Hit(placed(std::slice::from_ref(&good))));
    assert_eq!(look_up(&cache, &of("t", "alone"), 1, &freshness(now)), Got::Miss(Miss::Absent));
    assert_eq!(look_up(&cache, &of("tt", "a fox"), 2, &freshness(now)), Got::Hit(placed(&[bad, good])));
}

#[test]
fn memory_never_passes_its_bound_and_follows_it_down() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    for tag in 0..100u8 {
        keep(&cache, &canonical(&format!("fox {tag}")), &[picture(tag, 50_000)], now);
        assert!(cache.bytes() <= 1 << 20);
    }
    assert!(cache.bytes() > 900_000, "the space is used: {}", cache.bytes());
    cache.resize(200_000, Shares::new());
    assert!(cache.bytes() <= 200_000);
    assert!(!keep(&cache, &canonical("too big"), &[picture(1, 300_000)], now));
}

#[test]
fn what_is_not_too_large_for_one_request_is_found_as_soon_as_it_is_kept() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let mut random = fastrand::Rng::with_seed(12);
    let keys: Vec<Canonical> = (0..40).map(|number| canonical(&format!("fox {number}"))).collect();
    let mut popular = Vec::new();
    for round in 0..4_000 {
        let (at, tag) = (random.usize(..keys.len()), random.u8(..));
        let bytes = random.usize(..if round % 7 == 0 { 900_000 } else { 90_000 });
        let new = picture(tag, bytes);
        assert!(keep(&cache, &keys[at], std::slice::from_ref(&new), now), "{bytes} bytes");
        assert_eq!(look_up(&cache, &keys[at], 1, &freshness(now)), Got::Hit(placed(&[new])), "{round}: {bytes} bytes");
        assert!(cache.bytes() <= 1 << 20);
        popular.push(at);
        // All that is there is asked for now and then.
        for at in popular.iter().rev().take(30) {
            look_up(&cache, &keys[*at], 1, &freshness(now));
        }
    }
}

#[test]
fn whatever_happens_the_bytes_told_are_the_bytes_held() {
    let cache = PictureTiers::new(1 << 20, None, 5);
    let (mut random, mut now) = (fastrand::Rng::with_seed(6), Instant::now());
    let keys: Vec<Canonical> = (0..60).map(|number| canonical(&format!("fox {number}"))).collect();
    for round in 0..4_000 {
        now += Duration::from_secs(random.u64(..300));
        let key = &keys[random.usize(..keys.len())];
        match random.u8(..20) {
            0 => cache.resize(random.u64(200_000..2_000_000), Shares::new()),
            1 => cache.forget("t", &picture(random.u8(..), 1_000).id, now),
            2..10 => drop(look_up(&cache, key, random.u8(1..4), &freshness(now))),
            _ => {
                let batch: Vec<_> =
                    (0..random.u8(1..5)).map(|_| picture(random.u8(..), random.usize(..150_000))).collect();
                keep(&cache, key, &batch, now);
            }
        }
        let held: u64 = cache.pools.table.entries.iter().map(|(_, entry)| entry.weight(&0)).sum();
        assert_eq!(cache.bytes(), held, "{round}");
        assert!(held <= cache.pools.table.entries.capacity(), "{round}");
    }
    cache.resize(0, Shares::new());
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn of_pictures_that_are_too_large_together_as_many_are_kept_as_fit_the_new_ones_first() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let (fox, pictures) = (canonical("a fox"), [1, 2, 3].map(|tag| picture(tag, 450_000)));
    for generated in &pictures {
        assert!(keep(&cache, &fox, std::slice::from_ref(generated), now), "those before give way");
    }
    let look_up = || look_up(&cache, &fox, 3, &freshness(now));
    assert_eq!(look_up(), Got::Part(placed(&[pictures[2].clone(), pictures[1].clone()])));
    let told = insert(&cache, &fox, &placed(&pictures), OFFER_DIGEST, now).unwrap_err();
    assert!(told.most == 983_040 && (1_350_000..1_360_000).contains(&told.bytes), "{told}");
    assert_eq!(look_up(), Got::Part(placed(&pictures[..2])));
    let huge = insert(&cache, &fox, &placed(&[picture(4, 1_000_000)]), OFFER_DIGEST, now);
    assert!(huge.is_err() && look_up() == Got::Part(placed(&pictures[..2])), "what is there stays");
}
