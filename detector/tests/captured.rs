//! What closures capture of what a reference leads to, while another part of it is in
//! use.

#[leakcheck::track]
mod by_parts {
    use std::sync::Mutex;
    use std::thread;

    pub struct Words {
        pub all: Vec<String>,
        pub seen: Seen,
    }

    pub struct Seen {
        pub count: usize,
        pub lengths: Vec<usize>,
        pub last: Mutex<usize>,
    }

    pub fn methods(words: &mut Words) {
        let all = &mut words.all;
        let count = || words.seen.lengths.len() + words.seen.lengths[0];
        all.push(count().to_string());
    }

    pub fn fields(words: &mut Words) {
        let all = &mut words.all;
        let mut count = || words.seen.count += 1;
        count();
        all.clear();
    }

    pub fn of_a_local(words: &mut Words) {
        let local = &mut *words;
        let all = &mut local.all;
        let count = || *local.seen.last.lock().unwrap() += 1;
        count();
        all.push(String::new());
    }

    pub fn of_a_pattern(many: &mut [Words]) {
        for words in many.iter_mut() {
            let lengths = &mut words.seen.lengths;
            lengths.retain(|length| *length > words.seen.count);
        }
    }

    pub fn dereferenced(words: &mut Words) {
        let all = &mut words.all;
        let mut count = || {
            // SAFETY: it points to a field that is borrowed for that.
            unsafe {
                let count: *mut usize = &mut (*words).seen.count;
                *count += 1;
            }
        };
        count();
        all.push(String::new());
    }

    pub struct Borrowed<'t> {
        pub text: &'t str,
        pub out: &'t Mutex<Vec<usize>>,
    }

    pub fn returned<'t>(borrowed: Borrowed<'t>) -> impl Fn() -> usize + 't {
        || borrowed.text.len() + borrowed.out.lock().unwrap().len()
    }

    pub fn made<'t>(text: &'t str, out: &'t Mutex<Vec<usize>>) -> impl Fn() -> usize + 't {
        let borrowed = Borrowed { text, out };
        || borrowed.text.len() + borrowed.out.lock().unwrap().len()
    }

    pub struct Pushes<'t> {
        pub lengths: &'t mut Vec<usize>,
    }

    pub fn pushes<'t>(pushes: Pushes<'t>) -> impl FnMut(usize) -> usize + 't {
        |length| {
            pushes.lengths.push(length);
            pushes.lengths.len()
        }
    }

    pub fn pushes_all<'t>(all: Vec<Pushes<'t>>) -> Vec<Box<dyn FnMut(usize) + 't>> {
        let mut each: Vec<Box<dyn FnMut(usize) + 't>> = Vec::new();
        for pushes in all {
            each.push(Box::new(|length| pushes.lengths.push(length)));
        }
        each
    }

    pub fn shared(many: Vec<Borrowed<'_>>) {
        thread::scope(|scope| {
            for borrowed in many {
                scope.spawn(|| borrowed.out.lock().unwrap().push(borrowed.text.len()));
            }
        });
    }
}

#[test]
fn closures_may_use_a_part_behind_a_reference() {
    use by_parts::{Borrowed, Pushes, Seen, Words};
    let seen = Seen {
        count: 1,
        lengths: vec![4, 1],
        last: std::sync::Mutex::new(0),
    };
    let all = Vec::new();
    let mut words = [Words { all, seen }];
    by_parts::fields(&mut words[0]);
    by_parts::methods(&mut words[0]);
    by_parts::of_a_local(&mut words[0]);
    by_parts::of_a_pattern(&mut words);
    by_parts::dereferenced(&mut words[0]);
    assert_eq!(words[0].all, ["6", "", ""]);
    assert_eq!(
        (words[0].seen.count, &*words[0].seen.lengths),
        (3, &[4][..])
    );
    let out = std::sync::Mutex::new(Vec::new());
    let borrowed = |text| Borrowed { text, out: &out };
    by_parts::shared(vec![borrowed("four"), borrowed("four")]);
    assert_eq!(by_parts::returned(borrowed("two"))(), 5);
    assert_eq!(by_parts::made("two", &out)(), 5);
    let mut lengths = vec![1];
    let pushes = Pushes {
        lengths: &mut lengths,
    };
    assert_eq!(by_parts::pushes(pushes)(2), 2);
    let pushes = Pushes {
        lengths: &mut lengths,
    };
    by_parts::pushes_all(vec![pushes])[0](3);
    assert_eq!(lengths, [1, 2, 3]);
}
