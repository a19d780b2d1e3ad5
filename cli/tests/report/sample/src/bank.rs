//! What the snapshots show: read as text, never compiled.

static mut TOTAL: u64 = 0;
static READY: AtomicBool = AtomicBool::new(false);

pub fn deposit(amount: u64) {
    unsafe { TOTAL += amount };
}

pub fn balance() -> u64 {
    unsafe { TOTAL }
}

pub struct Slot {
    value: UnsafeCell<u32>,
}

impl Slot {
    pub fn shared() -> Arc<Self> {
        Arc::new(Self { value: UnsafeCell::new(0) })
    }

    pub fn set(&self, value: u32) {
        unsafe { *self.value.get() = value };
    }

    pub fn get(&self) -> u32 {
        unsafe { *self.value.get() }
    }
}

pub fn publish() {
    READY.store(true, Relaxed);
}

pub fn peek() -> bool {
    unsafe { *READY.as_ptr() }
}

pub fn watch() -> bool {
    unsafe { ptr::read_volatile(READY.as_ptr()) }
}

pub fn forget(slot: Box<Slot>) {
    drop(slot);
}

pub fn counted() -> JoinHandle<()> {
    let mut count = 0_u64;
    let shared = Shared(&raw mut count);
    thread::spawn(move || unsafe { *{ shared }.0 += 1 })
}

pub fn transfer(from: &Account, to: &Account, amount: u64) {
    let mut from = from.balance.lock().unwrap();
    let mut to = to.balance.lock().unwrap();
    *from -= amount;
    *to += amount;
}

pub fn twice(account: &Account) {
    let first = account.balance.lock().unwrap();
    let second = account.balance.lock().unwrap();
}

pub fn recurse(depth: u64) -> u64 {
    recurse(depth + 1) + 1
}

pub fn push(queue: &Worker<u64>) {
    queue.push(7);
}

pub fn steal(queue: &Stealer<u64>) {
    queue.steal();
}
