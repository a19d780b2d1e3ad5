//! What the snapshots show: read as text, never compiled.

pub fn start() -> Poller {
    let handle = thread::Builder::new().name("poller".into()).spawn(run);
    Poller { handle }
}

fn run() {
    let guard = STATE.lock();
    let read = TABLE.read();
    let write = TABLE.write();
    let ready = CHANGED.wait(guard);
    thread::park();
    let message = inbox.recv();
    let result = other.join();
    thread::sleep(Duration::from_secs(60));
    let length = socket.read(&mut buffer);
    hand_made_wait(&word);
    loop { step(); }
}

fn closing(handles: Handles) {
    let guard = STATE.lock();
    handles.worker.join();
}

#[test]
fn drains() {
    let pair = two();
    pair.left.join();
    pair.right.join();
    deposit(1);
    balance();
}
