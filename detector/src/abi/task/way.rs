//! Tasks that let others go first, where other schedules are to be seen: the
//! hook that executors call, for [`crate::ways`].

use super::super::edge::tracked;
use super::super::pause;
use super::polled;
use super::record::Origin;
use crate::hooks::table::{GIVES_WAY, GOES_ON, UNEXPLORED, WAIT};
use crate::ways::Point;

/// True for a closure on tokio's blocking pool: it is polled once, and nobody there
/// would poll it again.
fn is_closure(task: &Origin) -> bool {
    task.future
        .starts_with("tokio::runtime::blocking::task::BlockingTask<")
}

/// See [`crate::hooks::table::Hooks::task_gives_way`].
pub extern "C" fn task_gives_way(data: *const (), point: u32) -> u32 {
    if !pause::on() {
        return UNEXPLORED;
    }
    let Some(thread) = tracked() else {
        return GOES_ON;
    };
    // What is polled by other wakers than the task's own is asked what is ready
    // at once, or is woken by somebody else.
    let task = polled().filter(|task| task.notes.is_at(data as usize));
    let Some(task) = task.filter(|task| !is_closure(&task.origin)) else {
        return GOES_ON;
    };
    thread.busy += 1;
    let point = if point == WAIT {
        Point::Wait
    } else {
        Point::Poll
    };
    let mut ways = task.ways.lock();
    let gives_way = ways.gives_way(pause::seed(), task.origin.place, point);
    drop(ways);
    thread.busy -= 1;
    if gives_way { GIVES_WAY } else { GOES_ON }
}
