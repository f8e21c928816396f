//! How large a share may be of which a sample was seen.

/// The chance that a bound is too low.
const RISK: f64 = 0.05;

/// How often the interval in which a bound lies is halved: until it is as narrow as a number can tell.
const HALVINGS: usize = 60;

/// The one-sided 95% Clopper-Pearson bound of a share: the one of which so few of `tries`, or fewer, come with a chance of 5%.
pub fn upper_bound(hits: u64, tries: u64) -> f64 {
    if hits >= tries {
        return 1.0;
    }
    let ways = log_ways(hits, tries);
    let (mut low, mut high) = (0.0f64, 1.0f64);
    for _ in 0..HALVINGS {
        let share = (low + high) / 2.0;
        if is_likely(hits, tries, share, ways) { low = share } else { high = share }
    }
    high
}

/// How many pairs that mean different pictures it takes at the least for a bound of `limit`: so many of which none hits. `None`
/// where no number would do.
pub fn different_needed(limit: f64) -> Option<u64> {
    if limit >= 1.0 {
        return Some(0);
    }
    // (1 - limit)^n = 5%.
    let needed = (RISK.ln() / (-limit).ln_1p()).ceil();
    (limit > 0.0 && needed < 1e15).then_some(needed as u64)
}

/// The logarithm of in how many ways so many of `tries` can hit.
fn log_ways(hits: u64, tries: u64) -> f64 {
    (0..hits).map(|hit| ((tries - hit) as f64 / (hit + 1) as f64).ln()).sum()
}

/// Whether at most `hits` of `tries` are likelier than [`RISK`], where each hits with a chance of `share`. `ways` is
/// [`log_ways`]. Summed from the most hits down, as the terms get smaller that way where the sum matters.
fn is_likely(hits: u64, tries: u64, share: f64, ways: f64) -> bool {
    let mut log = ways + hits as f64 * share.ln() + (tries - hits) as f64 * (-share).ln_1p();
    let step = (-share).ln_1p() - share.ln();
    let mut sum = 0.0f64;
    for count in (0..=hits).rev() {
        let term = log.exp();
        sum += term;
        if sum > RISK {
            return true;
        }
        // How the next term is to this one; while they grow none is negligible.
        let next = (count as f64 / (tries - count + 1) as f64).ln() + step;
        if next < 0.0 && term < sum * 1e-17 {
            return false;
        }
        log += next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        // qbeta(0.95, hits + 1, tries - hits).
        for (hits, tries, bound) in [
            (0, 1, 0.95),
            (0, 10, 0.258_865_551),
            (1, 10, 0.394_163_302),
            (5, 10, 0.777_558_899),
            (0, 299, 0.009_969_147),
            (2, 1200, 0.005_237_112),
            (10, 100, 0.163_717_623),
            (1_430, 16_230, 0.091_853_816),
        ] {
            let found = upper_bound(hits, tries);
            assert!((found - bound).abs() < 1e-9, "{hits} of {tries}: {found}");
        }
        assert_eq!((upper_bound(0, 0), upper_bound(7, 7)), (1.0, 1.0));
    }

    #[test]
    fn a_bound_is_the_share_with_which_so_few_come_in_one_of_twenty() {
        let mut random = fastrand::Rng::with_seed(3);
        for (hits, tries) in [(0u64, 40usize), (3, 60), (12, 80)] {
            let share = upper_bound(hits, tries as u64);
            let few =
                (0..20_000).filter(|_| (0..tries).filter(|_| random.f64() < share).count() as u64 <= hits).count();
            assert!((900..1_100).contains(&few), "{hits} of {tries}: {few} of 20,000");
        }
    }

    #[test]
    fn more_hits_mean_a_higher_bound_and_more_pairs_a_lower_one() {
        for tries in [1, 2, 299, 5_000, 200_000] {
            let mut below = 0.0;
            for hits in [0, 1, 2, 10, 150, 2_500, 90_000].into_iter().filter(|hits| *hits < tries) {
                let bound = upper_bound(hits, tries);
                assert!(bound > below && bound > hits as f64 / tries as f64, "{hits} of {tries}: {bound}");
                assert!(bound > upper_bound(hits, tries + 1));
                below = bound;
            }
        }
    }

    #[test]
    fn so_many_pairs_are_needed_and_one_less_is_too_few() {
        assert_eq!((different_needed(0.01), different_needed(0.001)), (Some(299), Some(2_995)));
        for limit in [0.5, 0.05, 0.01, 0.001] {
            let needed = different_needed(limit).unwrap();
            assert!(upper_bound(0, needed) <= limit && upper_bound(0, needed - 1) > limit, "{limit}");
        }
        assert_eq!((different_needed(0.0), different_needed(1.0)), (None, Some(0)));
    }
}
