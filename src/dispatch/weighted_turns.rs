//! Whose turn it is where offers are asked by shares: smooth weighted round robin, as nginx balances upstreams.
//!
//! Each turn, every able offer earns its share, and the one that has earned most is asked and pays what all of them earned
//! together. With shares that make 100 the turns repeat after at most 100, so any 100 in a row have each offer exactly as
//! often as its share says. Where an offer is not able, the others have its turns in proportion.

/// What each of a route's offers has earned and not been asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightedTurns {
    shares: Vec<u8>,
    earned: Vec<i64>,
}

impl WeightedTurns {
    /// The offer among the `able` ones whose turn it is, by its place in the route's list; `None` where none of them has a
    /// share. Other shares than before begin anew.
    pub fn take(&mut self, shares: &[u8], able: &[usize]) -> Option<usize> {
        if self.shares != shares {
            (self.shares, self.earned) = (shares.to_vec(), vec![0; shares.len()]);
        }
        let mut all = 0;
        let mut turn: Option<usize> = None;
        for offer in able.iter().copied() {
            let (Some(share), Some(earned)) = (shares.get(offer).copied(), self.earned.get_mut(offer)) else {
                continue;
            };
            if share == 0 {
                continue;
            }
            *earned += i64::from(share);
            all += i64::from(share);
            let most = turn.and_then(|turn| self.earned.get(turn)).copied();
            if most.is_none_or(|most| self.earned[offer] > most) {
                turn = Some(offer);
            }
        }
        if let Some(earned) = turn.and_then(|turn| self.earned.get_mut(turn)) {
            *earned -= all;
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shares of up to five offers that make 100.
    fn shares() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0..=100u8, 0..4).prop_map(|mut cuts| {
            cuts.sort_unstable();
            let bounds = [&[0][..], &cuts, &[100]].concat();
            bounds.windows(2).map(|pair| pair[1] - pair[0]).collect()
        })
    }

    proptest! {
        #[test]
        fn any_hundred_turns_in_a_row_have_each_offer_as_often_as_its_share_says(shares in shares(), turns in 100..400usize) {
            let able: Vec<usize> = (0..shares.len()).collect();
            let mut state = WeightedTurns::default();
            let taken: Vec<Option<usize>> = (0..turns).map(|_| state.take(&shares, &able)).collect();
            for window in taken.windows(100) {
                for (offer, share) in shares.iter().enumerate() {
                    prop_assert_eq!(window.iter().filter(|turn| **turn == Some(offer)).count(), usize::from(*share));
                }
            }
        }

        #[test]
        fn what_is_earned_stays_within_one_turn_of_everybody_whoever_is_able(
            shares in shares(),
            able in prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 0..300),
        ) {
            let mut state = WeightedTurns::default();
            for able in able {
                let able: Vec<usize> = (0..shares.len()).filter(|offer| able[*offer]).collect();
                let turn = state.take(&shares, &able);
                prop_assert!(turn.is_none_or(|turn| able.contains(&turn) && shares[turn] > 0));
                prop_assert_eq!(turn.is_none(), able.iter().all(|offer| shares[*offer] == 0));
                prop_assert!(state.earned.iter().all(|earned| (-10_000..=10_000).contains(earned)));
            }
        }
    }

    #[test]
    fn who_is_not_able_is_not_asked_and_the_others_share_its_turns() {
        let mut state = WeightedTurns::default();
        let shares = [50, 30, 20];
        let turns: Vec<_> = (0..50).filter_map(|_| state.take(&shares, &[1, 2])).collect();
        assert_eq!(turns.iter().filter(|turn| **turn == 1).count(), 30);
        assert_eq!(turns.iter().filter(|turn| **turn == 2).count(), 20);
    }
}
