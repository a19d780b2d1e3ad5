//! Many small heap blocks: strings, boxes and trees that one thread builds
//! and another takes apart and frees.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::thread;

struct Node {
    key: u64,
    left: Option<Box<Node>>,
    right: Option<Box<Node>>,
}

fn build(depth: u32, key: u64) -> Option<Box<Node>> {
    (depth > 0).then(|| {
        Box::new(Node {
            key,
            left: build(depth - 1, key * 2),
            right: build(depth - 1, key * 2 + 1),
        })
    })
}

fn total(node: Option<Box<Node>>) -> u64 {
    node.map_or(0, |node| {
        node.key
            .wrapping_add(total(node.left))
            .wrapping_add(total(node.right))
    })
}

fn words(seed: u64) -> BTreeMap<String, Vec<u64>> {
    let mut index: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for item in 0..200 {
        let word = format!("word-{}", (item * 37 + seed) % 61);
        index.entry(word).or_default().push(item);
    }
    index
}

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let pairs = (threads / 2).max(1);
    let rounds = 900 * scale / pairs;
    thread::scope(|scope| {
        let takers: Vec<_> = (0..pairs)
            .map(|pair| {
                let (give, take) = sync_channel(8);
                scope.spawn(move || {
                    for round in 0..rounds {
                        give.send((build(9, 1), words(round * pairs + pair)))
                            .expect("the taker takes all");
                    }
                });
                scope.spawn(move || {
                    let mut sum = 0_u64;
                    for (tree, index) in take {
                        sum = sum.wrapping_add(total(tree));
                        for (word, items) in index {
                            let items: u64 = items.into_iter().sum();
                            sum = sum.wrapping_add(items * word.len() as u64);
                        }
                    }
                    sum
                })
            })
            .collect();
        takers
            .into_iter()
            .map(|taker| taker.join().expect("no panics"))
            .fold(0, u64::wrapping_add)
    })
}
