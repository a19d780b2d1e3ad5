//! What a task awaits: a tree of calls, with a branch for each future that a
//! `join!`, a `select!` or a set of futures awaits at the same time.

use super::frame::{Frame, FrameClass, Place, Stack};

/// A call of what a task awaits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Await {
    /// The function, without type arguments.
    pub function: String,
    /// Where it awaits what is inside.
    pub place: Option<Place>,
    /// Milliseconds for which the task has been there, if that is known.
    pub for_ms: Option<u64>,
    /// What it awaits there, the latest first; a call of a library awaits what
    /// its own code does.
    pub inner: Vec<Self>,
}

impl Await {
    fn of(frame: &Frame, for_ms: Option<u64>) -> Self {
        let name = frame.function.short();
        Self {
            function: match frame.class {
                FrameClass::User => name.to_owned(),
                // The body of an async function is no place of the user's.
                FrameClass::Dependency | FrameClass::Std | FrameClass::Runtime => {
                    name.trim_end_matches("::{closure}").to_owned()
                }
            },
            place: frame.place.clone(),
            for_ms,
            inner: Vec::new(),
        }
    }

    fn is_at(&self, other: &Self) -> bool {
        self.function == other.function && self.place == other.place
    }
}

/// The tree of several stacks, each with the milliseconds of its frames.
pub fn tree(stacks: &[(Stack, Vec<Option<u64>>)]) -> Vec<Await> {
    let mut roots = Vec::new();
    for (stack, times) in stacks {
        add(&mut roots, shown(stack, times));
    }
    roots
}

/// The calls that a person looks for, outermost first: the user's own, and the one
/// of a library that the innermost of them awaits.
fn shown(stack: &Stack, times: &[Option<u64>]) -> Vec<Await> {
    let frames = stack.frames();
    let class = match stack.has_user_frame() {
        true => FrameClass::User,
        false => FrameClass::Dependency,
    };
    let innermost = frames.iter().position(|frame| frame.class == class);
    let api = frames[..innermost.unwrap_or(0)]
        .iter()
        .rposition(|frame| frame.class == FrameClass::Dependency);
    let mut last: Option<&Frame> = None;
    let mut calls = Vec::new();
    for (at, frame) in frames.iter().enumerate().rev() {
        let again = last.is_some_and(|last| last.function == frame.function && last == frame);
        if (frame.class == class || Some(at) == api) && !again {
            calls.push(Await::of(frame, times.get(at).copied().flatten()));
            last = Some(frame);
        }
    }
    calls
}

fn add(into: &mut Vec<Await>, calls: Vec<Await>) {
    let mut level = into;
    for call in calls {
        let at = match level.iter().position(|known| known.is_at(&call)) {
            Some(at) => at,
            None => {
                level.push(call);
                level.len() - 1
            }
        };
        level = &mut level[at].inner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tree: &[Await]) -> String {
        let all = tree.iter().map(|call| match call.inner.is_empty() {
            true => call.function.clone(),
            false => format!("{}({})", call.function, names(&call.inner)),
        });
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn branches_part_where_their_stacks_do() {
        use FrameClass::{Dependency, Std, User};
        let outer = [("bank::select", User), ("bank::serve", User)];
        let stack = |inner: &[(&'static str, FrameClass)]| {
            let all = [inner, &outer].concat();
            (Stack::of_test(&all), vec![Some(1); all.len()])
        };
        let stacks = [
            stack(&[
                ("dep::Acquire::poll", Dependency),
                ("dep::Sender::send::{closure}", Dependency),
                ("core::pin::poll", Std),
                ("bank::pay", User),
            ]),
            stack(&[("dep::Receiver::recv", Dependency)]),
        ];
        let tree = tree(&stacks);
        assert_eq!(
            names(&tree),
            "bank::serve(bank::select(bank::pay(dep::Sender::send) dep::Receiver::recv))"
        );
        assert_eq!(tree[0].for_ms, Some(1));
    }

    #[test]
    fn a_librarys_own_task_shows_the_library() {
        let stack = Stack::of_test(&[
            ("core::poll", FrameClass::Std),
            ("dep::inner", FrameClass::Dependency),
            ("dep::outer", FrameClass::Dependency),
        ]);
        assert_eq!(
            names(&tree(&[(stack, Vec::new())])),
            "dep::outer(dep::inner)"
        );
    }
}
