//! A random tariff, as it is written in a config and as it is reckoned by hand: whole numbers, nothing of Easel's.
//!
//! What a call costs follows from its tariff, what was asked, what was answered, and how many pictures were charged
//! before it. It is an oracle for `reckoning.rs` and asks nobody.

use easel::Usd;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::reckoning::{QUALITIES, SIZES};

/// What a vendor answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Pictures, some of them missing and some broken, perhaps with a price, and with tokens read and painted.
    Draws {
        missing: i64,
        broken: i64,
        cost: Option<i64>,
        tokens: [u64; 2],
    },
    Refuses,
    Fails,
    /// A good answer without a picture and without a word on why.
    Empty,
    Limits,
    /// The beginning of an answer, and then the connection is gone.
    Cut,
}

/// One call: what was asked, sizes and qualities by their place, and what was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    pub n: i64,
    /// Bytes of the prompt, the negative one included.
    pub prompt: usize,
    pub negative: bool,
    pub seeded: bool,
    pub size: usize,
    pub quality: usize,
    pub reply: Reply,
}

/// From some number of pictures on: a price of its own, or thousandths off.
#[derive(Clone, Copy, Debug)]
enum Step {
    Usd(i64),
    Off(i64),
}

/// What one provider charges. Amounts are nano-dollars.
#[derive(Clone, Debug)]
pub struct Tariff {
    rows: Vec<(Option<usize>, Option<usize>, i64)>,
    rest: i64,
    /// By the million tokens read and painted; the rows are only an estimate then.
    metered: Option<[i64; 2]>,
    /// Whether the price that an answer tells is believed.
    told: bool,
    /// In thousandths, both.
    multiplier: i64,
    markup: i64,
    fee: i64,
    /// For a negative prompt and for a seed, by the picture.
    addons: [i64; 2],
    of_model: Vec<(u64, Step)>,
    of_all: Vec<(u64, Step)>,
    pub commitment: i64,
    /// Of what was refused, what came broken, what failed, and what was cut off.
    charges: [Option<&'static str>; 4],
}

/// Any tariff; `tiers` lets the price depend on what came before.
pub fn tariff(tiers: bool) -> impl Strategy<Value = Tariff> {
    let usd = || prop_oneof![0i64..20, 0i64..90_000_000];
    let rows = vec((option::of(0..SIZES.len()), option::of(0..QUALITIES.len()), usd()), 0..5);
    let charged = || option::of(prop_oneof![Just("no"), Just("yes"), Just("maybe")]);
    let step = prop_oneof![usd().prop_map(Step::Usd), (1i64..1000).prop_map(Step::Off)];
    let most = if tiers { 2 } else { 0 };
    let steps = (vec((1u64..20, step), 0..=most), vec((1u64..20, (1i64..1000).prop_map(Step::Off)), 0..=most));
    let metered = option::weighted(0.3, [0i64..9_000_000_000, 1i64..90_000_000_000]);
    let added = (prop_oneof![Just(1000i64), 1i64..2000], 0i64..300, usd(), [usd(), usd()]);
    let rest = (usd(), metered, any::<bool>(), added, steps, option::of(0i64..500_000_000));
    (rows, rest, [charged(), charged(), charged(), charged()]).prop_map(|(rows, rest, charges)| {
        let (rest, metered, told, added, (mut of_model, mut of_all), commitment) = rest;
        let (multiplier, markup, fee, addons) = added;
        for steps in [&mut of_model, &mut of_all] {
            steps.sort_by_key(|(from, _)| *from);
            steps.dedup_by_key(|(from, _)| *from);
        }
        let commitment = commitment.unwrap_or_default();
        let rows = distinct(rows);
        Tariff { rows, rest, metered, told, multiplier, markup, fee, addons, of_model, of_all, commitment, charges }
    })
}

/// Without rows that could never count, which a config may not have.
fn distinct(rows: Vec<(Option<usize>, Option<usize>, i64)>) -> Vec<(Option<usize>, Option<usize>, i64)> {
    let mut kept: Vec<(Option<usize>, Option<usize>, i64)> = Vec::new();
    for row in rows {
        let covers = |wide: Option<usize>, narrow: Option<usize>| wide.is_none() || wide == narrow;
        let hidden = kept.iter().any(|before| covers(before.0, row.0) && covers(before.1, row.1));
        let all = row.0.is_none() && row.1.is_none();
        if !hidden && !all {
            kept.push(row);
        }
    }
    kept
}

fn dollars(nanos: i64) -> String {
    Usd::from_nanos(nanos).to_string()
}

fn percent(thousandths: i64) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

fn written(steps: &[(u64, Step)]) -> String {
    let step = |(from, step): &(u64, Step)| match step {
        Step::Usd(nanos) => format!("{{from: {from}, usd: {}}}", dollars(*nanos)),
        Step::Off(thousandths) => format!("{{from: {from}, discount: {}}}", percent(*thousandths)),
    };
    steps.iter().map(step).collect::<Vec<_>>().join(", ")
}

impl Asked {
    /// Pictures that came whole, and those that came broken.
    pub fn drawn(&self) -> [i64; 2] {
        let Reply::Draws { missing, broken, .. } = self.reply else { return [0, 0] };
        let there = (self.n - missing).max(1);
        let good = (there - broken).max(0);
        [good, there - good]
    }
}

impl Tariff {
    /// The keys of a provider.
    pub fn of_provider(&self) -> String {
        let words = ["refused", "rejected", "failed", "abandoned"].into_iter().zip(self.charges);
        let charges: Vec<String> = words.filter_map(|(what, rule)| Some(format!("{what}: {}", rule?))).collect();
        let commitment = match self.commitment {
            0 => String::new(),
            nanos => format!(", committed_usd_per_month: {}", dollars(nanos)),
        };
        format!(
            "markup: {}, fee: {}, billing: {{charges: {{{}}}, volume: [{}]{commitment}}}{}",
            percent(self.markup),
            dollars(self.fee),
            charges.join(", "),
            written(&self.of_all),
            if self.told { ", dialect: {cost_header: x-cost}" } else { "" }
        )
    }

    /// The keys of a model.
    pub fn of_model(&self) -> String {
        let row = |(size, quality, usd): &(Option<usize>, Option<usize>, i64)| {
            let size = size.map_or_else(String::new, |at| format!("size: {}, ", SIZES[at]));
            let quality = quality.map_or_else(String::new, |at| format!("quality: {}, ", QUALITIES[at]));
            format!("{{{size}{quality}usd: {}}}, ", dollars(*usd))
        };
        let rows = format!("[{}{{usd: {}}}]", self.rows.iter().map(row).collect::<String>(), dollars(self.rest));
        let price = match self.metered {
            None => rows,
            Some([read, painted]) => {
                let tokens = format!("text_in: {}, image_out: {}", dollars(read), dollars(painted));
                format!("{{tokens_per_million: {{{tokens}}}, estimate: {rows}}}")
            }
        };
        let [negative, seed] = self.addons.map(dollars);
        let added = format!("addons: {{negative_prompt: {negative}, seed: {seed}}}");
        format!(
            "price: {price}, multiplier: {}, {added}, volume: [{}]",
            percent(self.multiplier),
            written(&self.of_model)
        )
    }

    /// What all calls come to, in their order.
    pub fn reckon(&self, calls: &[&Asked]) -> i128 {
        let (mut total, mut before) = (0, 0);
        for call in calls {
            let (cost, charged) = self.call(call, before);
            total += cost;
            before += charged;
        }
        total
    }

    /// What a call costs, and how many pictures it charges.
    fn call(&self, asked: &Asked, before: u64) -> (i128, u64) {
        let charged = self.charged(asked);
        let Reply::Draws { cost, tokens, .. } = &asked.reply else {
            return (self.tiered(asked, &self.each(asked, charged), before), charged);
        };
        let fee = |usd: i128| if usd > 0 || charged > 0 { usd + i128::from(self.fee) } else { usd };
        if let Some(cost) = cost.filter(|_| self.told) {
            // The vendor's own word has its discounts in it.
            return (fee(self.marked_up(cost.into(), 1)), charged);
        }
        match self.metered {
            None => (self.tiered(asked, &self.each(asked, charged), before), charged),
            Some([read, painted]) => {
                // Nobody counts tokens by the picture: the whole, fee included, is shared among them.
                let millionths = i128::from(read) * i128::from(tokens[0]) + i128::from(painted) * i128::from(tokens[1]);
                let added = self.added(asked) * i128::from(charged);
                let shares = shared(fee(self.multiplied(millionths, added)), charged);
                (self.tiered(asked, &shares, before), charged)
            }
        }
    }

    /// Pictures charged. What comes broken is, unless the tariff says otherwise; what does not come is not.
    fn charged(&self, asked: &Asked) -> u64 {
        let [refused, rejected, failed, abandoned] = self.charges;
        let all_if = |rule: Option<&str>| if rule == Some("yes") { asked.n } else { 0 };
        let pictures = match asked.reply {
            Reply::Limits => 0,
            Reply::Refuses => all_if(refused),
            Reply::Fails => all_if(failed),
            Reply::Cut | Reply::Empty => all_if(abandoned),
            Reply::Draws { .. } => {
                let [good, broken] = asked.drawn();
                if matches!(rejected, None | Some("yes")) { good + broken } else { good }
            }
        };
        u64::try_from(pictures).unwrap()
    }

    /// What the calls may have been charged besides: where the tariff says maybe, and where nobody can know. Without
    /// tiers; by those it is what was the dearest before the call.
    pub fn unsure(&self, calls: &[&Asked]) -> i128 {
        let [refused, rejected, failed, abandoned] = self.charges;
        let maybe = |rule: Option<&str>, pictures: i64| if rule == Some("maybe") { pictures } else { 0 };
        let call = |asked: &&Asked| {
            let pictures = match asked.reply {
                Reply::Limits => 0,
                Reply::Refuses => maybe(refused, asked.n),
                Reply::Fails => maybe(failed, asked.n),
                Reply::Cut | Reply::Empty => maybe(abandoned.or(Some("maybe")), asked.n),
                Reply::Draws { .. } => maybe(rejected, asked.drawn()[1]),
            };
            // A picture is estimated with the fee of a call of its own.
            (self.picture(asked) + i128::from(self.fee)) * i128::from(pictures)
        };
        calls.iter().map(call).sum()
    }

    /// Each charged picture. The call's fee is part of the first, discounts and all.
    fn each(&self, asked: &Asked, charged: u64) -> Vec<i128> {
        let fee = |nth: u64| if nth == 0 { i128::from(self.fee) } else { 0 };
        (0..charged).map(|nth| self.picture(asked) + fee(nth)).collect()
    }

    /// One picture by the first row that fits.
    fn picture(&self, asked: &Asked) -> i128 {
        let fits = |wanted: Option<usize>, given: usize| wanted.is_none_or(|wanted| wanted == given);
        let row = self.rows.iter().find(|(size, quality, _)| fits(*size, asked.size) && fits(*quality, asked.quality));
        let listed = row.map_or(self.rest, |(_, _, usd)| *usd);
        // Where tokens should have been told, the prompt may have been read for each picture, a token for every byte.
        let read = self.metered.map_or(0, |[read, _]| i128::from(read) * asked.prompt as i128);
        self.multiplied(i128::from(listed) * 1_000_000 + read, self.added(asked))
    }

    /// What a picture's wishes cost.
    fn added(&self, asked: &Asked) -> i128 {
        let used = [asked.negative, asked.seeded].into_iter().zip(self.addons).filter(|(used, _)| *used);
        used.map(|(_, usd)| i128::from(usd)).sum()
    }

    /// Millionths with the multiplier, what is added without it, and the markup on both; rounded half up once.
    fn multiplied(&self, millionths: i128, added: i128) -> i128 {
        self.marked_up(millionths * i128::from(self.multiplier) + added * 1_000_000_000, 1_000_000_000)
    }

    /// With the markup, rounded half up once.
    fn marked_up(&self, parts: i128, of: i128) -> i128 {
        half_up(parts * i128::from(1000 + self.markup), of * 1000)
    }

    /// Each picture by where it stands among those charged before: by its model's tiers, then by its provider's. A
    /// tier's own price stands in the table's place: all that is on top of that is on top of it too.
    fn tiered(&self, asked: &Asked, pictures: &[i128], before: u64) -> i128 {
        let dressed = |own: i64, place: u64| {
            let fee = if place == before { i128::from(self.fee) } else { 0 };
            self.multiplied(i128::from(own) * 1_000_000, self.added(asked)) + fee
        };
        let price = |steps: &[(u64, Step)], place: u64, usd: i128| match steps
            .iter()
            .filter(|(from, _)| *from <= place)
            .max_by_key(|(from, _)| *from)
        {
            None => usd,
            Some((_, Step::Usd(own))) => dressed(*own, place),
            Some((_, Step::Off(off))) => half_up(usd * i128::from(1000 - off), 1000),
        };
        (before..)
            .zip(pictures)
            .map(|(place, usd)| price(&self.of_all, place, price(&self.of_model, place, *usd)))
            .sum()
    }
}

fn half_up(parts: i128, of: i128) -> i128 {
    (parts * 2 + of) / (of * 2)
}

/// A total in equal parts, what is left over on the first; without a picture it is one part.
fn shared(total: i128, pictures: u64) -> Vec<i128> {
    let parts = i128::from(pictures.max(1));
    let (each, over) = (total / parts, total % parts);
    (0..parts).map(|nth| if nth == 0 { each + over } else { each }).collect()
}
