//! Plain and volatile accesses, function entry and exit: the hot hooks.
//!
//! Each hook is a two-instruction stub that passes its return address on; the
//! rest is inlined behind it and ends in a tail call where the access is not
//! recorded yet.

use std::arch::{global_asm, naked_asm};

use crate::check::{self, Seen, recorded};
use crate::report::wire::AccessOp;
use crate::rt::hot::current;
use crate::rt::thread::Thread;
use crate::shadow::map;
use crate::shadow::word::{Access, Cell, Class, GRANULE, MORE, Mask};

const READ: u64 = Access::read(Class::Plain).bits();
const WRITE: u64 = Access::write(Class::Plain).bits();
const VOLATILE_READ: u64 = Access::read(Class::Volatile).bits();
const VOLATILE_WRITE: u64 = Access::write(Class::Volatile).bits();

const fn access_of<const ACCESS: u64>() -> Access {
    Cell::from_bits(ACCESS).access()
}

const fn op_of(access: Access) -> AccessOp {
    if access.is_read() {
        AccessOp::Read
    } else {
        AccessOp::Write
    }
}

/// The mask of an aligned access.
#[inline(always)]
pub fn mask_of<const SIZE: usize>(addr: usize) -> Mask {
    let bytes = const { (1u32 << (SIZE % 16)) - 1 };
    if SIZE < GRANULE {
        (bytes << (addr % GRANULE)) as Mask
    } else {
        Mask::MAX
    }
}

/// An access of at most 8 bytes that does not cross a granule.
unsafe extern "C" fn aligned<const SIZE: usize, const ACCESS: u64>(addr: usize, pc: u64) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    let mask = mask_of::<SIZE>(addr);
    let new = Cell::from_bits(thread.stamp() | ACCESS | u64::from(mask));
    // SAFETY: the program accesses the address next.
    if !unsafe { recorded(addr, new) } {
        record::<SIZE, ACCESS>(addr, pc);
    }
}

/// An access that the first words do not record.
#[inline(never)]
extern "C" fn record<const SIZE: usize, const ACCESS: u64>(addr: usize, pc: u64) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    let mask = mask_of::<SIZE>(addr);
    // What is constant is no variable of the closure's: it would be passed on.
    let seen = move || Seen {
        addr,
        size: SIZE,
        access: const { access_of::<ACCESS>() },
        op: const { op_of(access_of::<ACCESS>()) },
        pc,
    };
    check::small(thread, seen, mask);
}

/// An access of 16 bytes, or one that may cross a granule.
unsafe extern "C" fn any<const SIZE: usize, const ACCESS: u64>(addr: usize, pc: u64) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    let mut at = addr & !(GRANULE - 1);
    while at < addr + SIZE {
        let first = addr.max(at) - at;
        let end = (addr + SIZE).min(at + GRANULE) - at;
        let mask = ((0xffu32 >> (GRANULE - (end - first))) << first) as u8;
        let new = Cell::from_bits(thread.stamp() | ACCESS | u64::from(mask));
        // SAFETY: the program accesses the address next.
        if !unsafe { recorded(at, new) } {
            record_any::<SIZE, ACCESS>(thread, addr, pc);
            return;
        }
        at += GRANULE;
    }
}

#[inline(never)]
fn record_any<const SIZE: usize, const ACCESS: u64>(thread: &mut Thread, addr: usize, pc: u64) {
    let access = const { access_of::<ACCESS>() };
    check::short(
        thread,
        Seen {
            addr,
            size: SIZE,
            access,
            op: op_of(access),
            pc,
        },
    );
}

/// An access to a range.
unsafe extern "C" fn range<const ACCESS: u64>(addr: usize, size: usize, pc: u64) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    let access = const { access_of::<ACCESS>() };
    check::access(
        thread,
        Seen {
            addr,
            size,
            access,
            op: op_of(access),
            pc,
        },
    );
}

/// A hook of the compiler's instrumentation, in assembly: a naked function, but
/// one that begins a line of the instruction cache. What does not costs a
/// quarter more.
macro_rules! function {
    ($name:ident, $($line:expr),*; $($operands:tt)*) => {
        global_asm!(
            concat!(".pushsection .text.", stringify!($name), ", \"ax\", @progbits"),
            ".p2align 6",
            concat!(".globl ", stringify!($name)),
            concat!(".type ", stringify!($name), ", @function"),
            concat!(stringify!($name), ":"),
            $($line,)*
            concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
            ".popsection",
            $($operands)*
        );
    };
}

/// Puts the address of the front words of `rdi` into `rcx`.
macro_rules! front {
    () => {
        "lea rcx, [rdi + rdi]
         add rcx, qword ptr [rip + {front}]
         and rcx, qword ptr [rip + {image_mask}]"
    };
}

/// Hooks of plain accesses: [`recorded`], in as few instructions as can be,
/// for whole granules (`whole`, with the offset of the cell in the thread's
/// hot block), and for parts of them (`part`, with the bytes as a mask, their
/// possible places in the granule, and the bits of a cell that do not count
/// besides its other bytes). To a read, a cell that says that its bytes were
/// written says as much.
macro_rules! hooks {
    (whole read $offset:literal: $($name:ident)*) => {$(hooks!(@ $name record::<8, READ>,
        concat!("mov rax, qword ptr fs:[__leakcheck_hot@tpoff + ", $offset, "]"),
        "mov rdx, qword ptr [rcx]
         or rdx, 0x100
         cmp rdx, rax
         jne 2f
         ret
         2:
         mov rdx, qword ptr [rcx + 8]
         or rdx, 0x100
         btr rdx, 63
         cmp rdx, rax
         je 3f");)*};
    (whole write $offset:literal: $($name:ident)*) => {$(hooks!(@ $name record::<8, WRITE>,
        concat!("mov rax, qword ptr fs:[__leakcheck_hot@tpoff + ", $offset, "]"),
        "cmp rax, qword ptr [rcx]
         jne 2f
         ret
         2:
         mov rdx, qword ptr [rcx + 8]
         btr rdx, 63
         cmp rdx, rax
         je 3f");)*};
    (part $size:literal $access:ident $bytes:literal $places:literal $not:literal: $($name:ident)*) => {$(
        hooks!(@ $name record::<$size, $access>,
        concat!("mov ecx, edi
         and ecx, ", $places, "
         mov eax, ", $bytes, "
         shl eax, cl
         mov r8, qword ptr fs:[__leakcheck_hot@tpoff + 8]
         or r8, rax
         or rax, ", $not),
        "mov rdx, qword ptr [rcx]
         xor rdx, r8
         test rdx, rax
         jne 2f
         ret
         2:
         mov rdx, qword ptr [rcx + 8]
         xor rdx, r8
         btr rdx, 63
         test rdx, rax
         je 3f");)*};
    (@ $name:ident $record:expr, $before:expr, $compare:expr) => {
        function! { $name,
            $before,
            front!(),
            $compare,
            "mov rsi, qword ptr [rsp]",
            "jmp {record}",
            "3:",
            "ret";
            front = sym map::LAYOUT,
            image_mask = sym map::IMAGE_MASK,
            record = sym $record,
        }
    };
}

const _: () = assert!(READ == 0x100 && WRITE == 0 && GRANULE == 8 && MORE == 1 << 63);

hooks!(whole read 24: __tsan_read8 __tsan_vptr_read);
hooks!(whole write 16: __tsan_write8 __tsan_read_write8 __tsan_vptr_update);
hooks!(part 1 READ 1 7 -512: __tsan_read1);
hooks!(part 2 READ 3 6 -512: __tsan_read2);
hooks!(part 4 READ 15 4 -512: __tsan_read4);
hooks!(part 1 WRITE 1 7 -256: __tsan_write1 __tsan_read_write1);
hooks!(part 2 WRITE 3 6 -256: __tsan_write2 __tsan_read_write2);
hooks!(part 4 WRITE 15 4 -256: __tsan_write4 __tsan_read_write4);

/// Stubs that add the return address as the last argument.
macro_rules! stubs {
    ($($name:ident => $target:expr;)*) => {$(
        /// Hook of the compiler's instrumentation.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(addr: usize) {
            naked_asm!("mov rsi, [rsp]", "jmp {}", sym $target)
        }
    )*};
}

stubs! {
    __tsan_read16 => any::<16, READ>;
    __tsan_write16 => any::<16, WRITE>;
    __tsan_read_write16 => any::<16, WRITE>;
    __tsan_unaligned_read2 => any::<2, READ>;
    __tsan_unaligned_read4 => any::<4, READ>;
    __tsan_unaligned_read8 => any::<8, READ>;
    __tsan_unaligned_read16 => any::<16, READ>;
    __tsan_unaligned_write2 => any::<2, WRITE>;
    __tsan_unaligned_write4 => any::<4, WRITE>;
    __tsan_unaligned_write8 => any::<8, WRITE>;
    __tsan_unaligned_write16 => any::<16, WRITE>;
    __tsan_unaligned_read_write2 => any::<2, WRITE>;
    __tsan_unaligned_read_write4 => any::<4, WRITE>;
    __tsan_unaligned_read_write8 => any::<8, WRITE>;
    __tsan_unaligned_read_write16 => any::<16, WRITE>;
    __tsan_volatile_read1 => aligned::<1, VOLATILE_READ>;
    __tsan_volatile_read2 => aligned::<2, VOLATILE_READ>;
    __tsan_volatile_read4 => aligned::<4, VOLATILE_READ>;
    __tsan_volatile_read8 => aligned::<8, VOLATILE_READ>;
    __tsan_volatile_read16 => any::<16, VOLATILE_READ>;
    __tsan_volatile_write1 => aligned::<1, VOLATILE_WRITE>;
    __tsan_volatile_write2 => aligned::<2, VOLATILE_WRITE>;
    __tsan_volatile_write4 => aligned::<4, VOLATILE_WRITE>;
    __tsan_volatile_write8 => aligned::<8, VOLATILE_WRITE>;
    __tsan_volatile_write16 => any::<16, VOLATILE_WRITE>;
    __tsan_unaligned_volatile_read2 => any::<2, VOLATILE_READ>;
    __tsan_unaligned_volatile_read4 => any::<4, VOLATILE_READ>;
    __tsan_unaligned_volatile_read8 => any::<8, VOLATILE_READ>;
    __tsan_unaligned_volatile_read16 => any::<16, VOLATILE_READ>;
    __tsan_unaligned_volatile_write2 => any::<2, VOLATILE_WRITE>;
    __tsan_unaligned_volatile_write4 => any::<4, VOLATILE_WRITE>;
    __tsan_unaligned_volatile_write8 => any::<8, VOLATILE_WRITE>;
    __tsan_unaligned_volatile_write16 => any::<16, VOLATILE_WRITE>;
}

/// Hook: reads a range.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_read_range(addr: usize, size: usize) {
    naked_asm!("mov rdx, [rsp]", "jmp {}", sym range::<READ>)
}

/// Hook: writes a range.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_write_range(addr: usize, size: usize) {
    naked_asm!("mov rdx, [rsp]", "jmp {}", sym range::<WRITE>)
}

// Hook: a function begins that was called at `rdi`: [`Thread::enter`].
function! { __tsan_func_entry,
    "mov rax, qword ptr fs:[__leakcheck_hot@tpoff]",
    "test rax, rax",
    "je 2f",
    "mov rcx, qword ptr [rax + {top}]",
    "mov qword ptr [rcx], rdi",
    "add rcx, 8",
    "mov qword ptr [rax + {top}], rcx",
    "2:",
    "ret";
    top = const Thread::TOP,
}

// Hook: the innermost function ends: [`Thread::leave`]. Its frame pointer says
// where its frame begins.
function! { __tsan_func_exit,
    "mov rax, qword ptr fs:[__leakcheck_hot@tpoff]",
    "test rax, rax",
    "je 2f",
    "cmp qword ptr [rax + {foreign}], rbp",
    "jb 3f",
    "mov rcx, qword ptr [rax + {top}]",
    "cmp rcx, qword ptr [rax + {frames}]",
    "jbe 2f",
    "sub rcx, 8",
    "mov qword ptr [rax + {top}], rcx",
    "cmp rcx, qword ptr [rax + {low_water}]",
    "jae 2f",
    "mov qword ptr [rax + {low_water}], rcx",
    "2:",
    "ret",
    "3:",
    "mov rdi, rbp",
    "mov rsi, qword ptr [rsp]",
    "jmp {exit}";
    foreign = const Thread::FOREIGN,
    top = const Thread::TOP,
    frames = const Thread::FRAMES,
    low_water = const Thread::LOW_WATER,
    exit = sym exit,
}

/// The innermost function ends, and another thread touched the stack below
/// `frame`.
unsafe extern "C" fn exit(frame: usize, pc: u64) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    frame_ends(thread, frame, pc);
    if thread.has_frames() {
        thread.leave();
    }
}

/// Another thread touched the stack below `frame`: if that is really the frame
/// of the function that ends, what lies below it ends with it.
#[cold]
#[inline(never)]
fn frame_ends(thread: &mut Thread, frame: usize, pc: u64) {
    const WORD: usize = size_of::<u64>();
    let inside = thread.stack.contains(&frame) && thread.stack.contains(&(frame + WORD));
    let Some(&called_at) = thread.frames().last() else {
        return;
    };
    // SAFETY: the address lies in this thread's own stack, above its frame.
    let own_frame = inside && unsafe { ((frame + WORD) as *const u64).read() } == called_at;
    if own_frame {
        check::frame_ends(thread, frame, pc);
    }
}
