//! What is spawned: a future or a function, by its type ([`super::probe`]).
//!
//! A tracked future has a type of its own. Where the callee may take just one
//! type, a boxed future is boxed again, and another that can be moved, whose
//! type has a name, is left as it is. The future of an async block or function
//! has no name and cannot be moved: who takes it takes any.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use super::coverage::left_by_type;
use super::hooks::opaque;
use super::hooks::spawn::{function as spawned, task};
use super::probe::Other;
use super::site::Site;
use super::task::Tracked;

/// A boxed function?
pub struct Boxed<'a, T: ?Sized>(Callable<'a, T>);
/// A function?
pub struct Callable<'a, T: ?Sized>(&'a T, Other);
/// A boxed future of a named type?
pub struct Argument<'a, T: ?Sized>(Movable<'a, T>);
/// A future that can be moved?
pub struct Movable<'a, T: ?Sized>(Fixed<'a, T>);
/// A future at all?
pub struct Fixed<'a, T: ?Sized>(&'a T, Other);

impl<'a, T: ?Sized> Argument<'a, T> {
    /// Asks about `value`, of a callee that may take anything.
    pub const fn new(value: &'a T) -> Self {
        Self(Movable(Fixed(value, Other)))
    }

    /// Asks about `value`, of a callee that takes any future or function.
    pub const fn of_any(value: &'a T) -> Fixed<'a, T> {
        Fixed(value, Other)
    }
}

impl<'a, T: ?Sized> Argument<'a, T> {
    /// Asks about `value`, of a callee that takes a function.
    pub const fn of_function(value: &'a T) -> Boxed<'a, T> {
        Boxed(Callable(value, Other))
    }
}

impl<'f, T> Boxed<'_, Box<dyn FnOnce() -> T + Send + 'f>> {
    /// A boxed function that threads may share.
    pub const fn kind(&self) -> IsSharedFunction {
        IsSharedFunction
    }
}

impl<'a, T: ?Sized> Deref for Boxed<'a, T> {
    type Target = Callable<'a, T>;

    fn deref(&self) -> &Callable<'a, T> {
        &self.0
    }
}

impl<T, F: FnOnce() -> T> Callable<'_, F> {
    /// A function.
    pub const fn kind(&self) -> IsFunction {
        IsFunction
    }
}

impl<T: ?Sized> Deref for Callable<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl<'f, O> Argument<'_, Pin<Box<dyn Future<Output = O> + Send + 'f>>> {
    /// A boxed future that threads may share.
    pub const fn kind(&self) -> IsShared {
        IsShared
    }
}

impl<'f, O> Argument<'_, Pin<Box<dyn Future<Output = O> + 'f>>> {
    /// A boxed future.
    pub const fn kind(&self) -> IsBoxed {
        IsBoxed
    }
}

impl<T: Future + Unpin> Movable<'_, T> {
    /// A future whose type may have a name.
    pub const fn kind(&self) -> IsNamed {
        IsNamed
    }
}

impl<T: Future> Fixed<'_, T> {
    /// A future.
    pub const fn kind(&self) -> IsFuture {
        IsFuture
    }
}

impl Other {
    /// Something else, which is left as it is.
    pub const fn kind(&self) -> IsOther {
        IsOther
    }
}

impl<'a, T: ?Sized> Deref for Argument<'a, T> {
    type Target = Movable<'a, T>;

    fn deref(&self) -> &Movable<'a, T> {
        &self.0
    }
}

impl<'a, T: ?Sized> Deref for Movable<'a, T> {
    type Target = Fixed<'a, T>;

    fn deref(&self) -> &Fixed<'a, T> {
        &self.0
    }
}

impl<T: ?Sized> Deref for Fixed<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

/// The argument is a function.
#[derive(Debug, Clone, Copy)]
pub struct IsFunction;

impl IsFunction {
    /// The function, tracked.
    pub fn spawn<T, F: FnOnce() -> T>(
        self,
        site: &'static Site,
        function: F,
    ) -> impl FnOnce() -> T + use<T, F> {
        spawned(site, function)
    }
}

/// The argument is a boxed function that threads may share.
#[derive(Debug, Clone, Copy)]
pub struct IsSharedFunction;

impl IsSharedFunction {
    /// The function, tracked and boxed.
    pub fn spawn<'f, T: 'f>(
        self,
        site: &'static Site,
        function: Box<dyn FnOnce() -> T + Send + 'f>,
    ) -> Box<dyn FnOnce() -> T + Send + 'f> {
        Box::new(spawned(site, function))
    }
}

/// The argument is a future.
#[derive(Debug, Clone, Copy)]
pub struct IsFuture;

impl IsFuture {
    /// The future, tracked.
    pub fn spawn<F: Future>(self, site: &'static Site, future: F) -> Tracked<F> {
        task(site, future)
    }
}

/// The argument is a boxed future.
#[derive(Debug, Clone, Copy)]
pub struct IsBoxed;

impl IsBoxed {
    /// The future, tracked and boxed.
    pub fn spawn<'f, O: 'f>(
        self,
        site: &'static Site,
        future: Pin<Box<dyn Future<Output = O> + 'f>>,
    ) -> Pin<Box<dyn Future<Output = O> + 'f>> {
        Box::pin(task(site, future))
    }
}

/// The argument is a boxed future that threads may share.
#[derive(Debug, Clone, Copy)]
pub struct IsShared;

impl IsShared {
    /// The future, tracked and boxed.
    pub fn spawn<'f, O: 'f>(
        self,
        site: &'static Site,
        future: Pin<Box<dyn Future<Output = O> + Send + 'f>>,
    ) -> Pin<Box<dyn Future<Output = O> + Send + 'f>> {
        Box::pin(task(site, future))
    }
}

/// The argument is a future whose type may have a name.
#[derive(Debug, Clone, Copy)]
pub struct IsNamed;

impl IsNamed {
    /// As it is.
    pub fn spawn<F: Future>(self, site: &'static Site, future: F) -> F {
        const WHY: &str = "a future whose type has a name: who takes it may take that type alone";
        left_by_type(site, WHY);
        opaque();
        future
    }
}

/// The argument is none.
#[derive(Debug, Clone, Copy)]
pub struct IsOther;

impl IsOther {
    /// As it is.
    pub fn spawn<T>(self, _site: &'static Site, argument: T) -> T {
        opaque();
        argument
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use super::*;

    const SITE: &Site = &Site::new("argument.rs", 1, 1, "tests", "spawn");

    fn takes_boxed(_: Pin<Box<dyn Future<Output = u8> + Send>>) {}
    fn takes_ready(_: Ready<u8>) {}
    fn takes_any<F: Future<Output = u8>>(_: &F) -> &'static str {
        std::any::type_name::<F>()
    }

    #[test]
    fn an_argument_keeps_the_type_that_a_callee_may_name() {
        let boxed: Pin<Box<dyn Future<Output = u8> + Send>> = Box::pin(async { 1 });
        takes_boxed(Argument::new(&boxed).kind().spawn(SITE, boxed));
        let movable = ready(1);
        takes_ready(Argument::new(&movable).kind().spawn(SITE, movable));
        let function = || 1;
        assert_eq!(Argument::new(&function).kind().spawn(SITE, function)(), 1);
    }

    #[test]
    fn a_future_without_a_name_is_tracked() {
        async fn work() -> u8 {
            1
        }
        let future = work();
        let tracked = Argument::new(&future).kind().spawn(SITE, future);
        assert!(takes_any(&tracked).contains("Tracked<"));
        let movable = ready(1);
        let tracked = Argument::of_any(&movable).kind().spawn(SITE, movable);
        assert!(takes_any(&tracked).contains("Tracked<"));
    }
}
