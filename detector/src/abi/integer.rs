//! The integers of atomic operations: 8 to 64 bits by std's atomics, 128 bits
//! by the processor's one instruction for it.
//!
//! Read-modify-writes and loads are sequentially consistent whatever the
//! program asked for: on x86-64 that costs nothing more.

use std::arch::naked_asm;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The number of `memory_order_seq_cst`.
const SEQ_CST: i32 = 5;

/// An integer with atomic operations on memory that the program owns.
pub trait Atomic: Copy + PartialEq {
    /// Bytes.
    const SIZE: usize;
    /// True for 0: the value of a free lock.
    fn is_zero(self) -> bool;
    /// Loads.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn load(at: *const Self) -> Self;
    /// Stores; `order` is the number of the C order.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn store(at: *mut Self, value: Self, order: i32);
    /// Exchanges.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn swap(at: *mut Self, value: Self) -> Self;
    /// Adds, wrapping.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn add(at: *mut Self, value: Self) -> Self;
    /// Subtracts, wrapping.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn sub(at: *mut Self, value: Self) -> Self;
    /// Bitwise and.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn and(at: *mut Self, value: Self) -> Self;
    /// Bitwise or.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn or(at: *mut Self, value: Self) -> Self;
    /// Bitwise exclusive or.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn xor(at: *mut Self, value: Self) -> Self;
    /// Bitwise not-and.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn nand(at: *mut Self, value: Self) -> Self;
    /// Compares and exchanges: the old value, or the one that made it fail.
    ///
    /// # Safety
    /// `at` is valid for atomic access.
    unsafe fn cas(at: *mut Self, expected: Self, value: Self) -> Result<Self, Self>;
}

macro_rules! native {
    ($($int:ty, $atomic:ty;)*) => {$(
        impl Atomic for $int {
            const SIZE: usize = size_of::<Self>();
            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0
            }
            #[inline(always)]
            unsafe fn load(at: *const Self) -> Self {
                // SAFETY: the program accesses it atomically.
                unsafe { (*at.cast::<$atomic>()).load(Ordering::SeqCst) }
            }
            #[inline(always)]
            unsafe fn store(at: *mut Self, value: Self, order: i32) {
                let order =
                    if order == SEQ_CST { Ordering::SeqCst } else { Ordering::Release };
                // SAFETY: as above.
                unsafe { (*at.cast::<$atomic>()).store(value, order) }
            }
            native!(@rmw $int, $atomic, swap swap, add fetch_add, sub fetch_sub, and fetch_and,
                or fetch_or, xor fetch_xor, nand fetch_nand);
            #[inline(always)]
            unsafe fn cas(at: *mut Self, expected: Self, value: Self) -> Result<Self, Self> {
                // SAFETY: as above.
                unsafe {
                    (*at.cast::<$atomic>()).compare_exchange(
                        expected, value, Ordering::SeqCst, Ordering::SeqCst,
                    )
                }
            }
        }
    )*};
    (@rmw $int:ty, $atomic:ty, $($name:ident $method:ident),*) => {$(
        #[inline(always)]
        unsafe fn $name(at: *mut Self, value: Self) -> Self {
            // SAFETY: the program accesses it atomically.
            unsafe { (*at.cast::<$atomic>()).$method(value, Ordering::SeqCst) }
        }
    )*};
}

native! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    u64, AtomicU64;
}

/// `lock cmpxchg16b`: the previous value. Compiled code that has 128-bit
/// atomics runs on processors that have the instruction.
#[unsafe(naked)]
unsafe extern "C" fn cmpxchg16b(at: *mut u128, expected: u128, value: u128) -> u128 {
    naked_asm!(
        "push rbx",
        "mov rax, rsi",
        "mov r9, rdx",
        "mov rbx, rcx",
        "mov rcx, r8",
        "mov rdx, r9",
        "lock cmpxchg16b [rdi]",
        "pop rbx",
        "ret"
    )
}

/// Replaces by what `f` makes of it; the previous value.
#[inline(always)]
unsafe fn update(at: *mut u128, f: impl Fn(u128) -> u128) -> u128 {
    let mut now = 0;
    loop {
        // SAFETY: as the caller of the operation says.
        let was = unsafe { cmpxchg16b(at, now, f(now)) };
        if was == now {
            return was;
        }
        now = was;
    }
}

impl Atomic for u128 {
    const SIZE: usize = 16;
    fn is_zero(self) -> bool {
        self == 0
    }
    unsafe fn load(at: *const Self) -> Self {
        // SAFETY: as the program says; a 128-bit atomic is writable memory.
        unsafe { cmpxchg16b(at.cast_mut(), 0, 0) }
    }
    unsafe fn store(at: *mut Self, value: Self, _order: i32) {
        // SAFETY: as the program says.
        unsafe { update(at, |_| value) };
    }
    unsafe fn swap(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |_| value) }
    }
    unsafe fn add(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |now| now.wrapping_add(value)) }
    }
    unsafe fn sub(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |now| now.wrapping_sub(value)) }
    }
    unsafe fn and(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |now| now & value) }
    }
    unsafe fn or(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |now| now | value) }
    }
    unsafe fn xor(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |now| now ^ value) }
    }
    unsafe fn nand(at: *mut Self, value: Self) -> Self {
        // SAFETY: as the program says.
        unsafe { update(at, |now| !(now & value)) }
    }
    unsafe fn cas(at: *mut Self, expected: Self, value: Self) -> Result<Self, Self> {
        // SAFETY: as the program says.
        let was = unsafe { cmpxchg16b(at, expected, value) };
        if was == expected { Ok(was) } else { Err(was) }
    }
}
