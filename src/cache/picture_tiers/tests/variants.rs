//! Several different pictures of one request, served in turns.

use super::*;

fn asked<'a>(canonical: &'a Canonical, n: u8, variants: u8, caller: u64, freshness: &Freshness<'a>) -> Asked<'a> {
    Asked { canonical, n, variants, near: None, learned: None, serves: true, caller, freshness: *freshness }
}

fn ids(lookup: &CacheLookup) -> Vec<String> {
    match lookup {
        CacheLookup::Hit(found) | CacheLookup::Part(found) => {
            found.pictures.iter().map(|placed| placed.generated.id.to_string()).collect()
        }
        CacheLookup::Miss(_) => Vec::new(),
    }
}

#[test]
fn no_picture_is_served_again_before_as_many_different_ones_are_there_as_the_route_wants() {
    let (cache, now, fox) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), canonical("a fox"));
    let fresh = freshness(now);
    for there in 0..3 {
        let looked = found(&cache, &asked(&fox, 1, 3, 1, &fresh));
        let miss = if there == 0 { Miss::Absent } else { Miss::Variant { available: there } };
        assert_eq!((looked.available(), looked), (there, CacheLookup::Miss(miss)));
        keep(&cache, &fox, &[picture(there, 10)], now);
    }
    assert!(matches!(found(&cache, &asked(&fox, 1, 3, 1, &fresh)), CacheLookup::Hit(_)));
    // What was drawn alike is no other picture.
    let hen = canonical("a hen");
    (0..3).for_each(|_| assert!(keep(&cache, &hen, &[picture(7, 10)], now)));
    assert_eq!(found(&cache, &asked(&hen, 1, 3, 1, &fresh)), CacheLookup::Miss(Miss::Variant { available: 1 }));
}

#[test]
fn a_request_for_several_takes_what_is_there_and_draws_what_the_route_misses() {
    let (cache, now, fox) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), canonical("a fox"));
    let fresh = freshness(now);
    keep(&cache, &fox, &[picture(1, 10), picture(2, 10)], now);
    for (n, variants, served, drawn) in
        [(3, 4, 1, 2), (1, 4, 0, 1), (2, 4, 0, 2), (4, 2, 2, 2), (2, 2, 2, 0), (6, 4, 2, 4)]
    {
        let asked = asked(&fox, n, variants, 1, &fresh);
        assert_eq!((ids(&found(&cache, &asked)).len(), asked.to_draw(2)), (served, drawn), "{n} of {variants}");
        assert_eq!(n, u8::try_from(served).unwrap() + drawn);
    }
    // How many requests for one may draw at once.
    let flights = |n, variants, there| asked(&fox, n, variants, 1, &fresh).flights(there);
    assert_eq!(
        (flights(1, 4, 0), flights(1, 4, 3), flights(3, 4, 0), flights(1, 1, 0), flights(1, 4, 4)),
        (4, 1, 2, 1, 1)
    );
    let seven = seeded(7);
    assert_eq!(asked(&seven, 2, 4, 1, &fresh).to_draw(1), 1, "with a seed there is but one picture of each place");
    assert_eq!(asked(&seven, 2, 4, 1, &fresh).flights(0), 1);
}

#[test]
fn they_take_turns_and_nobody_gets_the_same_twice_in_a_row() {
    let (cache, now, fox) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), canonical("a fox"));
    let fresh = freshness(now);
    let four: Vec<_> = (1..=4).map(|tag| picture(tag, 10)).collect();
    keep(&cache, &fox, &four, now);
    let mut turns: Vec<String> = (0..8).flat_map(|_| ids(&found(&cache, &asked(&fox, 1, 4, 1, &fresh)))).collect();
    assert_eq!(turns[..4], turns[4..]);
    turns.truncate(4);
    turns.sort_unstable();
    turns.dedup();
    assert_eq!(turns.len(), 4, "each had its turn");

    let mut random = fastrand::Rng::with_seed(4);
    for variants in 2..=4 {
        let (cache, mut last) = (PictureTiers::new(1 << 20, None, 5), std::collections::HashMap::new());
        keep(&cache, &fox, &four[..usize::from(variants)], now);
        for _ in 0..5_000 {
            let (caller, n) = (random.u64(..6), random.u8(1..=variants / 2));
            let got = ids(&found(&cache, &asked(&fox, n, variants, caller, &fresh)));
            assert_eq!(got.len(), usize::from(n));
            let before: Vec<String> = last.insert(caller, got.clone()).unwrap_or_default();
            assert!(got.iter().all(|id| !before.contains(id)), "{caller} got {got:?} after {before:?} of {variants}");
        }
    }
}

#[test]
fn who_had_a_picture_drawn_is_given_another_one_next() {
    let (cache, now, fox) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), canonical("a fox"));
    let fresh = freshness(now);
    let (mine, theirs) = (picture(1, 10), picture(2, 10));
    let kept = |pictures: &[PlacedPicture], caller| {
        let kept = Kept { canonical: &fox, pictures, offer_digest: OFFER_DIGEST, ttl: HOUR, now };
        cache.keep(&kept, None, Some(caller)).unwrap();
    };
    kept(&placed(std::slice::from_ref(&mine)), 1);
    kept(&placed(std::slice::from_ref(&theirs)), 2);
    assert_eq!(ids(&found(&cache, &asked(&fox, 1, 2, 1, &fresh))), [theirs.id.to_string()]);
    assert_eq!(ids(&found(&cache, &asked(&fox, 1, 2, 2, &fresh))), [mine.id.to_string()]);
}

#[test]
fn requests_at_once_are_given_different_pictures() {
    let (cache, now, fox) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), canonical("a fox"));
    keep(&cache, &fox, &(1..=8).map(|tag| picture(tag, 10)).collect::<Vec<_>>(), now);
    let got = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..8).map(|_| scope.spawn(|| ids(&found(&cache, &asked(&fox, 1, 8, 1, &freshness(now)))))).collect();
        asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect::<std::collections::HashSet<_>>()
    });
    assert_eq!(got.len(), 8);
}
