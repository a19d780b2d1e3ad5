//! What tracked code says of memory: the names of static variables, and the
//! field that a thread is about to access.
//!
//! A field is remembered for one access only, as the thread's latest: memory
//! is used again for something else, a name must not outlive that. The reader
//! compares the place of the access with the one that was told.
//!
//! What it misses: a field where the later of two accesses is in code without
//! the attribute.

use std::cell::Cell;
use std::ptr::null;

use super::kernel;
use crate::hooks::table::{Field, Text};
use crate::report::wire::{Memory, Said};
use crate::rt::lock::Spin;

/// A static variable with a name.
struct Variable {
    addr: usize,
    size: usize,
    name: String,
}

static VARIABLES: Spin<Vec<Variable>> = Spin::new(Vec::new());

/// The longest name that is read back.
const LONGEST: usize = 1024;

const NO_TEXT: Text = Text {
    start: null(),
    len: 0,
};

thread_local! {
    /// The field that this thread has told of last.
    static LATEST: Cell<Field> = const {
        Cell::new(Field {
            addr: 0,
            size: 0,
            owner: NO_TEXT,
            name: NO_TEXT,
            field: NO_TEXT,
            file: NO_TEXT,
            line: 0,
        })
    };
}

/// A copy of the program's text; nothing if it is not there any more.
fn read(text: Text) -> Option<String> {
    if text.len == 0 {
        return None;
    }
    let mut bytes = vec![0; text.len.min(LONGEST)];
    let read = kernel::read_memory(text.start.addr(), &mut bytes);
    read.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// A static variable has a name.
pub fn variable_named(addr: usize, size: usize, name: Text) {
    if let Some(name) = read(name) {
        VARIABLES.lock().push(Variable { addr, size, name });
    }
}

/// The calling thread is about to access a field.
pub fn field_accessed(field: Field) {
    LATEST.set(field);
}

/// What is said of the memory at `addr`, which the calling thread accesses.
pub fn of(memory: &Memory, addr: usize) -> Option<Said> {
    let is_in = |first: usize, size: usize| addr.wrapping_sub(first) < size;
    if matches!(memory, Memory::Static { .. }) {
        let variables = VARIABLES.lock();
        let variable = variables.iter().find(|it| is_in(it.addr, it.size));
        if let Some(variable) = variable {
            return Some(Said::Variable {
                name: variable.name.clone(),
            });
        }
    }
    let latest = LATEST.get();
    if !is_in(latest.addr, latest.size) {
        return None;
    }
    Some(Said::Field {
        owner: read(latest.owner)?,
        name: read(latest.name),
        field: read(latest.field)?,
        file: read(latest.file)?,
        line: latest.line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &'static str) -> Text {
        Text {
            start: of.as_ptr(),
            len: of.len(),
        }
    }

    #[test]
    fn a_variable_is_known_by_each_of_its_bytes() {
        variable_named(0x7000_0000, 8, text("hits"));
        let at = |addr: usize| of(&Memory::Static { addr: addr as u64 }, addr);
        let name = "hits".to_owned();
        assert_eq!(at(0x7000_0007), Some(Said::Variable { name }));
        assert_eq!(at(0x7000_0008), None);
        assert_eq!(at(0x6fff_ffff), None);
    }

    #[test]
    fn the_latest_field_is_known() {
        let field = |addr, name| Field {
            addr,
            size: 4,
            owner: text("bank::Slots"),
            name,
            field: text("used"),
            file: text("src/bank.rs"),
            line: 3,
        };
        field_accessed(field(0x1000, NO_TEXT));
        field_accessed(field(0x2000, text("slot table")));
        let at = |addr: usize| of(&Memory::Mapped { addr: addr as u64 }, addr);
        assert_eq!(at(0x1000), None);
        let said = Said::Field {
            owner: "bank::Slots".to_owned(),
            name: Some("slot table".to_owned()),
            field: "used".to_owned(),
            file: "src/bank.rs".to_owned(),
            line: 3,
        };
        assert_eq!(at(0x2003), Some(said));
    }
}
