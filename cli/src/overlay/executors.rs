//! The executors whose tasks are followed, and the edits that make them tell.
//!
//! The added module, `leakcheck` in each crate, is made of the texts in
//! `cli/overlay` and of the runtime's table of hooks.

use super::patch::{At, Edit};
use crate::symbolize::function::FunctionName;

/// What is done to a crate.
#[derive(Debug)]
pub struct Overlay {
    /// Its name.
    pub krate: &'static str,
    /// The changes.
    pub edits: &'static [Edit],
    /// File of the added module.
    pub module: &'static str,
    /// What the added module holds besides the common part.
    pub source: &'static str,
}

/// In every added module.
const COMMON: &str = concat!(
    "mod table {\n",
    include_str!("../../../detector/src/hooks/table.rs"),
    "}\nmod lookup {\n",
    include_str!("../../../detector/src/hooks/lookup.rs"),
    "}\nmod tracked {\n",
    include_str!("../../overlay/tracked.rs"),
    "}\npub(crate) use self::tracked::*;\n",
);

/// Declares the added module. The crate's own lints are not for it.
macro_rules! module {
    ($visibility:literal) => {
        concat!(
            "\n#[",
            "allow(warnings, clippy::all)]\n",
            $visibility,
            "mod leakcheck;"
        )
    };
}

/// Waits for permits of a channel, which nobody owns.
macro_rules! channel_permits {
    ($number:literal) => {
        concat!(
            "{\n            let wait = self.chan.semaphore().semaphore.acquire(",
            $number,
            ");\n            #[cfg(feature = \"rt\")]\n            \
             let wait = crate::runtime::task::leakcheck::unowned(wait);\n            wait\n        }.await"
        )
    };
}

/// The end of a permit, which is given back by this method.
macro_rules! permit_drops {
    ($permit:literal, $method:literal) => {
        concat!(
            "Drop for ",
            $permit,
            " {\n    fn drop(&mut self) {\n        self.sem.",
            $method,
            "("
        )
    };
}

/// Nothing goes unseen without the edit, which only saves time.
const COSTS: &str = "";

/// Releases without a `LocalRuntime` have no such call.
const LOCAL_RUNTIME: &str = "";

/// Nothing goes unseen without the edit, but less may be proved.
const LEFTOVERS: &str = "";

/// Nothing goes unseen without the edit, but fewer schedules are explored.
const SCHEDULES: &str = "";

impl Overlay {
    /// The text of the added module.
    #[must_use]
    pub fn module_text(&self) -> String {
        format!(
            "{COMMON}mod own {{\n{}}}\npub(crate) use self::own::*;\n",
            self.source
        )
    }
}

/// The overlay of the crate with this name.
#[must_use]
pub fn overlay_of(krate: &str) -> Option<&'static Overlay> {
    OVERLAYS.iter().find(|overlay| overlay.krate == krate)
}

/// True for a function of a module that was added to an executor.
#[must_use]
pub fn added(function: &FunctionName) -> bool {
    OVERLAYS.iter().any(|overlay| {
        let krate = overlay.krate.replace('-', "_");
        let inside = overlay.module.trim_end_matches(".rs").replace('/', "::");
        function.krate() == krate && function.is_within(&format!("{krate}::{inside}"))
    })
}

/// All of them.
pub static OVERLAYS: &[Overlay] = &[TOKIO, ASYNC_TASK, ASYNC_EXECUTOR];

const TOKIO: Overlay = Overlay {
    krate: "tokio",
    module: "runtime/task/leakcheck.rs",
    source: include_str!("../../overlay/tokio.rs"),
    edits: &[
        Edit {
            files: &["runtime/task/mod.rs"],
            anchors: &["let raw = RawTask::new::<T, S>("],
            at: At::Instead,
            text: "let task = leakcheck::track::<T, S>(task);\n        \
                   let leakcheck = leakcheck::Unplaced::of(&task, &scheduler);\n        \
                   let raw = RawTask::new::<leakcheck::Tracked<T>, S>(",
            otherwise: None,
        },
        Edit {
            files: &["runtime/task/mod.rs"],
            anchors: &[
                "let join = JoinHandle::new(raw);",
                "let join = JoinHandle::new(raw, id);",
            ],
            at: At::Before,
            text: "leakcheck.at(&raw);\n        ",
            otherwise: Some("which thread a task waits for to be polled"),
        },
        Edit {
            files: &["runtime/task/mod.rs"],
            anchors: &["\nmod waker;"],
            at: At::After,
            text: module!("pub(crate) "),
            otherwise: None,
        },
        Edit {
            files: &["runtime/task/waker.rs"],
            anchors: &[".state.ref_inc();"],
            at: At::After,
            text: " super::leakcheck::waker_clone(ptr);",
            otherwise: Some("what a task waits for"),
        },
        Edit {
            files: &["runtime/task/waker.rs"],
            anchors: &["raw.wake_by_val();", "harness.wake_by_val();"],
            at: At::Before,
            text: "super::leakcheck::waker_wake(ptr);\n    ",
            otherwise: Some("who woke a task"),
        },
        Edit {
            files: &["runtime/task/waker.rs"],
            anchors: &["raw.wake_by_ref();", "harness.wake_by_ref();"],
            at: At::Before,
            text: "super::leakcheck::waker_wake(ptr);\n    ",
            otherwise: Some("who woke a task"),
        },
        Edit {
            files: &["runtime/scheduler/current_thread/mod.rs"],
            anchors: &[".bind_local(future, "],
            at: At::Instead,
            text: ".bind_local(crate::runtime::task::leakcheck::stays(future), ",
            otherwise: Some(LOCAL_RUNTIME),
        },
        Edit {
            files: &["runtime/runtime.rs", "runtime/mod.rs"],
            anchors: &[
                "impl Drop for Runtime {\n    fn drop(&mut self) {",
                "impl Drop for Runtime {\n        fn drop(&mut self) {",
            ],
            at: At::After,
            text: "\n        let _leakcheck = crate::runtime::task::leakcheck::Shutdown::begin();",
            otherwise: Some("tasks left in a runtime that is dropped"),
        },
        Edit {
            files: &["runtime/runtime.rs", "runtime/mod.rs"],
            anchors: &[
                "self.handle.inner.shutdown();",
                "self.handle.clone().shutdown();",
            ],
            at: At::Before,
            text: "let _leakcheck = crate::runtime::task::leakcheck::Shutdown::begin();\n        ",
            otherwise: Some("tasks left in a runtime that is shut down"),
        },
        Edit {
            files: &["runtime/runtime.rs", "runtime/mod.rs"],
            anchors: &["pub fn block_on<F: Future>(&self, future: F) -> F::Output {"],
            at: At::After,
            text: "\n        let _leakcheck = crate::runtime::task::leakcheck::Drives::begin(&self.handle);\n        \
                   let future = crate::runtime::task::leakcheck::root(future);",
            otherwise: Some("leaked tasks that wait on what the test itself had"),
        },
        Edit {
            files: &[
                "runtime/scheduler/multi_thread/worker.rs",
                "runtime/thread_pool/worker.rs",
            ],
            anchors: &["self.park(core)"],
            at: At::Instead,
            text: "self.park(crate::runtime::task::leakcheck::rests(core))",
            otherwise: Some(LEFTOVERS),
        },
        Edit {
            files: &[
                "runtime/scheduler/current_thread/mod.rs",
                "runtime/scheduler/current_thread.rs",
                "runtime/basic_scheduler.rs",
            ],
            anchors: &["context.park(core"],
            at: At::Instead,
            text: "context.park(crate::runtime::task::leakcheck::rests(core)",
            otherwise: Some(LEFTOVERS),
        },
        Edit {
            files: &["runtime/park.rs", "park/thread.rs"],
            anchors: &["\n            self.park()"],
            at: At::Before,
            text: "\n            #[cfg(feature = \"rt\")]\n            \
                   crate::runtime::task::leakcheck::rests(());",
            otherwise: Some(LEFTOVERS),
        },
        Edit {
            files: &["runtime/task/join.rs"],
            anchors: &["// Keep track of task budget"],
            at: At::Before,
            text: "super::leakcheck::joins(&self.raw);\n        ",
            otherwise: Some("which task another waits for"),
        },
        Edit {
            files: &["runtime/task/join.rs"],
            anchors: &["if ret.is_ready() {"],
            at: At::After,
            text: "\n            super::leakcheck::joined(&self.raw);",
            otherwise: Some("who is given the panic of a task"),
        },
        Edit {
            files: &["runtime/task/raw.rs"],
            anchors: &["pub(super) fn shutdown(self) {"],
            at: At::After,
            text: "\n        let _leakcheck = super::leakcheck::Shut::begin(&self);",
            otherwise: Some("tasks that are aborted with their runtime"),
        },
        Edit {
            files: &["sync/batch_semaphore.rs"],
            anchors: &["let (node, semaphore, needed, queued) = self.project();"],
            at: At::After,
            text: "\n        #[cfg(feature = \"rt\")]\n        \
                   crate::runtime::task::leakcheck::wants(semaphore);",
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/batch_semaphore.rs"],
            anchors: &["impl Drop for Acquire<'_> {\n    fn drop(&mut self) {"],
            at: At::After,
            text: "\n        #[cfg(feature = \"rt\")]\n        \
                   crate::runtime::task::leakcheck::waited(self.semaphore, {\n            \
                   let number = (self.num_permits as usize) << Semaphore::PERMIT_SHIFT;\n            \
                   self.semaphore.permits.taken(number, !self.queued)\n        });",
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/batch_semaphore.rs"],
            anchors: &["use crate::loom::sync::atomic::AtomicUsize;"],
            at: At::Instead,
            text: "#[cfg(not(feature = \"rt\"))]\n\
                   use crate::loom::sync::atomic::AtomicUsize;\n\
                   #[cfg(feature = \"rt\")]\n\
                   use crate::runtime::task::leakcheck::Counted as AtomicUsize;\n\
                   impl Semaphore {\n    \
                   pub(crate) fn leakcheck_grows(&self) {\n        \
                   #[cfg(feature = \"rt\")]\n        \
                   self.permits.grows();\n    }\n}",
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/semaphore.rs"],
            anchors: &["pub fn add_permits(&self, n: usize) {"],
            at: At::After,
            text: "\n        self.ll_sem.leakcheck_grows();",
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/semaphore.rs"],
            anchors: &[permit_drops!("SemaphorePermit<'_>", "add_permits")],
            at: At::Instead,
            text: permit_drops!("SemaphorePermit<'_>", "ll_sem.release"),
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/semaphore.rs"],
            anchors: &[permit_drops!("OwnedSemaphorePermit", "add_permits")],
            at: At::Instead,
            text: permit_drops!("OwnedSemaphorePermit", "ll_sem.release"),
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/batch_semaphore.rs"],
            anchors: &["if added == 0 {\n            return;\n        }"],
            at: At::After,
            text: "\n        #[cfg(feature = \"rt\")]\n        \
                   crate::runtime::task::leakcheck::gives_back(self);",
            otherwise: Some("which task has a lock"),
        },
        Edit {
            files: &["sync/mpsc/bounded.rs"],
            anchors: &["self.chan.semaphore().semaphore.acquire(n).await"],
            at: At::Instead,
            text: channel_permits!("n"),
            otherwise: Some(COSTS),
        },
        Edit {
            files: &["sync/mpsc/bounded.rs"],
            anchors: &["self.chan.semaphore().semaphore.acquire(1).await"],
            at: At::Instead,
            text: channel_permits!("1"),
            otherwise: Some(COSTS),
        },
        Edit {
            files: &["task/coop/mod.rs", "runtime/coop.rs", "coop.rs"],
            anchors: &["fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {"],
            at: At::After,
            text: "\n        #[cfg(feature = \"rt\")]\n        \
                   if crate::runtime::task::leakcheck::waits(cx) {\n            \
                   return Poll::Pending;\n        }",
            otherwise: Some(SCHEDULES),
        },
        Edit {
            files: &["task/local.rs"],
            anchors: &["impl Drop for LocalSet {\n    fn drop(&mut self) {"],
            at: At::After,
            text: "\n        let _leakcheck = crate::runtime::task::leakcheck::Shutdown::begin();",
            otherwise: Some("tasks left in a `LocalSet` that is dropped"),
        },
    ],
};

const ASYNC_EXECUTOR: Overlay = Overlay {
    krate: "async-executor",
    module: "leakcheck.rs",
    source: include_str!("../../overlay/async_executor.rs"),
    edits: &[
        Edit {
            files: &["lib.rs"],
            anchors: &["\nuse slab::Slab;"],
            at: At::Before,
            text: module!(""),
            otherwise: None,
        },
        Edit {
            files: &["lib.rs"],
            anchors: &["entry.insert(runnable.waker());"],
            at: At::Instead,
            text: "entry.insert(crate::leakcheck::track(runnable.waker()));",
            otherwise: None,
        },
        Edit {
            files: &["lib.rs"],
            anchors: &["impl Drop for Executor<'_> {\n    fn drop(&mut self) {"],
            at: At::After,
            text: "\n        let _leakcheck = crate::leakcheck::Shutdown::begin();",
            otherwise: Some("tasks left in an executor that is dropped"),
        },
    ],
};

const ASYNC_TASK: Overlay = Overlay {
    krate: "async-task",
    module: "leakcheck.rs",
    source: include_str!("../../overlay/async_task.rs"),
    edits: &[
        Edit {
            files: &["runnable.rs"],
            anchors: &["let ptr = if mem::size_of::<Fut>() >= 2048 {"],
            at: At::Before,
            text: "let future = |meta| crate::leakcheck::track::<Fut, M>(future(meta));\n        ",
            otherwise: None,
        },
        Edit {
            files: &["runnable.rs"],
            anchors: &["RawTask::<Fut, Fut::Output, S, M>::allocate("],
            at: At::Instead,
            text: "RawTask::<crate::leakcheck::Tracked<Fut>, Fut::Output, S, M>::allocate(",
            otherwise: None,
        },
        Edit {
            files: &["lib.rs"],
            anchors: &["\nmod raw;"],
            at: At::After,
            text: module!(""),
            otherwise: None,
        },
        Edit {
            files: &["raw.rs"],
            anchors: &["let state = (*raw.header).state.fetch_add(REFERENCE, Ordering::Relaxed);"],
            at: At::Before,
            text: "crate::leakcheck::waker_clone(ptr);\n        ",
            otherwise: Some("what a task waits for"),
        },
        Edit {
            files: &["task.rs"],
            anchors: &[
                "fn poll_task(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {\n        \
                        let ptr = self.ptr.as_ptr();",
            ],
            at: At::After,
            text: "\n        crate::leakcheck::joins(ptr, self);",
            otherwise: Some("which task another waits for"),
        },
        Edit {
            files: &["task.rs"],
            anchors: &["// Take the output from the task."],
            at: At::Before,
            text: "crate::leakcheck::joined(ptr);\n                        ",
            otherwise: Some("who is given the panic of a task"),
        },
        Edit {
            files: &["raw.rs"],
            anchors: &["unsafe fn wake(ptr: *const ()) {"],
            at: At::After,
            text: "\n        crate::leakcheck::waker_wake(ptr);",
            otherwise: Some("who woke a task"),
        },
        Edit {
            files: &["raw.rs"],
            anchors: &["unsafe fn wake_by_ref(ptr: *const ()) {"],
            at: At::After,
            text: "\n        crate::leakcheck::waker_wake(ptr);",
            otherwise: Some("who woke a task"),
        },
    ],
};

#[cfg(test)]
mod tests {
    use super::added;
    use super::{OVERLAYS, overlay_of};
    use crate::symbolize::function::FunctionName;

    #[test]
    fn crates_are_found_by_their_names() {
        for overlay in OVERLAYS {
            assert_eq!(overlay_of(overlay.krate).unwrap().module, overlay.module);
        }
        assert!(overlay_of("serde").is_none());
    }

    #[test]
    fn the_module_holds_the_table() {
        for overlay in OVERLAYS {
            let text = overlay.module_text();
            assert!(text.contains("__leakcheck_hooks_v1"));
            assert_eq!(text.matches('{').count(), text.matches('}').count());
        }
    }

    #[test]
    fn added_functions_are_known_by_their_module() {
        let is_added = |name: &str| added(&FunctionName::from_demangled(name));
        assert!(is_added("async_task::leakcheck::tracked::waker_clone"));
        assert!(is_added(
            "<tokio::runtime::task::leakcheck::tracked::Tracked<T> as core::future::Future>::poll"
        ));
        assert!(!is_added("tokio::runtime::task::waker::clone_waker"));
        assert!(!is_added("mine::runtime::task::leakcheck::waker_clone"));
    }
}
