//! A frame of a call stack, and which frames a person wants to see.

use std::path::PathBuf;

use crate::symbolize::function::FunctionName;

/// Whose code a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameClass {
    /// A package of the workspace.
    User,
    /// Another package: a registry, git or vendored one, or a C library.
    Dependency,
    /// std, core, alloc, the test harness.
    Std,
    /// What starts a thread or a process: libc, the loader, the detector.
    Runtime,
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Where the file can be read, if it is on this machine.
    pub file: PathBuf,
    /// How the file is called in a report: relative to the workspace,
    /// `name-1.2.3/src/…` in a registry, `library/…` in std.
    pub shown: String,
    /// Line, from 1; 0 if the compiler gave none.
    pub line: u32,
    /// Column in bytes, from 1; 0 if the compiler gave none.
    pub column: u32,
}

impl Place {
    /// `src/lib.rs:12:5`, as far as it is known.
    pub fn text(&self) -> String {
        match (self.line, self.column) {
            (0, _) => self.shown.clone(),
            (line, 0) => format!("{}:{line}", self.shown),
            (line, column) => format!("{}:{line}:{column}", self.shown),
        }
    }
}

/// A frame of a call stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function.
    pub function: FunctionName,
    /// Where in it, if debug information tells.
    pub place: Option<Place>,
    /// Whose code it is.
    pub class: FrameClass,
    /// True if the function was inlined into the next frame.
    pub inlined: bool,
}

/// A call stack, innermost frame first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stack(pub Vec<Frame>);

/// A line of a folded stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A frame that is shown.
    Frame(&'a Frame),
    /// So many frames of others in its place.
    Hidden(usize),
}

impl Stack {
    /// A stack of these demangled names, for tests.
    #[cfg(test)]
    pub fn of_test(frames: &[(&str, FrameClass)]) -> Self {
        let frame = |&(name, class): &(&str, FrameClass)| Frame {
            function: FunctionName::from_demangled(name),
            place: None,
            class,
            inlined: false,
        };
        Self(frames.iter().map(frame).collect())
    }

    /// True if nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.0
    }

    /// The frame a person looks for first: the innermost one of the user that
    /// has a place, else of a dependency, else any.
    pub fn primary(&self) -> Option<&Frame> {
        let placed = |class: FrameClass| {
            self.0
                .iter()
                .find(move |frame| frame.class == class && frame.place.is_some())
        };
        placed(FrameClass::User)
            .or_else(|| self.0.iter().find(|frame| frame.class == FrameClass::User))
            .or_else(|| placed(FrameClass::Dependency))
            .or_else(|| placed(FrameClass::Std))
            .or_else(|| self.0.first())
    }

    /// The frames of the user, else those of dependencies, else all: what a
    /// folded stack shows and a fingerprint keeps.
    pub fn relevant(&self) -> Vec<&Frame> {
        for class in [FrameClass::User, FrameClass::Dependency] {
            let frames: Vec<&Frame> = self.0.iter().filter(|frame| frame.class == class).collect();
            if !frames.is_empty() {
                return frames;
            }
        }
        self.0.iter().collect()
    }

    /// Whether any frame is the user's.
    pub fn has_user_frame(&self) -> bool {
        self.0.iter().any(|frame| frame.class == FrameClass::User)
    }

    /// The innermost frame of a dependency that the user's code called, if the
    /// access is in there and not in the user's own frame.
    pub fn dependency_on_top(&self) -> Option<&Frame> {
        self.0
            .iter()
            .take_while(|frame| frame.class != FrameClass::User)
            .find(|frame| frame.class == FrameClass::Dependency)
    }

    /// The stack folded to [`Stack::relevant`] frames; `with_top` keeps the
    /// dependency on top, which does what the stack is about. What encloses
    /// the outermost frame is left out without a word: it is how threads and
    /// tests start. Where there is only std, its innermost frames must do.
    pub fn folded(&self, with_top: bool) -> Vec<Line<'_>> {
        let relevant = self.relevant();
        let of_package = |frame: &Frame| frame.class <= FrameClass::Dependency;
        if !self.0.iter().any(of_package) {
            let shown = relevant.len().min(NAMELESS_FRAMES);
            let mut lines: Vec<Line<'_>> = relevant[..shown]
                .iter()
                .map(|frame| Line::Frame(frame))
                .collect();
            if relevant.len() > shown {
                lines.push(Line::Hidden(relevant.len() - shown));
            }
            return lines;
        }
        let top = if with_top && self.has_user_frame() {
            self.dependency_on_top()
        } else {
            None
        };
        // They are in order: of an endless recursion there are a million.
        let mut relevant = relevant.into_iter().peekable();
        let mut shown = |frame: &Frame| {
            let is_next = relevant.next_if(|next| std::ptr::eq(*next, frame));
            is_next.is_some() || top.is_some_and(|top| std::ptr::eq(top, frame))
        };
        let mut lines = Vec::new();
        let mut hidden = 0;
        let mut started = false;
        for frame in &self.0 {
            if shown(frame) {
                if hidden > 0 && started {
                    lines.push(Line::Hidden(hidden));
                }
                hidden = 0;
                started = true;
                lines.push(Line::Frame(frame));
            } else {
                hidden += 1;
            }
        }
        lines
    }
}

/// Frames shown of a stack in which no package has one.
const NAMELESS_FRAMES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, class: FrameClass) -> Frame {
        Frame {
            function: FunctionName::from_demangled(name),
            place: Some(Place {
                file: PathBuf::from("/x.rs"),
                shown: "x.rs".to_owned(),
                line: 1,
                column: 1,
            }),
            class,
            inlined: false,
        }
    }

    fn names<'a>(lines: &[Line<'a>]) -> Vec<String> {
        lines
            .iter()
            .map(|line| match line {
                Line::Frame(frame) => frame.function.short().to_owned(),
                Line::Hidden(count) => format!("+{count}"),
            })
            .collect()
    }

    #[test]
    fn folds_to_the_users_frames() {
        use FrameClass::{Dependency, Runtime, Std, User};
        let stack = Stack(vec![
            frame("core::ptr::write", Std),
            frame("dep::push", Dependency),
            frame("dep::inner", Dependency),
            frame("bank::fill", User),
            frame("std::a", Std),
            frame("std::b", Std),
            frame("bank::main", User),
            frame("std::rt", Std),
            frame("__libc_start_main", Runtime),
        ]);
        assert_eq!(
            names(&stack.folded(true)),
            ["dep::push", "+1", "bank::fill", "+2", "bank::main"]
        );
        assert_eq!(
            names(&stack.folded(false)),
            ["bank::fill", "+2", "bank::main"]
        );
        assert_eq!(
            stack.primary().map(|f| f.function.short()),
            Some("bank::fill")
        );
    }

    #[test]
    fn falls_back_to_dependencies_then_to_all() {
        use FrameClass::{Dependency, Runtime, Std};
        let stack = Stack(vec![frame("std::a", Std), frame("dep::b", Dependency)]);
        assert_eq!(names(&stack.folded(true)), ["dep::b"]);
        let stack = Stack(vec![frame("poll", Runtime), frame("std::a", Std)]);
        assert_eq!(names(&stack.folded(true)), ["poll", "std::a"]);
        let deep = Stack(
            ["a", "b", "c", "d", "e"]
                .map(|name| frame(name, Std))
                .into(),
        );
        assert_eq!(names(&deep.folded(true)), ["a", "b", "c", "+2"]);
        assert_eq!(stack.primary().map(|f| f.function.short()), Some("std::a"));
        assert!(Stack::default().primary().is_none());
    }

    #[test]
    fn a_place_says_only_what_is_known() {
        let mut place = Place {
            file: PathBuf::from("/x.rs"),
            shown: "x.rs".to_owned(),
            line: 3,
            column: 7,
        };
        assert_eq!(place.text(), "x.rs:3:7");
        place.column = 0;
        assert_eq!(place.text(), "x.rs:3");
        place.line = 0;
        assert_eq!(place.text(), "x.rs");
    }
}
