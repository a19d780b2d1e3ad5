//! Sockets: `connect` happens before the `accept` that takes it, and a message
//! before it is received.

use std::ffi::c_void;

use super::caller::return_address;
use super::descriptor::after;
use super::edge::tracked;
use super::fd;
use super::io::{Direction, buffers, io, transfer};
use super::real;
use super::stuck;

type Address = *const u8;
type AddressOut = *mut u8;
type Length = *mut libc::socklen_t;

real::forward! {
    /// The C library's.
    fn socket(domain: i32, kind: i32, protocol: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn connect(fd: i32, address: Address, len: libc::socklen_t) -> i32
}
real::forward! {
    /// The C library's.
    fn accept(fd: i32, address: AddressOut, len: Length) -> i32
}
real::forward! {
    /// The C library's.
    fn accept4(fd: i32, address: AddressOut, len: Length, flags: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn sendto(
        fd: i32,
        buffer: *const c_void,
        size: usize,
        flags: i32,
        address: Address,
        len: libc::socklen_t,
    ) -> isize
}
real::forward! {
    /// The C library's.
    fn recvfrom(
        fd: i32,
        buffer: *mut c_void,
        size: usize,
        flags: i32,
        address: AddressOut,
        len: Length,
    ) -> isize
}
real::forward! {
    /// The C library's.
    fn sendmsg(fd: i32, message: *const libc::msghdr, flags: i32) -> isize
}
real::forward! {
    /// The C library's.
    fn recvmsg(fd: i32, message: *mut libc::msghdr, flags: i32) -> isize
}

/// What the thread did so far happens before what is received at `address`.
///
/// # Safety
/// `len` bytes are readable there, or it is null.
unsafe fn release_to(fd: i32, address: Address, len: libc::socklen_t) {
    if address.is_null() {
        return;
    }
    if let Some(thread) = tracked() {
        // SAFETY: as the caller says.
        let address = unsafe { std::slice::from_raw_parts(address, len as usize) };
        if let Some(channel) = fd::at_address(fd, address) {
            channel.release(thread);
        }
    }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_socket(domain: i32, kind: i32, protocol: i32) -> i32 {
    // SAFETY: as the program says.
    let fd = unsafe { socket(domain, kind, protocol) };
    after(fd, |_| fd::opened_socket(fd))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_connect(
    fd: i32,
    address: Address,
    len: libc::socklen_t,
) -> i32 {
    // SAFETY: as the program says.
    unsafe { release_to(fd, address, len) };
    let pc = return_address();
    // SAFETY: as the program says.
    let call = || unsafe { connect(fd, address, len) };
    match tracked() {
        Some(thread) => {
            let result = stuck::blocking(thread, &io(fd, pc), call);
            fd::connected(fd);
            result
        }
        None => call(),
    }
}

/// Takes a connection.
fn accepted(fd: i32, pc: u64, call: impl FnOnce() -> i32) -> i32 {
    let Some(thread) = tracked() else {
        return call();
    };
    let new = stuck::blocking(thread, &io(fd, pc), call);
    after(new, |thread| {
        if let Some(channel) = fd::channel(fd) {
            channel.acquire(thread);
        }
        fd::opened_socket(new);
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_accept(fd: i32, address: AddressOut, len: Length) -> i32 {
    // SAFETY: as the program says.
    accepted(fd, return_address(), || unsafe { accept(fd, address, len) })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_accept4(
    fd: i32,
    address: AddressOut,
    len: Length,
    flags: i32,
) -> i32 {
    // SAFETY: as the program says.
    accepted(fd, return_address(), || unsafe {
        accept4(fd, address, len, flags)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sendto(
    fd: i32,
    buffer: *const c_void,
    size: usize,
    flags: i32,
    address: Address,
    len: libc::socklen_t,
) -> isize {
    // SAFETY: as the program says.
    unsafe { release_to(fd, address, len) };
    // SAFETY: as the program says.
    transfer(
        fd,
        Direction::Out,
        &[(buffer as usize, size)],
        return_address(),
        || unsafe { sendto(fd, buffer, size, flags, address, len) },
    )
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_recvfrom(
    fd: i32,
    buffer: *mut c_void,
    size: usize,
    flags: i32,
    address: AddressOut,
    len: Length,
) -> isize {
    // SAFETY: as the program says.
    transfer(
        fd,
        Direction::In,
        &[(buffer as usize, size)],
        return_address(),
        || unsafe { recvfrom(fd, buffer, size, flags, address, len) },
    )
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sendmsg(
    fd: i32,
    message: *const libc::msghdr,
    flags: i32,
) -> isize {
    // SAFETY: the program passes a message.
    let header = unsafe { &*message };
    // SAFETY: with its address and its buffers.
    let buffers = unsafe {
        release_to(
            fd,
            header.msg_name.cast::<u8>().cast_const(),
            header.msg_namelen,
        );
        buffers(header.msg_iov, header.msg_iovlen)
    };
    // SAFETY: as the program says.
    transfer(fd, Direction::Out, &buffers, return_address(), || unsafe {
        sendmsg(fd, message, flags)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_recvmsg(
    fd: i32,
    message: *mut libc::msghdr,
    flags: i32,
) -> isize {
    // SAFETY: the program passes a message with its buffers.
    let buffers = unsafe { buffers((*message).msg_iov, (*message).msg_iovlen) };
    // SAFETY: as the program says.
    transfer(fd, Direction::In, &buffers, return_address(), || unsafe {
        recvmsg(fd, message, flags)
    })
}
