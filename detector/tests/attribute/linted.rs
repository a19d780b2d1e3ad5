//! Code that lints have something to say of; compiled with the attribute and without.

#[ATTRIBUTE]
mod all {
    use std::cell::UnsafeCell;
    use std::sync::{Arc, Mutex, mpsc};
    use std::thread;

    static mut COUNT: u32 = 0;

    fn may_fail() -> Result<u32, String> {
        Ok(1)
    }

    #[must_use]
    fn important() -> u32 {
        2
    }

    async fn later() {}

    fn must_use_call() {
        may_fail();
        important();
        later();
    }

    fn must_use_block() {
        {
            may_fail()
        };
        if important() > 1 { may_fail() } else { may_fail() };
        unsafe { std::ptr::read(&raw const COUNT) };
        match important() {
            1 => may_fail(),
            _ => may_fail(),
        };
    }

    fn must_use_values(x: u32, list: &[u32]) {
        x + 1;
        x == 2;
        !x;
        list.iter().map(|n| n + 1);
        || x;
        &x;
        list.len();
        x.wrapping_add(1);
    }

    fn must_use_spawn() {
        thread::Builder::new().spawn(|| ());
        Box::new(1);
        Mutex::new(1).lock();
        Mutex::new(1).try_lock();
        let (sender, receiver) = mpsc::channel::<u32>();
        sender.send(1);
        receiver.recv();
    }

    fn unused_variable() {
        let unused = important();
        let mut never_mutated = important();
        let (left, right) = (1, 2);
        let _ = never_mutated + left;
        if let Some(inner) = Some(3) {}
        match Some(4) {
            Some(number) => {}
            None => {}
        }
        for item in 0..3 {}
        let closure = |argument: u32| 1;
        closure(1);
    }

    fn unused_assignment() -> u32 {
        let mut value = 1;
        value = 2;
        let mut other = important();
        other = 3;
        other = 4;
        value = other;
        value
    }

    fn never_read() {
        let mut value = important();
        value = 3;
        value += 1;
    }

    fn unused_mut(mut argument: u32, mut other: Vec<u32>) -> u32 {
        let mut text = String::new();
        let mut guard = Mutex::new(1);
        argument + text.len() as u32 + other.len() as u32
    }

    fn captured() {
        let mut count = 0;
        let mut add = move || count += 1;
        add();
        let lock = Arc::new(Mutex::new(0));
        let copy = Arc::clone(&lock);
        let unused_handle = thread::spawn(move || {
            let inner = copy.lock();
        });
    }

    fn parentheses(x: u32) -> u32 {
        if (x == 1) {
            return (x);
        }
        while (x == 2) {}
        let y = (x + 1);
        let z = { y };
        for _ in (0..z) {}
        match (x) {
            _ => {}
        }
        important();
        (z)
    }

    fn braces() -> u32 {
        let x = unsafe { 1 };
        unsafe { important() };
        let y = { x };
        y
    }

    fn unreachable() -> u32 {
        return 1;
        important()
    }

    fn unreachable_after_panic() {
        panic!("here");
        let x = 1;
    }

    fn unreachable_arm(x: u32) -> u32 {
        match x {
            _ => 1,
            2 => 3,
        }
    }

    fn loops() {
        while true {
            break;
        }
        'unused: loop {
            break;
        }
    }

    fn references() {
        unsafe {
            let a = &COUNT;
            let b = &mut COUNT;
            *b = *a;
        }
    }

    fn names(BadName: u32) -> u32 {
        let AlsoBad = BadName;
        AlsoBad
    }

    fn drops(x: &u32, y: u32) {
        drop(x);
        drop(y);
        std::mem::forget(x);
        let _ = Mutex::new(1).lock();
        let _ = Mutex::new(2).lock().unwrap();
    }

    fn compares(x: u8, f: f32) -> bool {
        x >= 0 && f == f32::NAN && x < 255 as u8 && 300 > x as u16
    }

    fn overflows() -> u8 {
        let list = [1, 2];
        list[0]
    }

    fn redundant(x: u32) -> u32 {
        ;
        let x: u32 = x;
        x;;
        x
    }

    fn formats() {
        let name = 1;
        println!("{}", name);
        format!("{name}");
    }

    fn pointers(cell: &UnsafeCell<u32>) {
        unsafe {
            *cell.get() + 1;
            *cell.get();
            cell.get().read();
            let got = *cell.get();
        }
    }

    fn recursion() {
        recursion()
    }

    fn shadow_import() {
        use std::thread;
        use std::collections::HashMap;
        thread::yield_now();
    }

    fn clone_ref(x: &&u32) {
        struct NotClone;
        let a = &NotClone;
        let b = a.clone();
    }

    #[expect(unused_variables)]
    fn expected_here() {
        let unused = 1;
    }

    fn expected_inside() {
        #[expect(unused_variables)]
        let unused = 1;
        #[expect(unused_must_use)]
        {
            may_fail();
        }
        #[expect(unused_must_use)]
        may_fail();
        #[expect(unused_parens)]
        let y = (1);
        #[expect(unused_assignments)]
        let mut z = 1;
        z = 2;
        let _ = z + y;
    }

    #[expect(unused_assignments)]
    fn expected_assignment() -> u32 {
        let mut z = 1;
        z = 2;
        z
    }

    #[expect(unused_must_use)]
    fn expected_block() {
        {
            may_fail()
        };
    }

    #[expect(unused_variables)]
    fn not_fulfilled() {}

    fn deprecated_use() {
        old();
        let _ = std::sync::ONCE_INIT;
    }

    #[deprecated]
    fn old() {}

    fn never() -> ! {
        loop {}
        println!("x");
    }

    fn die() -> ! {
        std::process::exit(1);
    }

    fn ends_by_dying(x: u32) {
        if x == 1 {
            die();
        }
        if x == 2 {
            unsafe { COUNT = 1 };
            std::process::abort();
        }
        if x == 3 {
            std::panic::panic_any(1);
        }
        if x == 5 {
            std::process::exit({ die() });
        }
        match x {
            7 => die(),
            8 => {
                die();
            }
            _ => unsafe {
                COUNT += 2;
                die();
            },
        }
    }

    fn ends_in_a_loop(lock: &Mutex<u32>) -> ! {
        loop {
            *lock.lock().unwrap() += 1;
            thread::park();
        }
    }

    fn ends_in_a_loop_with(lock: &Mutex<u32>) {
        loop {
            *lock.lock().unwrap() += 1;
        };
    }

    fn diverges_in_an_argument(lock: &Mutex<u32>) -> u32 {
        *lock.lock().unwrap() = die();
        1
    }

    fn diverges_in_a_let(lock: &Mutex<u32>) {
        let _held = lock.lock().unwrap();
        let _x = die();
    }

    fn continues(list: &[u32]) {
        for _ in list {
            if list.len() == 1 {
                unsafe { COUNT = 1 };
                continue;
            }
            unsafe { COUNT = 2 };
            return;
        }
        'outer: for _ in list {
            loop {
                thread::yield_now();
                break 'outer;
            }
        }
    }

    fn labels() -> u32 {
        let x = loop {
            break 1;
            important();
        };
        x
    }

    fn future_dropped() {
        let _ = later();
        async { 1 };
    }

    fn transmute(x: &u32) -> usize {
        let _ = unsafe { std::mem::transmute::<u32, f32>(*x) };
        0
    }

    impl Thing {
        fn method(&mut self, unused: u32) {
            let x = self.field;
            self.field = 1;
            self.compute();
        }
        #[must_use]
        fn compute(&self) -> u32 {
            self.field
        }
    }

    struct Thing {
        field: u32,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Twice(u32);

    impl PartialOrd for Twice {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Twice {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }

    #[derive(Copy)]
    struct Once(u32);

    impl Clone for Once {
        fn clone(&self) -> Self {
            *self
        }
    }

    fn items_first(list: &mut [u32]) -> Option<u32> {
        use std::mem;
        const LAST: usize = 1;
        fn inner(x: u32) -> u32 {
            x
        }
        debug_assert!(inner(mem::take(&mut list[LAST])) == 0);
        list.first().copied().or(Some(important()))
    }
}
