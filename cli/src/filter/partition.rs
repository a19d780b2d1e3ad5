//! One part of the tests, so that several machines share a run.

use sha2::{Digest as _, Sha256};

use crate::args::{Partition, PartitionBy};

/// The tests of the part, in their order.
#[must_use]
pub fn part<T>(tests: Vec<T>, partition: Partition, name: impl Fn(&T) -> String) -> Vec<T> {
    let mine = partition.part - 1;
    tests
        .into_iter()
        .zip(0u64..)
        .filter(|(test, at)| {
            let number = match partition.by {
                PartitionBy::Slice => *at,
                PartitionBy::Hash => hash(&name(test)),
            };
            number % partition.of == mine
        })
        .map(|(test, _)| test)
        .collect()
}

fn hash(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn each_test_is_in_one_part() {
        let tests: Vec<u32> = (0..100).collect();
        for by in ["slice", "hash"] {
            let mut all: Vec<u32> = (1..=3)
                .flat_map(|n| {
                    let partition = format!("{by}:{n}/3").parse().unwrap();
                    let mine = part(tests.clone(), partition, |n| format!("test {n}"));
                    assert!(mine.len() > 20, "{by} {n}: {}", mine.len());
                    mine
                })
                .collect();
            all.sort_unstable();
            assert_eq!(all, tests);
        }
    }

    #[test]
    fn a_new_test_moves_no_other() {
        let partition = "hash:1/2".parse().unwrap();
        let name = |n: &u32| format!("test {n}");
        let before = part((0..50).collect(), partition, name);
        let mut after = part((0..51).rev().collect(), partition, name);
        after.retain(|n| *n < 50);
        after.reverse();
        assert_eq!(before, after);
    }
}
