//! What orders threads through file descriptors: each open file description
//! that carries bytes or events belongs to a *channel*, which has a clock.
//!
//! The two ends of a pipe or a connection are one channel, if both are in this
//! process: a write, or the close of one end, happens before what the other
//! end reads. An epoll instance is a channel as well; whoever writes to a
//! channel that it watches, or changes what it watches, happens before it
//! returns. Channels belong to descriptions, not to descriptors: a duplicate
//! has the channel of its original. A socket for datagrams receives on one
//! channel, and sends on that of the socket that it is connected to.
//!
//! What it misses: descriptors that come over Unix sockets or are made by bare
//! system calls are given a channel when first used, which an eventfd then
//! does not share. All connections to one Unix socket share a channel, if their
//! clients have no name, and so do all datagrams to one port: more order than
//! there is, never less.

use std::sync::{Arc, Weak};

use dashmap::DashMap;

use crate::rt::lock::Spin;
use crate::rt::mode;
use crate::rt::replaceable::Replaceable;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::schedule::replay::Object;
use crate::session;
use crate::sync::ReleaseClock;

/// What threads release into and acquire from when they use a description.
#[derive(Debug, Default)]
pub struct Channel {
    clock: Spin<ReleaseClock>,
    /// The epoll instances that watch it.
    watchers: Spin<Vec<Weak<Channel>>>,
    /// This process made both ends.
    is_pair: bool,
}

/// What tells which descriptions are one channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A pipe: both ends are one inode.
    Pipe {
        /// Device.
        device: u64,
        /// Inode.
        inode: u64,
    },
    /// A connection: its two ends, the lower first.
    Connection(Place, Place),
    /// What listens on a port, or receives datagrams there.
    Port {
        /// Datagrams.
        datagram: bool,
        /// In network order.
        port: u16,
    },
    /// A Unix socket, and the connections to it.
    Path(Vec<u8>),
}

/// What is the same in the address of a socket whoever names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The name of a Unix socket.
    Unix(Vec<u8>),
    /// Port and IP address, an IPv4 address in the guise of IPv6 as what it is.
    Internet(u16, Vec<u8>),
}

/// What a descriptor refers to.
#[derive(Debug, Clone)]
enum Entry {
    /// A regular file, a terminal: nothing that orders threads.
    Plain,
    /// A socket whose channel is not settled yet.
    Socket,
    /// A channel.
    Open(Arc<Channel>),
    /// A socket for datagrams: where it receives, and where it sends to if it
    /// is connected.
    Datagram {
        incoming: Option<Arc<Channel>>,
        outgoing: Option<Arc<Channel>>,
    },
}

/// The maps of this process; made anew in the child of a fork.
#[derive(Debug, Default)]
struct Maps {
    descriptors: DashMap<i32, Entry>,
    channels: DashMap<Key, Arc<Channel>>,
}

static MAPS: Replaceable<Maps> = Replaceable::new();

fn maps() -> &'static Maps {
    MAPS.get()
}

/// In the child of a fork: the threads at the other ends are not here.
pub fn reset() {
    MAPS.replace(Maps::default());
}

impl Channel {
    /// What the thread did so far happens before what others get from here.
    pub fn release(&self, thread: &mut Thread) {
        if mode::leaks_alone() {
            return;
        }
        thread.before_release();
        thread.busy += 1;
        thread.clocks.release(&mut self.clock.lock());
        schedule::releases(thread, self.object());
        for watcher in self.watchers.lock().iter().filter_map(Weak::upgrade) {
            thread.clocks.release(&mut watcher.clock.lock());
            schedule::releases(thread, watcher.object());
        }
        session::tick(thread);
        thread.busy -= 1;
    }

    /// What was released here happens before what the thread does next.
    pub fn acquire(&self, thread: &mut Thread) {
        if mode::leaks_alone() {
            return;
        }
        thread.busy += 1;
        thread.clocks.acquire(&self.clock.lock());
        schedule::acquires(thread, self.object());
        thread.busy -= 1;
    }

    fn object(&self) -> Object {
        Object::address(std::ptr::from_ref(self) as usize)
    }

    /// The epoll instance `watcher` watches it from now on.
    pub fn watched_by(&self, watcher: &Arc<Self>) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|known| known.strong_count() > 0);
        if !watchers
            .iter()
            .any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(watcher)))
        {
            watchers.push(Arc::downgrade(watcher));
        }
    }
}

/// The channel that is read from a descriptor, if there is one.
pub fn channel(fd: i32) -> Option<Arc<Channel>> {
    match entry(fd)? {
        Entry::Open(channel) => Some(channel),
        Entry::Datagram { incoming, .. } => incoming,
        Entry::Plain | Entry::Socket => None,
    }
}

/// The channel that is written to through a descriptor, if there is one.
pub fn outgoing(fd: i32) -> Option<Arc<Channel>> {
    match entry(fd)? {
        Entry::Open(channel) => Some(channel),
        Entry::Datagram { outgoing, .. } => outgoing,
        Entry::Plain | Entry::Socket => None,
    }
}

fn entry(fd: i32) -> Option<Entry> {
    if mode::leaks_alone() {
        return None;
    }
    let known = maps().descriptors.get(&fd).map(|entry| entry.clone());
    let entry = match known {
        Some(entry @ (Entry::Open(_) | Entry::Plain | Entry::Datagram { .. })) => {
            return Some(entry);
        }
        Some(Entry::Socket) => socket_entry(fd),
        None => classify(fd)?,
    };
    maps().descriptors.insert(fd, entry.clone());
    Some(entry)
}

/// The socket may have another end from now on.
pub fn connected(fd: i32) {
    maps().descriptors.alter(&fd, |_, entry| match entry {
        Entry::Datagram { .. } => Entry::Socket,
        Entry::Plain | Entry::Socket | Entry::Open(_) => entry,
    });
}

/// The channel with this key.
pub fn shared(key: Key) -> Arc<Channel> {
    Arc::clone(&maps().channels.entry(key).or_default())
}

/// A descriptor of a new description that has a channel of its own.
pub fn opened(fd: i32) {
    maps().descriptors.insert(fd, Entry::Open(Arc::default()));
}

/// A descriptor of a new socket, not yet connected.
pub fn opened_socket(fd: i32) {
    maps().descriptors.insert(fd, Entry::Socket);
}

/// Two descriptors of the two ends of a new channel.
pub fn opened_pair(fds: [i32; 2]) {
    let channel = Arc::new(Channel {
        is_pair: true,
        ..Channel::default()
    });
    maps()
        .descriptors
        .insert(fds[0], Entry::Open(Arc::clone(&channel)));
    maps().descriptors.insert(fds[1], Entry::Open(channel));
}

/// True if only this process can write to what the descriptor refers to: an
/// eventfd, or a pipe or pair of sockets whose two ends it has.
pub fn stays_inside(fd: i32) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
    if link.is_ok_and(|link| link.to_str() == Some("anon_inode:[eventfd]")) {
        return true;
    }
    let pair = match maps().descriptors.get(&fd).as_deref() {
        Some(Entry::Open(channel)) if channel.is_pair => Arc::clone(channel),
        Some(Entry::Open(_) | Entry::Plain | Entry::Socket | Entry::Datagram { .. }) | None => {
            return false;
        }
    };
    let other_end = |end: &i32| *end != fd;
    maps().descriptors.iter().any(|entry| {
        other_end(entry.key())
            && matches!(entry.value(), Entry::Open(other) if Arc::ptr_eq(other, &pair))
    })
}

/// `copy` refers to the same description as `fd`.
pub fn duplicated(fd: i32, copy: i32) {
    // An eventfd that was never used must have its channel before there are
    // two descriptors.
    channel(fd);
    let entry = maps().descriptors.get(&fd).map(|entry| entry.clone());
    match entry {
        Some(entry) => maps().descriptors.insert(copy, entry),
        None => maps().descriptors.remove(&copy).map(|(_, entry)| entry),
    };
}

/// The descriptor is about to be closed. Returns the channel that it had.
pub fn closing(fd: i32) -> Option<Arc<Channel>> {
    let channel = channel(fd);
    maps().descriptors.remove(&fd);
    channel
}

/// What a descriptor is that was not seen before.
fn classify(fd: i32) -> Option<Entry> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel fills the structure.
    let failed = unsafe {
        sys::call(
            libc::SYS_fstat,
            [fd as usize, stat.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    };
    if failed < 0 {
        return None;
    }
    // SAFETY: filled, and valid when zero.
    let stat = unsafe { stat.assume_init() };
    Some(match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO => Entry::Open(shared(Key::Pipe {
            device: stat.st_dev,
            inode: stat.st_ino,
        })),
        libc::S_IFSOCK => socket_entry(fd),
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFCHR | libc::S_IFBLK => Entry::Plain,
        // eventfd, epoll, timerfd …
        _ => Entry::Open(Arc::default()),
    })
}

/// The channel of a socket, by its addresses; not settled while it has none.
fn socket_entry(fd: i32) -> Entry {
    let own = address(fd, libc::SYS_getsockname);
    let peer = address(fd, libc::SYS_getpeername);
    match Kind::of(fd) {
        Kind::Datagram => Entry::Datagram {
            incoming: own.as_deref().and_then(|own| key_at(true, own)).map(shared),
            outgoing: peer
                .as_deref()
                .and_then(|peer| key_at(true, peer))
                .map(shared),
        },
        kind @ (Kind::Listener | Kind::Stream) => match key_of(kind, own, peer) {
            Some(key) => Entry::Open(shared(key)),
            None => Entry::Socket,
        },
    }
}

/// What a socket is, for its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    Listener,
    Datagram,
}

impl Kind {
    fn of(fd: i32) -> Self {
        if option(fd, libc::SO_TYPE) == libc::SOCK_DGRAM {
            Self::Datagram
        } else if option(fd, libc::SO_ACCEPTCONN) != 0 {
            Self::Listener
        } else {
            Self::Stream
        }
    }
}

/// The key of a listener, or of a stream, with these addresses.
fn key_of(kind: Kind, own: Option<Vec<u8>>, peer: Option<Vec<u8>>) -> Option<Key> {
    let own = own?;
    if kind == Kind::Listener {
        return key_at(false, &own);
    }
    let peer = peer?;
    match (place(&own), place(&peer)) {
        (Some(own), Some(peer)) => Some(if own <= peer {
            Key::Connection(own, peer)
        } else {
            Key::Connection(peer, own)
        }),
        // One side of a Unix connection has no name, as a rule.
        (Some(Place::Unix(name)), None) | (None, Some(Place::Unix(name))) => Some(Key::Path(name)),
        (Some(Place::Internet(..)), None) | (None, Some(Place::Internet(..)) | None) => None,
    }
}

/// The key of what listens at an address, or receives datagrams there.
fn key_at(datagram: bool, address: &[u8]) -> Option<Key> {
    Some(match place(address)? {
        Place::Unix(name) => Key::Path(name),
        Place::Internet(port, _) => Key::Port { datagram, port },
    })
}

/// Where an address is, if it names something.
fn place(address: &[u8]) -> Option<Place> {
    const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    let ip = match family(address) {
        libc::AF_UNIX => return (address.len() > 2).then(|| Place::Unix(address.to_vec())),
        libc::AF_INET => address.get(4..8)?,
        libc::AF_INET6 => {
            let ip = address.get(8..24)?;
            ip.strip_prefix(&MAPPED).unwrap_or(ip)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes([*address.get(2)?, *address.get(3)?]);
    (port != 0).then(|| Place::Internet(port, ip.to_vec()))
}

/// An option of a socket.
fn option(fd: i32, name: i32) -> i32 {
    let mut value = 0i32;
    let mut len = size_of::<i32>() as u32;
    let arguments = [
        fd as usize,
        libc::SOL_SOCKET as usize,
        name as usize,
        &raw mut value as usize,
        &raw mut len as usize,
        0,
    ];
    // SAFETY: the kernel fills the two numbers.
    unsafe { sys::call(libc::SYS_getsockopt, arguments) };
    value
}

/// An address of a socket, as bytes.
fn address(fd: i32, call: i64) -> Option<Vec<u8>> {
    let mut bytes = [0u8; 128];
    let mut len = bytes.len() as u32;
    let arguments = [
        fd as usize,
        bytes.as_mut_ptr() as usize,
        &raw mut len as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel fills the buffer and the length.
    let failed = unsafe { sys::call(call, arguments) };
    (failed == 0).then(|| bytes[..(len as usize).min(bytes.len())].to_vec())
}

fn family(address: &[u8]) -> i32 {
    match address {
        [low, high, ..] => i32::from(u16::from_ne_bytes([*low, *high])),
        _ => libc::AF_UNSPEC,
    }
}

/// The channel on which `address` is listened to, for a socket that connects
/// or sends there.
pub fn at_address(fd: i32, address: &[u8]) -> Option<Arc<Channel>> {
    key_at(Kind::of(fd) == Kind::Datagram, address).map(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(port: u16, last: u8) -> Vec<u8> {
        let mut address = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        address.extend(port.to_be_bytes());
        address.extend([127, 0, 0, last]);
        address
    }

    #[test]
    fn both_ends_of_a_connection_have_one_key() {
        let (a, b) = (inet(80, 1), inet(4000, 1));
        let server = key_of(Kind::Stream, Some(a.clone()), Some(b.clone()));
        let client = key_of(Kind::Stream, Some(b), Some(a));
        assert!(server.is_some());
        assert_eq!(server, client);
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let listener = key_of(Kind::Listener, Some(inet(80, 0)), None);
        assert_eq!(
            listener,
            Some(Key::Port {
                datagram: false,
                port: 80
            })
        );
        let unbound = key_of(Kind::Listener, Some(inet(0, 0)), None);
        assert_eq!(unbound, None, "not bound");
        let connecting = key_of(Kind::Stream, Some(inet(80, 0)), None);
        assert_eq!(connecting, None, "not connected yet");
    }

    #[test]
    fn a_unix_socket_is_found_by_the_name_that_one_side_has() {
        let unnamed = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
        let named = [unnamed.as_slice(), b"/run/x"].concat();
        let client = key_of(Kind::Stream, Some(unnamed.clone()), Some(named.clone()));
        assert_eq!(client, Some(Key::Path(named.clone())));
        let server = key_of(Kind::Stream, Some(named.clone()), Some(unnamed.clone()));
        assert_eq!(server, client);
        assert_eq!(key_of(Kind::Listener, Some(named.clone()), None), client);
        let other = [unnamed.as_slice(), b"/run/y"].concat();
        let both = key_of(Kind::Stream, Some(named.clone()), Some(other.clone()));
        assert!(matches!(both, Some(Key::Connection(..))));
        assert_eq!(key_of(Kind::Stream, Some(other), Some(named)), both);
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_in_ipv6() {
        let mut mapped = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
        mapped.extend(80u16.to_be_bytes());
        mapped.extend([0; 14]);
        mapped.extend([0xff, 0xff, 127, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(place(&mapped), place(&inet(80, 1)));
        assert_ne!(place(&mapped), place(&inet(80, 2)));
    }
}
