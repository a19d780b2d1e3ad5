//! A snapshot of a live service: asked for by a signal or by the program
//! itself, and the service goes on.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use leakcheck_tests::command::{Workshop, repository};
use leakcheck_tests::redaction::filters;

/// The service under the real command.
struct Service {
    child: Child,
    /// Lines that the command writes for people.
    said: Lines<BufReader<ChildStderr>>,
    /// The process of the service, as it says itself.
    pid: String,
}

impl Service {
    /// Starts it, and returns once it waits.
    fn start(options: &[&str], mode: &str) -> Self {
        let workshop = Workshop::new(
            env!("CARGO_BIN_EXE_leakcheck-under-test"),
            env!("CARGO_TARGET_TMPDIR"),
        );
        let mut words = vec!["run", "--quiet"];
        words.extend(options);
        words.extend(["--", mode, "5"]);
        let mut command = workshop.call("live", &words).into_command();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        let numbers = BufReader::new(stdout).lines();
        let pid = numbers
            .map(Result::unwrap)
            .find(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()))
            .expect("the service says its number");
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said, pid }
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// The next snapshot that is shown: up to its last line, an empty one after
    /// the last of the tasks.
    fn next(&mut self) -> String {
        let mut snapshot = String::new();
        let mut tasks = false;
        for line in self.said.by_ref() {
            let line = line.unwrap();
            if snapshot.is_empty() && !line.starts_with("snapshot of ") {
                continue;
            }
            tasks |= line.contains("task `");
            if tasks && line.is_empty() {
                return snapshot;
            }
            snapshot.push_str(&line);
            snapshot.push('\n');
        }
        panic!("the command ended: {snapshot}");
    }

    /// What the next snapshot that is shown says before the threads, of which the main
    /// thread is the first.
    fn next_head(&mut self) -> String {
        let mut head = String::new();
        for line in self.said.by_ref() {
            let line = line.unwrap();
            if head.is_empty() && !line.starts_with("snapshot of ") {
                continue;
            }
            if line.starts_with("the main thread ") {
                return head;
            }
            head.push_str(&line);
            head.push('\n');
        }
        panic!("the command ended: {head}");
    }

    /// What a snapshot says of a cycle, once there is one.
    fn until_cycle(&mut self) -> String {
        let mut last = String::new();
        for _ in 0..10_000 {
            self.send("QUIT");
            last = self.next_head();
            if last.contains("owner → waiter") {
                return last;
            }
        }
        panic!("there is no cycle: {last}");
    }

    /// A snapshot in which both threads wait: they say that they are about to, no
    /// more.
    fn until_all_wait(&mut self, signal: &str) -> String {
        let mut last = String::new();
        for _ in 0..10_000 {
            self.send(signal);
            last = self.next();
            let both = [
                "the main thread waits for",
                "thread `writer` waits for lock",
            ];
            if both.iter().all(|wait| last.contains(wait)) {
                return last;
            }
        }
        panic!("the other thread never waits: {last}");
    }

    /// Lets it end by itself, in success.
    fn end(self) {
        let (code, rest) = self.ended();
        assert_eq!(code, Some(0), "{rest}");
    }

    /// Lets it end by itself: the exit code, and what the command says.
    fn ended(mut self) -> (Option<i32>, String) {
        self.child
            .stdin
            .take()
            .unwrap()
            .write_all(b"end\n")
            .unwrap();
        let rest: Vec<String> = self.said.map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        (status.code(), rest.join("\n"))
    }
}

#[track_caller]
fn check(name: &str, options: &[&str], signal: &str) {
    let mut service = Service::start(options, "serve");
    let snapshot = service.until_all_wait(signal);
    let filters = filters(&repository());
    // A wait that has just begun has no time.
    let first = (r", for (up to )?\d+ ms", "");
    let filters = filters.iter().map(|(from, to)| (&**from, &**to));
    let filters: Vec<(&str, &str)> = std::iter::once(first).chain(filters).collect();
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(name, snapshot);
    });
    service.end();
}

/// In this mode a snapshot names a cycle, and the service ends with this code.
#[track_caller]
fn check_cycle(mode: &str, options: &[&str], code: i32) {
    let mut service = Service::start(options, mode);
    let cycle = service.until_cycle();
    let filters = filters(&repository());
    let filters = filters.iter().map(|(from, to)| (&**from, &**to));
    let filters: Vec<(&str, &str)> = filters.chain([(r" #\d+", " #N")]).collect();
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(mode.replace('-', "_"), cycle);
    });
    let (ended, rest) = service.ended();
    assert_eq!(ended, Some(code), "{rest}");
}

#[test]
fn tasks_that_wait_for_each_other() {
    for options in [&[][..], &["--no-races"]] {
        check_cycle("cycle-of-tasks", options, 0);
        check_cycle("cycle-of-tasks-on-workers", options, 0);
    }
}

/// Who has std's lock is known only where all is instrumented.
#[test]
fn a_task_and_threads_that_wait_for_each_other() {
    check_cycle("cycle-with-a-thread", &[], 0);
}

#[test]
fn threads_that_never_go_on() {
    check_cycle("cycle-of-threads", &[], 66);
}

#[test]
fn who_waits_in_one_order_is_in_no_cycle() {
    for options in [&[][..], &["--no-races"]] {
        let mut service = Service::start(options, "one-order");
        for _ in 0..20 {
            service.send("QUIT");
            let head = service.next_head();
            assert!(!head.contains("owner → waiter"), "{head}");
        }
        service.end();
    }
}

/// A signal may come in the middle of anything that the runtime does.
#[test]
fn tasks_come_and_go_meanwhile() {
    let mut service = Service::start(&["--no-races"], "come-and-go");
    for _ in 0..500 {
        service.send("QUIT");
        service.next_head();
    }
    service.end();
}

/// Others wait for who asks, and for each other.
#[test]
fn a_task_asks() {
    for options in [&[][..], &["--no-races"]] {
        let mut service = Service::start(options, "cycle-and-ask");
        for _ in 0..20 {
            service.next_head();
        }
        service.until_cycle();
        service.end();
    }
}

#[test]
fn a_signal_asks_for_it() {
    check("instrumented", &[], "QUIT");
}

#[test]
fn leaks_alone() {
    check("leaks_alone", &["--no-races"], "QUIT");
}

#[test]
fn another_signal_asks_for_it() {
    let mut service = Service::start(&["--no-races", "--snapshot-signal", "usr1"], "serve");
    let snapshot = service.until_all_wait("USR1");
    assert!(snapshot.contains("5 tasks"), "{snapshot}");
    service.end();
}

#[test]
fn the_program_asks_itself() {
    let mut service = Service::start(&["--no-races"], "serve-and-ask");
    let snapshot = service.next();
    assert!(snapshot.contains("fixture_live::serve"), "{snapshot}");
    assert!(snapshot.contains("5 tasks"), "{snapshot}");
    service.end();
}

#[test]
fn what_is_left_is_told_at_the_end() {
    for options in [&[][..], &["--no-races"]] {
        let mut service = Service::start(options, "serve-and-leave");
        let snapshot = service.until_all_wait("QUIT");
        assert!(snapshot.contains("6 tasks"), "{snapshot}");
        let (code, rest) = service.ended();
        assert_eq!(code, Some(66), "{rest}");
        assert_eq!(rest.matches("error[LC0007]").count(), 1, "{rest}");
        assert!(rest.contains("fixture_live::serve_and_leave"), "{rest}");
    }
}

#[test]
fn a_test_asks_itself() {
    let workshop = Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    );
    for options in [&[][..], &["--no-races"]] {
        let ended = workshop.test("live", options).run();
        ended.assert_code(0);
        let told = &ended.stderr;
        let head = "snapshot of `fixture-live::bin/fixture-live tests::asks_for_a_snapshot`";
        assert!(told.contains(head), "{told}");
        let tasks = told.matches("task `fixture_live::worker` waits for a message");
        assert_eq!(tasks.count(), 2, "{told}");
    }
}
