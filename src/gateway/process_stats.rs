//! What the system tells of this process, for the scrape: memory, file descriptors, CPU. Linux tells it in files.

use crate::metrics::Process;

/// Nothing where the system does not tell it so.
#[cfg(not(target_os = "linux"))]
pub fn process() -> Option<Process> {
    None
}

/// Nothing where `/proc` is not to be read.
#[cfg(target_os = "linux")]
pub fn process() -> Option<Process> {
    use procfs::process::{LimitValue, Process as Proc};

    let me = Proc::myself().ok()?;
    let stat = me.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    let open = me.fd_count().ok()?;
    let most = match me.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Unlimited => u64::MAX,
        LimitValue::Value(most) => most,
    };
    let booted = procfs::boot_time_secs().ok()?;
    Some(Process {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        open_fds: count(open),
        max_fds: count(most),
        threads: stat.num_threads,
        resident_bytes: count(stat.rss.saturating_mul(procfs::page_size())),
        virtual_bytes: count(stat.vsize),
        start_seconds: booted as f64 + stat.starttime as f64 / ticks,
    })
}

/// A count as gauges take it.
#[cfg(target_os = "linux")]
fn count(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_process_started_in_the_past_has_memory_and_holds_a_file_that_it_opens() {
        let before = process().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        // The system tells its own start in whole seconds.
        assert!((1.6e9..=now + 1.0).contains(&before.start_seconds), "{before:?}");
        assert!(before.virtual_bytes >= before.resident_bytes && before.resident_bytes > 1 << 20, "{before:?}");
        assert!(before.threads > 0 && before.cpu_seconds > 0.0 && before.max_fds >= before.open_fds, "{before:?}");
        let files: Vec<_> = (0..64).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        // Other tests open and close files meanwhile, though not so many.
        assert!(process().unwrap().open_fds > before.open_fds, "{}", files.len());
    }
}
