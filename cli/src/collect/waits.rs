//! What a thread waits for, told from its stack.
//!
//! The runtime knows the system call or lock word; which object of which
//! library it is, the frames between it and the user's code tell: the one that
//! the user's code called decides (`Barrier::wait`, not the `Condvar::wait` in
//! it).

use leakcheck::report::wire::WaitOn;

use crate::model::{FrameClass, Stack, WaitFor};

/// A function that waits: crate, last segments of its path, for what.
struct Api(&'static str, &'static [&'static str], WaitFor);

/// The functions of std and of known crates that block.
const APIS: &[Api] = &[
    Api("std", &["Mutex", "lock"], WaitFor::Mutex),
    Api("std", &["ReentrantLock", "lock"], WaitFor::Mutex),
    Api("std", &["RwLock", "read"], WaitFor::RwLockRead),
    Api("std", &["RwLock", "write"], WaitFor::RwLockWrite),
    Api("std", &["Condvar", "wait"], WaitFor::Condvar),
    Api("std", &["Condvar", "wait_while"], WaitFor::Condvar),
    Api("std", &["Condvar", "wait_timeout"], WaitFor::Condvar),
    Api("std", &["Condvar", "wait_timeout_while"], WaitFor::Condvar),
    Api("std", &["Barrier", "wait"], WaitFor::Barrier),
    Api("std", &["Once", "call_once"], WaitFor::Once),
    Api("std", &["Once", "call_once_force"], WaitFor::Once),
    Api("std", &["Once", "wait"], WaitFor::Once),
    Api("std", &["OnceLock", "get_or_init"], WaitFor::Once),
    Api("std", &["OnceLock", "wait"], WaitFor::Once),
    Api("std", &["LazyLock", "force"], WaitFor::Once),
    Api("std", &["LazyLock", "deref"], WaitFor::Once),
    Api("std", &["Receiver", "recv"], WaitFor::ChannelRecv),
    Api("std", &["Receiver", "recv_timeout"], WaitFor::ChannelRecv),
    Api("std", &["Iter", "next"], WaitFor::ChannelRecv),
    Api("std", &["IntoIter", "next"], WaitFor::ChannelRecv),
    Api("std", &["SyncSender", "send"], WaitFor::ChannelSend),
    Api("std", &["JoinHandle", "join"], WaitFor::Join),
    Api("std", &["ScopedJoinHandle", "join"], WaitFor::Join),
    Api("std", &["thread", "scope"], WaitFor::Scope),
    Api("std", &["scoped", "scope"], WaitFor::Scope),
    Api("std", &["thread", "park"], WaitFor::Park),
    Api("std", &["thread", "park_timeout"], WaitFor::Park),
    Api("std", &["functions", "park"], WaitFor::Park),
    Api("std", &["functions", "park_timeout"], WaitFor::Park),
    Api("std", &["thread", "sleep"], WaitFor::Sleep),
    Api("std", &["functions", "sleep"], WaitFor::Sleep),
    Api("std", &["Child", "wait"], WaitFor::Child),
    Api("std", &["Child", "wait_with_output"], WaitFor::Child),
    Api("std", &["Command", "output"], WaitFor::Child),
    Api("std", &["Command", "status"], WaitFor::Child),
    Api("std", &["TcpListener", "accept"], WaitFor::Accept),
    Api("std", &["UnixListener", "accept"], WaitFor::Accept),
    Api("std", &["Incoming", "next"], WaitFor::Accept),
    Api("lock_api", &["Mutex", "lock"], WaitFor::Mutex),
    Api("lock_api", &["ReentrantMutex", "lock"], WaitFor::Mutex),
    Api("lock_api", &["RwLock", "read"], WaitFor::RwLockRead),
    Api(
        "lock_api",
        &["RwLock", "read_recursive"],
        WaitFor::RwLockRead,
    ),
    Api("lock_api", &["RwLock", "write"], WaitFor::RwLockWrite),
    Api(
        "lock_api",
        &["RwLock", "upgradable_read"],
        WaitFor::RwLockWrite,
    ),
    Api("lock_api", &["Condvar", "wait"], WaitFor::Condvar),
    Api("lock_api", &["Condvar", "wait_while"], WaitFor::Condvar),
    Api("lock_api", &["Condvar", "wait_for"], WaitFor::Condvar),
    Api("lock_api", &["Condvar", "wait_until"], WaitFor::Condvar),
    Api("parking_lot", &["RawMutex", "lock_slow"], WaitFor::Mutex),
    Api(
        "parking_lot",
        &["RawRwLock", "lock_shared_slow"],
        WaitFor::RwLockRead,
    ),
    Api(
        "parking_lot",
        &["RawRwLock", "lock_exclusive_slow"],
        WaitFor::RwLockWrite,
    ),
    Api("parking_lot", &["Condvar", "wait"], WaitFor::Condvar),
    Api("parking_lot", &["Condvar", "wait_while"], WaitFor::Condvar),
    Api("parking_lot", &["Condvar", "wait_for"], WaitFor::Condvar),
    Api("parking_lot", &["Condvar", "wait_until"], WaitFor::Condvar),
    Api(
        "parking_lot",
        &["Condvar", "wait_until_internal"],
        WaitFor::Condvar,
    ),
    Api(
        "parking_lot",
        &["RawCondvar", "wait_until_internal"],
        WaitFor::Condvar,
    ),
    Api("parking_lot", &["Once", "call_once"], WaitFor::Once),
    Api("parking_lot", &["Once", "call_once_slow"], WaitFor::Once),
    Api("once_cell", &["OnceCell", "get_or_init"], WaitFor::Once),
    Api("once_cell", &["OnceCell", "wait"], WaitFor::Once),
    Api("once_cell", &["Lazy", "force"], WaitFor::Once),
    Api(
        "crossbeam_channel",
        &["Receiver", "recv"],
        WaitFor::ChannelRecv,
    ),
    Api(
        "crossbeam_channel",
        &["Receiver", "recv_timeout"],
        WaitFor::ChannelRecv,
    ),
    Api(
        "crossbeam_channel",
        &["Receiver", "recv_deadline"],
        WaitFor::ChannelRecv,
    ),
    Api("crossbeam_channel", &["Iter", "next"], WaitFor::ChannelRecv),
    Api(
        "crossbeam_channel",
        &["IntoIter", "next"],
        WaitFor::ChannelRecv,
    ),
    Api(
        "crossbeam_channel",
        &["Sender", "send"],
        WaitFor::ChannelSend,
    ),
    Api(
        "crossbeam_channel",
        &["Sender", "send_timeout"],
        WaitFor::ChannelSend,
    ),
    Api(
        "crossbeam_channel",
        &["Select", "select"],
        WaitFor::ChannelSelect,
    ),
    Api(
        "crossbeam_channel",
        &["Select", "ready"],
        WaitFor::ChannelSelect,
    ),
    Api(
        "crossbeam_channel",
        &["select", "select"],
        WaitFor::ChannelSelect,
    ),
    Api(
        "crossbeam_channel",
        &["select", "run_select"],
        WaitFor::ChannelSelect,
    ),
    Api("crossbeam_utils", &["Parker", "park"], WaitFor::Park),
    Api("crossbeam_utils", &["WaitGroup", "wait"], WaitFor::Barrier),
    Api("flume", &["Receiver", "recv"], WaitFor::ChannelRecv),
    Api("flume", &["Receiver", "recv_timeout"], WaitFor::ChannelRecv),
    Api("flume", &["Sender", "send"], WaitFor::ChannelSend),
    Api("tokio", &["Runtime", "block_on"], WaitFor::Future),
    Api("tokio", &["Handle", "block_on"], WaitFor::Future),
    Api(
        "tokio",
        &["Receiver", "blocking_recv"],
        WaitFor::ChannelRecv,
    ),
    Api("tokio", &["Sender", "blocking_send"], WaitFor::ChannelSend),
    Api("tokio", &["Mutex", "blocking_lock"], WaitFor::Mutex),
    Api("tokio", &["Mutex", "blocking_lock_owned"], WaitFor::Mutex),
    Api("tokio", &["RwLock", "blocking_read"], WaitFor::RwLockRead),
    Api("tokio", &["RwLock", "blocking_write"], WaitFor::RwLockWrite),
    Api(
        "futures_executor",
        &["local_pool", "block_on"],
        WaitFor::Future,
    ),
    Api("futures_lite", &["future", "block_on"], WaitFor::Future),
    Api("pollster", &["pollster", "block_on"], WaitFor::Future),
    Api("async_io", &["driver", "block_on"], WaitFor::Future),
];

/// What a thread with this stack waits for, where the runtime saw `on`.
pub fn wait_for(on: WaitOn, stack: &Stack) -> WaitFor {
    let called = stack
        .frames()
        .iter()
        .take_while(|frame| frame.class != FrameClass::User)
        .filter_map(|frame| {
            APIS.iter()
                .find(|Api(krate, tail, _)| frame.function.is(krate, tail))
                .map(|Api(_, _, what)| *what)
        })
        .last();
    match (called, on) {
        // It waits for nothing, whatever it is in the middle of.
        (_, WaitOn::Running) => WaitFor::Running,
        // A thread's start and end are in std too: the owner tells best.
        (Some(WaitFor::Scope), WaitOn::Join) => WaitFor::Scope,
        (_, WaitOn::Join) => WaitFor::Join,
        (Some(what), _) => what,
        (None, WaitOn::Mutex) => WaitFor::Mutex,
        (None, WaitOn::RwLockRead) => WaitFor::RwLockRead,
        (None, WaitOn::RwLockWrite) => WaitFor::RwLockWrite,
        (None, WaitOn::Condvar) => WaitFor::Condvar,
        (None, WaitOn::Park) => WaitFor::Park,
        (None, WaitOn::Futex | WaitOn::OtherEnd) => WaitFor::Futex,
        (None, WaitOn::Sleep) => WaitFor::Sleep,
        (None, WaitOn::Io) => WaitFor::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_called_decides() {
        use FrameClass::{Std, User};
        let stack = Stack::of_test(&[
            ("std::sys::sync::condvar::futex::Condvar::wait", Std),
            ("std::sync::poison::condvar::Condvar::wait", Std),
            ("std::sync::barrier::Barrier::wait", Std),
            ("bank::run", User),
            ("std::thread::scoped::scope", Std),
        ]);
        assert_eq!(wait_for(WaitOn::Futex, &stack), WaitFor::Barrier);
        assert_eq!(wait_for(WaitOn::Condvar, &stack), WaitFor::Barrier);
    }

    #[test]
    fn a_channel_that_parks_is_a_channel() {
        use FrameClass::{Dependency, Std, User};
        let std_channel = Stack::of_test(&[
            ("std::thread::functions::park", Std),
            ("std::sync::mpmc::list::Channel<T>::recv", Std),
            ("std::sync::mpsc::Receiver<T>::recv", Std),
            ("bank::run", User),
        ]);
        assert_eq!(wait_for(WaitOn::Park, &std_channel), WaitFor::ChannelRecv);
        let crossbeam = Stack::of_test(&[
            ("std::thread::functions::park", Std),
            ("crossbeam_channel::channel::Sender<T>::send", Dependency),
            ("bank::run", User),
        ]);
        assert_eq!(wait_for(WaitOn::Park, &crossbeam), WaitFor::ChannelSend);
    }

    #[test]
    fn without_a_known_function_the_runtime_is_believed() {
        let unknown = Stack::of_test(&[("epoll_wait", FrameClass::Runtime)]);
        assert_eq!(wait_for(WaitOn::Io, &unknown), WaitFor::Io);
        assert_eq!(wait_for(WaitOn::Futex, &unknown), WaitFor::Futex);
        assert_eq!(wait_for(WaitOn::Running, &unknown), WaitFor::Running);
    }

    #[test]
    fn the_users_own_functions_are_not_taken_for_an_api() {
        let own = Stack::of_test(&[
            ("futex", FrameClass::Runtime),
            ("std::Mutex::lock", FrameClass::User),
        ]);
        assert_eq!(wait_for(WaitOn::Futex, &own), WaitFor::Futex);
    }
}
