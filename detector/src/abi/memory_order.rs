//! Memory orders as the compiler passes them (`enum memory_order` of C11).

use crate::sync::Order;

/// Orders nothing.
pub const RELAXED: i32 = 0;
const CONSUME: i32 = 1;
const ACQUIRE: i32 = 2;
const RELEASE: i32 = 3;
const ACQ_REL: i32 = 4;
const SEQ_CST: i32 = 5;

/// In place of the failure order of an operation that cannot fail.
pub const NEVER_FAILS: i32 = -1;

const ACQUIRES: u32 = 1 << CONSUME | 1 << ACQUIRE | 1 << ACQ_REL | 1 << SEQ_CST;
const RELEASES: u32 = 1 << RELEASE | 1 << ACQ_REL | 1 << SEQ_CST;

/// What an order does to clocks.
#[inline(always)]
pub fn order_of(order: i32) -> Order {
    // The upper bits are hints of some targets.
    let order = order & 0x7fff;
    let is_one = |of: u32| order <= SEQ_CST && of >> order & 1 != 0;
    Order {
        acquire: is_one(ACQUIRES),
        release: is_one(RELEASES),
    }
}
