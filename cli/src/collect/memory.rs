//! What the memory of a race is.
//!
//! The type of a heap block is told from its allocation stack: the outermost
//! function of std below the user's code that belongs to a container
//! (`Arc<T>::new`), and the type arguments that DWARF records for it.
//!
//! What it misses: the name of a local variable (the runtime knows only whose
//! stack it is), and the type of what C code or the
//! user's own allocator calls allocated.

use leakcheck::report::wire::{self, AccessOp, Pc};

use super::resolve::Resolver;
use crate::model::{FrameClass, Memory, Stack};
use crate::symbolize::function::{FunctionName, short_type, type_arguments};

/// A container of std: crate, a segment of the path, how it is written, and
/// how many type arguments of its functions are its own.
struct Container(&'static str, &'static str, &'static str, usize);

const CONTAINERS: &[Container] = &[
    Container("alloc", "Box", "Box", 1),
    Container("alloc", "Arc", "Arc", 1),
    Container("alloc", "Rc", "Rc", 1),
    Container("alloc", "String", "String", 0),
    Container("alloc", "fmt", "String", 0),
    Container("alloc", "VecDeque", "VecDeque", 1),
    Container("alloc", "BTreeMap", "BTreeMap", 2),
    Container("alloc", "BTreeSet", "BTreeSet", 1),
    Container("alloc", "LinkedList", "LinkedList", 1),
    Container("alloc", "BinaryHeap", "BinaryHeap", 1),
    Container("alloc", "Vec", "Vec", 1),
    Container("alloc", "from_elem", "Vec", 1),
    Container("alloc", "into_vec", "Vec", 1),
    Container("alloc", "to_vec", "Vec", 1),
    Container("std", "HashMap", "HashMap", 2),
    Container("std", "HashSet", "HashSet", 1),
    Container("std", "mpsc", "channel of std::sync::mpsc", 0),
    Container("std", "CString", "CString", 0),
    Container("std", "OsString", "OsString", 0),
    Container("std", "PathBuf", "PathBuf", 0),
];

/// What the memory is; `returning` is the stack of the leg that returns from
/// the function whose memory it is.
pub fn memory(
    resolver: &mut Resolver<'_>,
    memory: &wire::Memory,
    access: Option<wire::Access>,
    returning: Option<&Stack>,
) -> Memory {
    match memory {
        wire::Memory::Static { addr } => {
            let Some((variable, offset)) = resolver.variable(*addr) else {
                return Memory::Unknown;
            };
            let size = access.map_or(0, |access| access.size);
            Memory::Static {
                part: (size > 0 && size < variable.size).then_some((offset, size)),
                name: variable.name,
                ty: variable.ty,
            }
        }
        wire::Memory::Heap {
            addr,
            start,
            size,
            thread,
            stack,
        } => Memory::Heap {
            ty: allocated_type(resolver, stack),
            offset: addr.saturating_sub(*start),
            size: *size,
            thread: resolver.label(*thread),
            allocated: resolver.stack(stack),
        },
        wire::Memory::Stack { thread, .. } => Memory::Stack {
            thread: resolver.label(*thread),
            function: returning.and_then(|stack| {
                let frame = stack
                    .frames()
                    .iter()
                    .find(|f| f.class != FrameClass::Runtime)?;
                Some(frame.function.short().to_owned())
            }),
        },
        wire::Memory::ThreadLocal {
            thread, initial, ..
        } => Memory::ThreadLocal {
            thread: resolver.label(*thread),
            name: initial.and_then(|at| resolver.thread_local(at)),
        },
        wire::Memory::Mapped { .. } => Memory::Mapped,
        wire::Memory::Unknown { .. } => Memory::Unknown,
    }
}

/// The stack of the leg that ends the memory's life by a return.
pub fn returning<'a>(
    legs: impl IntoIterator<Item = (Option<wire::Access>, &'a Stack)>,
) -> Option<&'a Stack> {
    legs.into_iter()
        .find(|(access, _)| access.is_some_and(|access| access.op == AccessOp::Return))
        .map(|(_, stack)| stack)
}

/// `Arc<Slot>` from the stack that allocated it.
fn allocated_type(resolver: &mut Resolver<'_>, pcs: &[Pc]) -> Option<String> {
    let mut below: Vec<(FunctionName, Pc, usize)> = Vec::new();
    'stack: for pc in pcs {
        for (at, frame) in resolver.frames_at(*pc).into_iter().enumerate() {
            if frame.class == FrameClass::User {
                break 'stack;
            }
            below.push((frame.function, *pc, at));
        }
    }
    let (function, pc, at, container) =
        below.into_iter().rev().find_map(|(function, pc, at)| {
            let container = container_of(&function)?;
            Some((function, pc, at, container))
        })?;
    let Container(_, _, written, own) = container;
    if *own == 0 {
        return Some((*written).to_owned());
    }
    let names = resolver.generic_names(pc);
    // Both readers must agree on the inlined frames of the address.
    let name = names.get(at).filter(|name| same_function(name, &function));
    let arguments = name.map(|name| type_arguments(name)).unwrap_or_default();
    let arguments: Vec<String> = arguments.into_iter().take(*own).map(short_type).collect();
    if arguments.len() == *own {
        Some(format!("{written}<{}>", arguments.join(", ")))
    } else {
        Some((*written).to_owned())
    }
}

fn container_of(function: &FunctionName) -> Option<&'static Container> {
    let krate = function.krate();
    CONTAINERS.iter().find(|Container(of, segment, ..)| {
        *of == krate && function.path().split("::").any(|part| part == *segment)
    })
}

/// Whether a DWARF name (`new<T>`) is of a function (`alloc::sync::Arc::new`).
fn same_function(name: &str, function: &FunctionName) -> bool {
    let bare = name.split('<').next().unwrap_or(name);
    function.path().rsplit("::").next() == Some(bare)
}
