//! Tasks that let others go first, where other schedules are to be seen: the
//! hook that executors call, for [`crate::ways`].

use super::super::edge::tracked;
use super::super::pause;
use super::polled;
use crate::hooks::table::{GIVES_WAY, GOES_ON, UNEXPLORED, WAIT};
use crate::ways::Point;

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
    let Some(task) = polled().filter(|task| task.notes.is_at(data as usize)) else {
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
