//! What operators take out, and what tenants and routes may hold.

use serde_json::json;

use super::*;
use crate::cache::shares::Shareholder;

fn of(tenant: &str, route: &str, prompt: &str) -> Canonical {
    let body = json!({ "prompt": prompt }).to_string();
    Canonical::new(tenant, route, None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
}

fn drawn_by(offer: &str, tag: u8) -> Arc<GeneratedPicture> {
    Arc::new(GeneratedPicture { drawn_by: offer.into(), ..(*picture(tag, 1_000)).clone() })
}

#[test]
fn what_is_selected_goes_and_everything_else_stays() {
    let now = Instant::now();
    let later = now + HOUR / 2;
    let kept = [
        (of("web", "r", "a fox"), drawn_by("stability/core", 1), now),
        (of("web", "s", "a fox"), drawn_by("openai/gpt-image-2", 2), now),
        (of("app", "r", "a fox"), drawn_by("stability/ultra", 3), later),
        (of("app", "s", "a hen"), drawn_by("replicate/stability-ai/sdxl", 4), later),
    ];
    let text = |word: &str| Some(word.to_owned());
    let none = PurgeSelector::default;
    for (selector, gone) in [
        (none(), vec![0, 1, 2, 3]),
        (PurgeSelector { tenant: text("web"), ..none() }, vec![0, 1]),
        (PurgeSelector { tenant: text("we"), ..none() }, vec![]),
        (PurgeSelector { route: text("s"), ..none() }, vec![1, 3]),
        (PurgeSelector { provider: text("stability"), ..none() }, vec![0, 2]),
        (PurgeSelector { model: text("core"), ..none() }, vec![0]),
        (PurgeSelector { provider: text("replicate"), model: text("stability-ai/sdxl"), ..none() }, vec![3]),
        (PurgeSelector { image: text(&kept[1].1.id), ..none() }, vec![1]),
        (PurgeSelector { key: Some(kept[3].0.key()), ..none() }, vec![3]),
        (PurgeSelector { older_than: Some(HOUR / 2), ..none() }, vec![0, 1]),
        (PurgeSelector { older_than: Some(HOUR / 2), route: text("s"), ..none() }, vec![1]),
        (PurgeSelector { tenant: text("web"), provider: text("replicate"), ..none() }, vec![]),
    ] {
        let cache = PictureTiers::new(1 << 20, None, 5);
        for (canonical, picture, at) in &kept {
            keep(&cache, canonical, std::slice::from_ref(picture), *at);
        }
        let before = cache.bytes();
        let purged = cache.purge(&selector, later);
        assert_eq!((purged.pictures, purged.bytes), (gone.len(), before - cache.bytes()), "{selector:?}");
        for (nth, (canonical, picture, _)) in kept.iter().enumerate() {
            let found = look_up(&cache, canonical, 1, &freshness(later));
            let there = Got::Hit(placed(std::slice::from_ref(picture)));
            let expected = if gone.contains(&nth) { Got::Miss(Miss::Absent) } else { there };
            assert_eq!(found, expected, "{selector:?} {nth}");
        }
    }
}

#[test]
fn what_goes_in_part_leaves_the_rest_of_its_pool() {
    let (cache, now, fox) = (PictureTiers::new(1 << 20, None, 5), Instant::now(), of("t", "r", "a fox"));
    let (ours, theirs) = (drawn_by("a/m", 1), drawn_by("b/m", 2));
    keep(&cache, &fox, &[ours.clone(), theirs], now);
    let purged = cache.purge(&PurgeSelector { provider: Some("b".to_owned()), ..PurgeSelector::default() }, now);
    assert_eq!(purged.pictures, 1);
    assert_eq!(look_up(&cache, &fox, 2, &freshness(now)), Got::Part(placed(&[ours])));
}

fn shares(of: &[(Shareholder, u64)]) -> Shares {
    of.iter().cloned().collect()
}

#[test]
fn whoever_is_over_its_share_gives_way_to_itself_and_to_nobody_else() {
    let (cache, now) = (PictureTiers::new(1 << 20, None, 5), Instant::now());
    let (web, route) = (Shareholder::Tenant("web".into()), Shareholder::Route("r".into()));
    cache.resize(1 << 20, shares(&[(web.clone(), 50_000)]));
    let app = of("app", "r", "a quiet fox");
    keep(&cache, &app, &[picture(0, 10_000)], now);
    let popular = of("web", "r", "fox 0");
    for number in 0..40u8 {
        let canonical = of("web", "r", &format!("fox {number}"));
        assert!(keep(&cache, &canonical, &[picture(number, 10_000)], now));
        assert!(matches!(look_up(&cache, &canonical, 1, &freshness(now)), Got::Hit(_)), "the new one is there");
        assert!(matches!(look_up(&cache, &popular, 1, &freshness(now)), Got::Hit(_)), "what is asked for stays");
        assert!(cache.pools.shares.of(&web).bytes() <= 50_000);
    }
    assert!(matches!(look_up(&cache, &app, 1, &freshness(now)), Got::Hit(_)));
    assert!(cache.pools.shares.of(&web).bytes() > 35_000, "the share is used");
    let oversized = insert(&cache, &of("web", "r", "large"), &placed(&[picture(1, 60_000)]), OFFER_DIGEST, now);
    assert_eq!(oversized.unwrap_err().most, 50_000);
    // A route's share holds for all its tenants, and a smaller one at once.
    cache.resize(1 << 20, shares(&[(route.clone(), 30_000)]));
    assert!(cache.pools.shares.of(&route).bytes() <= 30_000);
    for number in 0..20u8 {
        let tenant = ["web", "app", "batch"][usize::from(number % 3)];
        keep(&cache, &of(tenant, "r", &format!("hen {number}")), &[picture(number, 10_000)], now);
        keep(&cache, &of(tenant, "s", &format!("hen {number}")), &[picture(number, 10_000)], now);
        assert!(cache.pools.shares.of(&route).bytes() <= 30_000);
    }
    assert!(cache.pools.shares.of(&Shareholder::Route("s".into())).bytes() > 190_000);
}

#[test]
fn what_each_holds_is_what_is_kept_of_it_whatever_happens() {
    let cache = PictureTiers::new(1 << 20, None, 5);
    let (mut random, now) = (fastrand::Rng::with_seed(2), Instant::now());
    let keys: Vec<Canonical> = (0..60)
        .map(|number| of(["a", "b", "c"][number % 3], ["r", "s"][number % 2], &format!("fox {number}")))
        .collect();
    for round in 0..3_000 {
        let key = &keys[random.usize(..keys.len())];
        match random.u8(..20) {
            0 => cache.resize(
                random.u64(200_000..2_000_000),
                shares(&[
                    (Shareholder::Tenant("a".into()), random.u64(100_000..900_000)),
                    (Shareholder::Route("s".into()), random.u64(100_000..900_000)),
                ]),
            ),
            1 => cache.forget("a", &picture(random.u8(..9), 9_000).id, now),
            2..8 => drop(look_up(&cache, key, 1, &freshness(now))),
            _ => drop(keep(&cache, key, &[picture(random.u8(..9), 9_000 * random.usize(1..9))], now)),
        }
        let mut held = HashMap::new();
        for (_, entry) in cache.pools.table.entries.iter() {
            let (tenant, route) = Canonical::owners(entry.canonical()).unwrap();
            *held.entry(Shareholder::Tenant(tenant.into())).or_insert(0) += entry.weight(&0);
            *held.entry(Shareholder::Route(route.into())).or_insert(0) += entry.weight(&0);
        }
        let told: HashMap<Shareholder, u64> = cache.contents().holders.into_iter().filter(|held| held.1 > 0).collect();
        assert_eq!(told, held, "{round}");
        for (holder, bytes) in told {
            assert!(cache.pools.shares.share(&holder).is_none_or(|share| bytes <= share), "{round} {holder:?}");
        }
    }
    cache.resize(0, Shares::new());
    assert!(cache.contents().holders.iter().all(|held| held.1 == 0));
}
