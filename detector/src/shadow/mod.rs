//! Shadow memory: what is known of every 8 bytes of the program.
//!
//! - [`word`]: one shadow cell, packed in 64 bits.
//! - `map`: where the cells of an address are (feature `abi`).
//! - `overflow`: granules with more cells than four (feature `abi`), which `crowd`
//!   keeps few.

#[cfg(feature = "abi")]
mod crowd;
#[cfg(feature = "abi")]
pub mod map;
#[cfg(feature = "abi")]
pub mod overflow;
pub mod word;
