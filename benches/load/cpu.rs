//! CPU time of one process, its threads summed, as the kernel counts it.

use std::fs;

use crate::Failed;

/// A tick of `/proc/<pid>/stat`: 100 a second on every Linux that Rust runs on.
const TICK_NS: u64 = 10_000_000;

/// Nanoseconds of user and system time that process `pid` has used so far.
///
/// Exact to the nanosecond where the kernel keeps `schedstat`, else to a hundredth of a second. The time of threads
/// that have ended is not in it; none of the systems ends threads between two readings.
pub fn nanoseconds(pid: u32) -> Result<u64, Failed> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { return ticks(pid) };
        total += text.split_whitespace().next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(total)
}

fn ticks(pid: u32) -> Result<u64, Failed> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold anything; utime and stime are the 14th and
    // 15th of the line.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).ok_or("a short stat").map(|field| field.parse::<u64>());
    Ok((field(11)?? + field(12)??) * TICK_NS)
}
