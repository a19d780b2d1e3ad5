//! What the kernel says of the threads of this process: `/proc/self/task`.
//!
//! Read with bare system calls, since the program's `open` and `read` are
//! interposed.

use std::ffi::CStr;
use std::fmt::Write as _;

use crate::report::wire::WaitOn;
use crate::rt::sys;
pub use crate::rt::time::{lately, now, own_processor_time, processor_time};

/// What a thread is doing, in the kernel's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// `S`: it sleeps until it is woken or gets a signal.
    pub sleeps: bool,
    /// How often it has left the processor. Unchanged: it has not run.
    pub switches: u64,
    /// The system call that it sleeps in, if the kernel tells.
    pub call: Option<SystemCall>,
}

/// The system call that a thread sleeps in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number.
    pub number: i64,
    /// Its first four arguments.
    pub arguments: [u64; 4],
    /// Stack pointer of the caller.
    pub stack: u64,
    /// Instruction of the caller.
    pub pc: u64,
}

/// A file of `/proc`, as far as it fits.
struct ProcFile {
    bytes: [u8; 4096],
    len: usize,
}

impl ProcFile {
    fn read(path: &str) -> Option<Self> {
        let mut name = [0u8; 64];
        name.get_mut(..path.len())?.copy_from_slice(path.as_bytes());
        if path.len() >= name.len() {
            return None;
        }
        let fd = sys::open(CStr::from_bytes_until_nul(&name).ok()?, 0)?;
        let mut file = Self {
            bytes: [0; 4096],
            len: 0,
        };
        while file.len < file.bytes.len() {
            let rest = &mut file.bytes[file.len..];
            // SAFETY: `rest` is writable.
            let n = unsafe {
                sys::call(
                    libc::SYS_read,
                    [fd, rest.as_mut_ptr() as usize, rest.len(), 0, 0, 0],
                )
            };
            match n {
                n if n > 0 => file.len += n as usize,
                n if n == -(libc::EINTR as isize) => {}
                _ => break,
            }
        }
        // SAFETY: the descriptor was opened here.
        unsafe { sys::call(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
        Some(file)
    }

    fn text(&self) -> &str {
        match std::str::from_utf8(&self.bytes[..self.len]) {
            Ok(text) => text,
            Err(error) => {
                std::str::from_utf8(&self.bytes[..error.valid_up_to()]).unwrap_or_default()
            }
        }
    }
}

/// A file of a thread of this process.
fn task_file(kernel_id: i32, name: &str) -> Option<ProcFile> {
    let mut path = String::with_capacity(48);
    write!(path, "/proc/self/task/{kernel_id}/{name}").ok()?;
    ProcFile::read(&path)
}

/// The number after `key:` in a status file.
fn number_after<T>(text: &str, key: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(key).is_some_and(|l| l.starts_with(':')))?;
    parse(line.split_once(':')?.1.trim())
}

/// What the kernel says of a thread of this process; none if there is no such
/// thread.
pub fn state(kernel_id: i32) -> Option<State> {
    let status = task_file(kernel_id, "status")?;
    let text = status.text();
    let letter = number_after(text, "State", |state| state.chars().next())?;
    let count = |key| number_after(text, key, |n| n.parse::<u64>().ok());
    let switches = count("voluntary_ctxt_switches")? + count("nonvoluntary_ctxt_switches")?;
    let call = task_file(kernel_id, "syscall").and_then(|file| parse_call(file.text()));
    Some(State {
        sleeps: letter == 'S',
        switches,
        call,
    })
}

/// True if a thread of this process sleeps until it is woken or gets a signal.
pub fn is_asleep(kernel_id: i32) -> bool {
    let letter = |file: ProcFile| {
        number_after(file.text(), "State", |state| state.chars().next()) == Some('S')
    };
    task_file(kernel_id, "status").is_some_and(letter)
}

/// The line of `/proc/PID/syscall`: number, six arguments, stack pointer,
/// instruction; or `running`.
fn parse_call(line: &str) -> Option<SystemCall> {
    let mut words = line.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut hex = words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let mut next = || hex.next().flatten();
    let arguments = [next()?, next()?, next()?, next()?];
    let (_, _, stack, pc) = (next()?, next()?, next()?, next()?);
    Some(SystemCall {
        number,
        arguments,
        stack,
        pc,
    })
}

/// The kernel's numbers of all threads of this process.
pub fn tasks() -> Option<Vec<i32>> {
    let fd = sys::open(c"/proc/self/task", libc::O_DIRECTORY)?;
    let mut tasks = Vec::new();
    let mut buffer = [0u8; 8192];
    loop {
        // SAFETY: the buffer is writable.
        let n = unsafe {
            sys::call(
                libc::SYS_getdents64,
                [fd, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0],
            )
        };
        let Ok(n @ 1..) = usize::try_from(n) else {
            break;
        };
        let mut entries = &buffer[..n];
        // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name.
        while let [_, ..] = entries {
            let Some(&[low, high]) = entries.get(16..18) else {
                break;
            };
            let length = usize::from(u16::from_le_bytes([low, high]));
            let Some(entry) = entries.get(19..length) else {
                break;
            };
            let name = entry.split(|&byte| byte == 0).next().unwrap_or_default();
            tasks.extend(
                std::str::from_utf8(name)
                    .ok()
                    .and_then(|name| name.parse::<i32>().ok()),
            );
            entries = &entries[length..];
        }
    }
    // SAFETY: the descriptor was opened here.
    unsafe { sys::call(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
    Some(tasks)
}

/// The signals that have a handler: bit n is signal n + 1.
pub fn handled_signals() -> Option<u64> {
    let status = ProcFile::read("/proc/self/status")?;
    number_after(status.text(), "SigCgt", |bits| {
        u64::from_str_radix(bits, 16).ok()
    })
}

/// True if the kernel or another process of this one's family may send it a
/// signal: a timer is armed, or it has, or ever waited for, a child.
pub fn signals_are_due() -> bool {
    // Only the timer of the wall clock runs while all threads sleep.
    let mut timer = libc::itimerval {
        it_interval: NO_TIME,
        it_value: NO_TIME,
    };
    // SAFETY: the timer is writable.
    let known = unsafe {
        let arguments = [libc::ITIMER_REAL as usize, &raw mut timer as usize];
        sys::call(
            libc::SYS_getitimer,
            [arguments[0], arguments[1], 0, 0, 0, 0],
        )
    };
    let armed = known != 0 || timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0;
    let posix_timers = || {
        ProcFile::read("/proc/self/timers").is_none_or(|timers| !timers.text().trim().is_empty())
    };
    armed || posix_timers() || has_children() || had_children()
}

const NO_TIME: libc::timeval = libc::timeval {
    tv_sec: 0,
    tv_usec: 0,
};

/// True if the process has children.
pub fn has_children() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let arguments = [
        libc::P_ALL as usize,
        0,
        info.as_mut_ptr() as usize,
        options as usize,
        0,
        0,
    ];
    // SAFETY: the structure is writable; no child is taken.
    let outcome = unsafe { sys::call(libc::SYS_waitid, arguments) };
    outcome != -(libc::ECHILD as isize)
}

/// By the page faults of the children that it waited for.
fn had_children() -> bool {
    ProcFile::read("/proc/self/stat")
        .and_then(|stat| faults_of_children(stat.text()))
        .is_none_or(|faults| faults > 0)
}

/// `cminflt` of `/proc/PID/stat`: the ninth field after the name, which is in
/// parentheses.
fn faults_of_children(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(8)?.parse().ok()
}

/// What a thread that is not in a wait of ours does, by its system call.
pub fn waits_on(state: Option<&State>) -> WaitOn {
    let Some(State {
        sleeps: true,
        call: Some(call),
        ..
    }) = state
    else {
        return WaitOn::Running;
    };
    match call.number {
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => WaitOn::Sleep,
        libc::SYS_futex => WaitOn::Futex,
        // A poll of nothing is a sleep.
        libc::SYS_poll | libc::SYS_ppoll if call.arguments[1] == 0 => WaitOn::Sleep,
        libc::SYS_select | libc::SYS_pselect6 if call.arguments[0] == 0 => WaitOn::Sleep,
        _ => WaitOn::Io,
    }
}

/// The 32-bit word at `addr`, if the address is mapped: read by the kernel.
pub fn word_at(addr: usize) -> Option<u32> {
    let mut word = [0u8; 4];
    read_memory(addr, &mut word).then(|| u32::from_ne_bytes(word))
}

/// Copies mapped memory; false if some of it is not mapped.
pub fn read_memory(addr: usize, out: &mut [u8]) -> bool {
    let local = libc::iovec {
        iov_base: out.as_mut_ptr().cast(),
        iov_len: out.len(),
    };
    let remote = libc::iovec {
        iov_base: addr as *mut libc::c_void,
        iov_len: out.len(),
    };
    // SAFETY: the kernel checks the remote range, and the local one is
    // writable.
    let n = unsafe {
        sys::call(
            libc::SYS_process_vm_readv,
            [
                sys::process_id() as usize,
                &raw const local as usize,
                1,
                &raw const remote as usize,
                1,
                0,
            ],
        )
    };
    n == out.len() as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faults_of_children_are_found() {
        let stat = "41 (a) (b) R 1 2 3 4 5 4194304 99 1234 0 0 1 2";
        assert_eq!(faults_of_children(stat), Some(1234));
        assert_eq!(faults_of_children("41 (a) R 1"), None);
    }

    #[test]
    fn a_blocked_call_is_parsed() {
        let line = "202 0x7f4f4b5eb503 0x80 0x2 0x0 0x0 0x0 0x7fff0e5d5a98 0x7f4f4b5eb503\n";
        let call = parse_call(line).expect("a call");
        assert_eq!(
            (call.number, call.arguments[1..].to_vec()),
            (202, vec![0x80, 2, 0])
        );
        assert_eq!(call.pc, 0x7f4f_4b5e_b503);
        assert_eq!(parse_call("running\n"), None);
    }
}
