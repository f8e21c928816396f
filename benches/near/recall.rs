//! The generator's edits of other people's prompts: how many of them are known for what they are.

use easel_matcher::{CANDIDATE_DISTANCE, WordLists, canonical, compare, distance};
use easel_prompts::{Class, Rng, SEED, apply};

use crate::corpus;

pub fn print(paths: &[String], missed: usize) -> Vec<String> {
    let lists = WordLists::builtin();
    let prompts: Vec<String> = corpus::files(paths).iter().flat_map(|file| corpus::prompts(file)).collect();
    println!("{} prompts\n\nclass           edits    known    share", prompts.len());
    let mut broken = Vec::new();
    let (mut all, mut all_known) = (0, 0);
    for (index, class) in Class::ALL.into_iter().enumerate() {
        let (mut edits, mut known, mut shown) = (0, 0, 0);
        for (number, prompt) in prompts.iter().enumerate() {
            let mut rng = Rng::new(Rng::new(SEED ^ ((number as u64) << 8 | index as u64)).next_u64());
            let Some(edited) = apply(class, prompt, &mut rng) else { continue };
            let (a, b) = (canonical(prompt, &lists), canonical(&edited, &lists));
            let near = || {
                distance(&a.sketch(), &b.sketch()) <= CANDIDATE_DISTANCE && compare(&a, &b, &lists).is_same_picture()
            };
            let same = a.canonical_bytes() == b.canonical_bytes() || near();
            edits += 1;
            known += usize::from(same);
            if !same && shown < missed {
                shown += 1;
                println!(
                    "  missed: {prompt} [{}]\n          {edited}\n          {}\n          {}",
                    distance(&a.sketch(), &b.sketch()),
                    a.text(),
                    b.text()
                );
                for it in compare(&a, &b, &lists).differences {
                    println!("          {:?} / {:?}: {:?}", it.left, it.right, it.verdict);
                }
            }
        }
        let share = 100.0 * known as f64 / f64::from(edits.max(1));
        println!("{:<12} {edits:>8} {known:>8} {share:>7.2}%", class.as_str());
        let least = if class == Class::Typo { 85.0 } else { 97.0 };
        if edits > 0 && share < least {
            broken.push(format!("{}: {share:.2}% of its edits are known", class.as_str()));
        }
        if class != Class::Typo {
            all += edits;
            all_known += known as i32;
        }
    }
    let share = 100.0 * f64::from(all_known) / f64::from(all.max(1));
    println!("{:<12} {all:>8} {all_known:>8} {share:>7.2}%\n", "but typos");
    if share < 99.0 {
        broken.push(format!("{share:.2}% of all edits but typos are known"));
    }
    broken
}
