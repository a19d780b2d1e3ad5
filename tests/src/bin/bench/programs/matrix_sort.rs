//! Scoped threads on disjoint slices: a matrix product by rows, then a merge
//! sort. Plain memory accesses and hardly any synchronisation.

use std::thread;

const SIDE: usize = 256;

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let mut sum = 0_u64;
    for round in 0..scale {
        sum = sum
            .wrapping_add(product(threads as usize, round))
            .wrapping_add(sorted(threads as usize, round));
    }
    sum
}

fn product(threads: usize, seed: u64) -> u64 {
    let left: Vec<f64> = (0..SIDE * SIDE)
        .map(|index| ((index as u64 * 7 + seed) % 13) as f64)
        .collect();
    let right: Vec<f64> = (0..SIDE * SIDE)
        .map(|index| ((index as u64 * 5 + seed) % 11) as f64)
        .collect();
    let mut result = vec![0.0; SIDE * SIDE];
    let rows = SIDE.div_ceil(threads);
    thread::scope(|scope| {
        for (part, chunk) in result.chunks_mut(rows * SIDE).enumerate() {
            let (left, right) = (&left, &right);
            scope.spawn(move || {
                for (offset, row) in chunk.chunks_mut(SIDE).enumerate() {
                    let left = &left[(part * rows + offset) * SIDE..][..SIDE];
                    for (middle, factor) in left.iter().enumerate() {
                        let right = &right[middle * SIDE..][..SIDE];
                        for (cell, value) in row.iter_mut().zip(right) {
                            *cell += factor * value;
                        }
                    }
                }
            });
        }
    });
    result
        .iter()
        .fold(0, |sum: u64, cell| sum.wrapping_mul(31) ^ cell.to_bits())
}

fn sorted(threads: usize, seed: u64) -> u64 {
    let mut state = seed + 1;
    let mut values: Vec<u64> = (0..240_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 20
        })
        .collect();
    let length = values.len().div_ceil(threads);
    thread::scope(|scope| {
        for chunk in values.chunks_mut(length) {
            scope.spawn(move || merge_sort(chunk, &mut vec![0; chunk.len()]));
        }
    });
    values
        .iter()
        .step_by(97)
        .fold(0, |sum: u64, value| sum.wrapping_mul(31) ^ value)
}

fn merge_sort(values: &mut [u64], scratch: &mut [u64]) {
    if values.len() < 2 {
        return;
    }
    let middle = values.len() / 2;
    merge_sort(&mut values[..middle], &mut scratch[..middle]);
    merge_sort(&mut values[middle..], &mut scratch[middle..]);
    let (left, right) = values.split_at(middle);
    let (mut at_left, mut at_right) = (0, 0);
    for slot in &mut *scratch {
        let from_left =
            at_right == right.len() || (at_left < left.len() && left[at_left] <= right[at_right]);
        if from_left {
            *slot = left[at_left];
            at_left += 1;
        } else {
            *slot = right[at_right];
            at_right += 1;
        }
    }
    values.copy_from_slice(scratch);
}
