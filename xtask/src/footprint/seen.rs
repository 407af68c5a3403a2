//! What the kernel tells of a process, in `/proc`: memory, threads, processor time, waits, writes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// One look at a process.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    at: Instant,
    /// Bytes in memory.
    pub(super) resident: u64,
    /// Of these, bytes that belong to no file.
    pub(super) anonymous: u64,
    /// Threads.
    pub(super) threads: u64,
    /// Nanoseconds on a processor, over all threads that live.
    nanoseconds: u64,
    /// Times that a thread gave the processor up by itself, over all threads that live.
    switches: u64,
    /// Bytes handed to the disk.
    written: u64,
}

/// What a process spent between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spent {
    /// Seconds between them.
    pub(super) seconds: f64,
    pub(super) processor: Duration,
    pub(super) wakes: u64,
    /// Bytes.
    pub(super) written: u64,
}

impl Seen {
    /// Looks at a process; `None` when it has ended or may not be looked at.
    pub(super) fn of(process: u32) -> Option<Self> {
        let folder = Path::new("/proc").join(process.to_string());
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let io = fs::read_to_string(folder.join("io")).ok()?;
        let (mut nanoseconds, mut switches) = (0, 0);
        for thread in fs::read_dir(folder.join("task")).ok()?.flatten() {
            // A thread may end between the listing and the look.
            let read = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let ran = read("schedstat");
            nanoseconds += ran.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            switches += field(&read("status"), "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Some(Self {
            at: now(),
            resident: field(&status, "VmRSS:")? * 1024,
            anonymous: field(&status, "RssAnon:")? * 1024,
            threads: field(&status, "Threads:")?,
            nanoseconds,
            switches,
            written: field(&io, "write_bytes:")?,
        })
    }

    /// What was spent since an earlier look. Threads that ended between are not counted.
    pub(super) fn since(&self, before: &Self) -> Spent {
        Spent {
            seconds: self.at.duration_since(before.at).as_secs_f64().max(1e-3),
            processor: Duration::from_nanos(self.nanoseconds.saturating_sub(before.nanoseconds)),
            wakes: self.switches.saturating_sub(before.switches),
            written: self.written.saturating_sub(before.written),
        }
    }
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "rates need the steady clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself_and_nobody_sees_one_that_is_none() {
        let first = Seen::of(std::process::id()).unwrap();
        assert!(first.resident > first.anonymous && first.anonymous > 0 && first.threads > 0);
        let mut sum = 0_u64;
        while Seen::of(std::process::id()).unwrap().nanoseconds == first.nanoseconds {
            sum = sum.wrapping_add(1);
        }
        let spent = Seen::of(std::process::id()).unwrap().since(&first);
        assert!(spent.processor > Duration::ZERO && spent.seconds > 0.0, "{sum}: {spent:?}");
        assert!(Seen::of(u32::MAX).is_none());
    }

    #[test]
    fn a_field_is_found_by_the_start_of_its_line_only() {
        let text = "VmRSSx:\t1 kB\nnonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t4\n";
        assert_eq!(field(text, "voluntary_ctxt_switches:"), Some(4));
        assert_eq!(field(text, "VmRSS:"), None);
    }
}
