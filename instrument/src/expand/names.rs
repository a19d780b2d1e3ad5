//! Names of methods and functions, by what they do.

/// Methods whose first argument is spawned, or the one after the scope.
pub const SPAWNS: &[&str] = &[
    "spawn",
    "spawn_local",
    "spawn_blocking",
    "spawn_on",
    "spawn_local_on",
    "spawn_blocking_on",
    "spawn_fifo",
    "spawn_scoped",
    "spawn_unchecked",
    "spawn_with_handle",
    "spawn_local_with_handle",
    "spawn_ok",
    "spawn_obj",
    "spawn_obj_ok",
    "spawn_local_obj",
    "spawn_pinned",
];

/// Methods without arguments that take a lock for writing, or for all.
pub const LOCKS: &[&str] = &[
    "lock",
    "write",
    "blocking_lock",
    "blocking_write",
    "lock_owned",
    "write_owned",
    "lock_arc",
    "write_arc",
    "upgradable_read",
];

/// Methods without arguments that take a lock for reading.
pub const SHARES: &[&str] = &["read", "blocking_read", "read_owned", "read_arc"];

/// Methods without arguments that may take a lock.
pub const TRIES: &[&str] = &[
    "try_lock",
    "try_write",
    "try_read",
    "try_lock_owned",
    "try_write_owned",
    "try_read_owned",
];

/// Methods that may order, by the type that they are called on.
pub const MEETS: &[&str] = &[
    "send",
    "try_send",
    "blocking_send",
    "send_timeout",
    "send_async",
    "send_replace",
    "recv",
    "try_recv",
    "recv_timeout",
    "recv_async",
    "blocking_recv",
    "recv_deadline",
    "wait",
    "wait_while",
    "wait_timeout",
    "wait_timeout_while",
    "wait_for",
    "notify_one",
    "notify_all",
    "notify_waiters",
    "acquire",
    "acquire_owned",
    "acquire_many",
    "try_acquire",
    "try_acquire_owned",
    "add_permits",
    "cancel",
    "cancelled",
    "is_cancelled",
    "call_once",
    "is_completed",
    "get_or_init",
    "get_or_try_init",
    "changed",
    "has_changed",
    "borrow_and_update",
    "send_modify",
    "send_if_modified",
    "subscribe",
    "unpark",
    "park",
    "park_timeout",
    "park_deadline",
    "notified",
    "notified_owned",
    "notify_last",
    "acquire_many_owned",
    "try_acquire_many",
    "try_acquire_many_owned",
    "acquire_arc",
    "recv_many",
    "recv_direct",
    "recv_blocking",
    "send_blocking",
    "reserve",
    "reserve_owned",
    "try_reserve_owned",
    "closed",
    "close",
    "is_closed",
    "is_finished",
    "is_disconnected",
    "join_next",
    "join_next_with_id",
    "try_join_next",
    "join_all",
    "cancelled_owned",
    "run_until_cancelled",
    "call_once_force",
    "wait_until",
    "wait_while_until",
    "wait_while_for",
    "push",
    "pop",
    "force_push",
    "steal",
    "steal_batch",
    "steal_batch_and_pop",
    "len",
    "is_empty",
    "is_full",
];

/// Of these, those that a collection has as well as a queue.
pub const COLLECTS: &[&str] = &["push", "pop", "len", "is_empty", "is_full"];

/// Methods of atomics: whether they store, and how many orderings end their
/// arguments.
pub const ATOMICS: &[(&str, bool, usize)] = &[
    ("load", false, 1),
    ("store", true, 1),
    ("swap", true, 1),
    ("fetch_add", true, 1),
    ("fetch_sub", true, 1),
    ("fetch_and", true, 1),
    ("fetch_nand", true, 1),
    ("fetch_or", true, 1),
    ("fetch_xor", true, 1),
    ("fetch_max", true, 1),
    ("fetch_min", true, 1),
    ("compare_exchange", true, 2),
    ("compare_exchange_weak", true, 2),
];

/// Methods of a lock's result that return the guard.
pub const KEEPS_GUARD: &[&str] = &["unwrap", "expect", "unwrap_or_else", "into_inner"];

/// How methods begin that may take a guard itself, and not what it protects.
pub const TAKES_GUARD: &[&str] = &[
    "into",
    "try_into",
    "map",
    "try_map",
    "filter_map",
    "and_then",
    "downgrade",
    "try_downgrade",
    "upgrade",
    "try_upgrade",
    "unlock",
    "tap",
    "pipe",
    "conv",
    "boxed",
    "leak",
];

/// Methods of raw pointers: arguments, and whether they write.
pub const POINTER_METHODS: &[(&str, usize, bool)] = &[
    ("read", 0, false),
    ("read_unaligned", 0, false),
    ("write", 1, true),
    ("write_unaligned", 1, true),
    ("read_volatile", 0, false),
    ("write_volatile", 1, true),
    ("replace", 1, true),
    ("swap", 1, true),
    ("drop_in_place", 0, true),
];

/// Methods that return a pointer.
pub const POINTER_STEPS: &[&str] = &[
    "add",
    "sub",
    "offset",
    "wrapping_add",
    "wrapping_sub",
    "wrapping_offset",
    "byte_add",
    "byte_sub",
    "byte_offset",
    "cast",
    "cast_mut",
    "cast_const",
    "as_ptr",
    "as_mut_ptr",
];

/// Which argument is accessed, and the hook of it.
pub type Accessed = (usize, &'static str);

/// Functions of `std::ptr`: arguments, and which of them are read and written.
pub const POINTER_FUNCTIONS: &[(&str, usize, &[Accessed])] = &[
    ("read", 1, &[(0, "reads")]),
    ("read_unaligned", 1, &[(0, "reads")]),
    ("read_volatile", 1, &[(0, "reads_volatile")]),
    ("write", 2, &[(0, "writes")]),
    ("write_unaligned", 2, &[(0, "writes")]),
    ("write_volatile", 2, &[(0, "writes_volatile")]),
    ("replace", 2, &[(0, "writes")]),
    ("swap", 2, &[(0, "writes"), (1, "writes")]),
];

/// Functions of `std::ptr` with three arguments, the last of which counts, and
/// the hook that their arguments go through.
pub const COUNTED_FUNCTIONS: &[(&str, &str)] = &[
    ("copy", "copied"),
    ("copy_nonoverlapping", "copied"),
    ("swap_nonoverlapping", "exchanged"),
    ("write_bytes", "filled"),
];

/// Methods of raw pointers with two arguments, the last of which counts:
/// whether they write, and whether the first argument is a pointer, too.
pub const COUNTED_METHODS: &[(&str, bool, bool)] = &[
    ("copy_to", false, true),
    ("copy_to_nonoverlapping", false, true),
    ("copy_from", true, true),
    ("copy_from_nonoverlapping", true, true),
    ("write_bytes", true, false),
];

/// Macros of std that run nothing but their arguments and what formats them.
pub const MACROS: &[&str] = &[
    "assert_eq",
    "assert_ne",
    "debug_assert_eq",
    "debug_assert_ne",
    "print",
    "println",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "vec",
    "panic",
    "unreachable",
    "write",
    "writeln",
];

/// Macros that are computed when the program is compiled, and those that name a
/// place.
pub const COMPUTED_MACROS: &[&str] = &[
    "concat",
    "stringify",
    "line",
    "column",
    "file",
    "module_path",
    "env",
    "include_str",
    "include_bytes",
    "option_env",
    "compile_error",
    "offset_of",
];

/// Methods that order, and call what they are given.
pub const CALLS_BACK: &[&str] = &[
    "get_or_init",
    "get_or_try_init",
    "call_once",
    "call_once_force",
    "wait_while",
    "wait_timeout_while",
    "wait_while_until",
    "wait_while_for",
    "wait_for",
    "send_modify",
    "send_if_modified",
    "run_until_cancelled",
];

/// Methods that run no code of others, on the types that are known: on others
/// they may ([`super::foreign`]).
pub const INERT_METHODS: &[&str] = &[
    "unwrap",
    "expect",
    "unwrap_or",
    "is_some",
    "is_none",
    "is_ok",
    "is_err",
    "ok",
    "err",
    "clone",
    "to_string",
    "to_owned",
    "as_str",
    "as_bytes",
    "as_ref",
    "as_mut",
    "as_ptr",
    "as_mut_ptr",
    "cast",
    "offset",
    "add",
    "sub",
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "saturating_add",
    "saturating_sub",
    "checked_add",
    "checked_sub",
    "abs",
    "pow",
    "min",
    "max",
    "is_null",
    "get_unchecked",
    "get_unchecked_mut",
    "read",
    "write",
    "read_unaligned",
    "write_unaligned",
    "replace",
    "copy_to",
    "copy_to_nonoverlapping",
    "copy_from",
    "copy_from_nonoverlapping",
    "write_bytes",
    "elapsed",
    "name",
    "borrow",
    "borrow_mut",
];
