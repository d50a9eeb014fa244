//! Which factors the suite's environment has, and what they are in one shard: the hash seed of Python, which every
//! shard has, and what `[factors]` lists.

use std::ffi::OsString;

use crate::{
    config::{Factor, HASH_SEED},
    diagnose::{FactorDomain, Levels},
    model::{FactorLevel, Layout},
    plan::{IterationSeed, factor},
};

/// Probability of one level of a factor that is uniform on 32 bits.
const ONE_OF_2_POW_32: f64 = 1.0 / 4_294_967_296.0;

/// Returns the level of every factor in one shard, sorted by name: those of `fixed` as they are there, all others
/// drawn by the seed.
#[must_use]
pub fn levels(
    listed: &[Factor],
    fixed: &[(String, String)],
    seed: IterationSeed,
    layout: Layout,
    shard: u16,
) -> Vec<FactorLevel> {
    let numbers = (!listed.iter().any(|factor| factor.name == HASH_SEED)).then(|| FactorLevel {
        factor: HASH_SEED.to_owned(),
        level: factor::number(seed, layout, shard, HASH_SEED).to_string(),
        drawn_with: ONE_OF_2_POW_32,
    });
    let drawn = listed.iter().filter_map(|listed| {
        let count = listed.levels.len();
        let chosen = factor::choice(seed, layout, shard, &listed.name, count)?;
        Some(FactorLevel {
            factor: listed.name.clone(),
            level: listed.levels[chosen].clone(),
            drawn_with: share(count),
        })
    });
    let is_fixed = |name: &str| fixed.iter().any(|(fixed, _)| fixed == name);
    let mut levels: Vec<FactorLevel> = numbers
        .into_iter()
        .chain(drawn)
        .filter(|level| !is_fixed(&level.factor))
        .chain(fixed.iter().map(|(factor, level)| FactorLevel {
            factor: factor.clone(),
            level: level.clone(),
            drawn_with: 1.0,
        }))
        .collect();
    levels.sort_by(|one, other| one.factor.cmp(&other.factor));
    levels
}

/// Returns the factors that shards draw, sorted by name, as the analysis knows them.
#[must_use]
pub fn domains(listed: &[Factor]) -> Vec<FactorDomain> {
    let domain = |name: &str, levels| FactorDomain {
        name: name.to_owned(),
        levels,
        settable: true,
    };
    let mut domains: Vec<FactorDomain> = listed
        .iter()
        .map(|factor| {
            let with = share(factor.levels.len());
            let levels = factor.levels.iter().map(|level| (level.clone(), with));
            domain(&factor.name, Levels::Listed(levels.collect()))
        })
        .collect();
    if !listed.iter().any(|factor| factor.name == HASH_SEED) {
        domains.push(domain(HASH_SEED, Levels::Number));
    }
    domains.sort_by(|one, other| one.name.cmp(&other.name));
    domains
}

/// Probability of one of so many levels.
fn share(levels: usize) -> f64 {
    1.0 / f64::from(u32::try_from(levels).expect("the configuration bounds the levels"))
}

/// Returns the seed of the random generators of a shard's tests.
#[must_use]
pub fn seed32(seed: IterationSeed, layout: Layout, shard: u16) -> u32 {
    factor::number(seed, layout, shard, "random seed")
}

/// Returns the variables that a shard's factors set.
#[must_use]
pub fn variables(levels: &[FactorLevel]) -> Vec<(OsString, OsString)> {
    levels
        .iter()
        .map(|level| (OsString::from(&level.factor), OsString::from(&level.level)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Design, Grouping};

    fn factor(name: &str, levels: &[&str]) -> Factor {
        Factor {
            name: name.to_owned(),
            levels: levels.iter().map(ToString::to_string).collect(),
        }
    }

    fn drawn(listed: &[Factor], fixed: &[(&str, &str)], shard: u16) -> Vec<(String, String, f64)> {
        let layout = Layout {
            design: Design::Free,
            shards: 400,
            grouping: Grouping::Interleaved,
            class: 0,
        };
        let fixed: Vec<_> = fixed
            .iter()
            .map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
            .collect();
        levels(listed, &fixed, IterationSeed(7), layout, shard)
            .into_iter()
            .map(|level| (level.factor, level.level, level.drawn_with))
            .collect()
    }

    #[test]
    fn a_listed_factor_takes_every_level_equally_often_and_independently_of_others() {
        let listed = [
            factor("A", &["x", "y"]),
            factor("TZ", &["UTC", "Asia/Tokyo"]),
        ];
        let mut counts = [[0_u32; 2]; 2];
        for shard in 0..400 {
            let drawn = drawn(&listed, &[], shard);
            let names: Vec<_> = drawn.iter().map(|(name, _, _)| name.as_str()).collect();
            assert_eq!(names, ["A", "PYTHONHASHSEED", "TZ"]);
            assert!((drawn[0].2 - 0.5).abs() < 1e-12);
            counts[usize::from(drawn[0].1 == "y")][usize::from(drawn[2].1 == "UTC")] += 1;
        }
        // 100 expected in each; the seed is fixed, so this holds for ever or never.
        assert!(
            counts.iter().flatten().all(|n| (70..130).contains(n)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_fixed_level_leaves_the_draws_of_the_others_as_they_are() {
        let listed = [factor("TZ", &["UTC", "Asia/Tokyo"])];
        let free = drawn(&listed, &[], 3);
        let fixed = drawn(&listed, &[("TZ", "Asia/Tokyo")], 3);
        assert_eq!(fixed[0], free[0]);
        assert_eq!(fixed[1], ("TZ".to_owned(), "Asia/Tokyo".to_owned(), 1.0));
        let seed = drawn(&listed, &[("PYTHONHASHSEED", "5")], 3);
        assert_eq!(seed[0], ("PYTHONHASHSEED".to_owned(), "5".to_owned(), 1.0));
        assert_eq!(seed[1], free[1]);
    }

    #[test]
    fn a_listed_hash_seed_takes_the_place_of_the_uniform_one() {
        let listed = [factor("PYTHONHASHSEED", &["0"])];
        assert_eq!(
            drawn(&listed, &[], 0),
            [("PYTHONHASHSEED".to_owned(), "0".to_owned(), 1.0)]
        );
        let domains = domains(&listed);
        assert_eq!(domains.len(), 1);
        assert_eq!(
            domains[0].levels,
            Levels::Listed(vec![("0".to_owned(), 1.0)])
        );
    }
}
