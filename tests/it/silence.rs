//! Silence before the first yes: no connection, no key, and yet a preview of what would be told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use imprimatur_testkit::gcode::ShortJob;
use imprimatur_testkit::peers::OctoPrint;
use imprimatur_testkit::tripwire::Tripwire;
use imprimatur_testkit::wait;

use crate::agent::{Host, collector};
use crate::rig::SOON;

const PRINT: Duration = Duration::from_mins(3);

/// The collector's key; nobody will answer in its name here.
pub(crate) const NOBODY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_any_grant_the_agent_opens_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Tripwire::start().await.unwrap();
    let octoprint = OctoPrint::start(folder.path()).await.unwrap();
    octoprint.wait_operational().await.unwrap();
    let (url, key) = (octoprint.url(), octoprint.status_key());
    let settings = format!(
        "{}[report]\nseal_after = \"print\"\n[[source]]\nkind = \"octoprint\"\nurl = \"{url}\"\n\
         api_key = \"{key}\"\npoll_seconds = 1\n",
        collector(broker.address(), NOBODY)
    );
    let mut host = Host::new(folder.path(), "agent", &settings);
    host.run().await;
    host.connected().await;
    let gcode = folder.path().join("job.gcode");
    ShortJob { hotend_celsius: 60, bed_celsius: 0, layers: 4 }.write(&gcode).unwrap();
    octoprint.upload_and_print(&gcode, "").await.unwrap();
    octoprint.wait_job_done(PRINT).await.unwrap();

    wait::until(SOON, "a preview of the print", async || {
        let text = host.ask(&["preview"]).await;
        let whole = text.contains("NOT SENT") && text.contains("completed_duration");
        if whole { Ok(()) } else { Err(text) }
    })
    .await
    .unwrap();
    let printer: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    wait::throughout(Duration::from_secs(3), "one peer, the printer", async || {
        let peers = peers(host.process().id());
        if peers.iter().all(|port| *port == printer) { Ok(()) } else { Err(format!("{peers:?}")) }
    })
    .await
    .unwrap();
    assert!(broker.touches().await.unwrap().is_empty());
    let shown = host.json(&["consent", "show"]).await;
    for waiting in ["events_waiting", "reports_pending", "batches_waiting"] {
        assert_eq!(shown[waiting], 0, "{shown}");
    }
    assert_eq!(host.ask(&["log"]).await, "Nothing was ever sent.\n");
    assert!(!holds_a_key(&host.data()), "a key before the first yes");

    // The opposite: after a yes both are there, or their absence above proves nothing.
    host.grant(&["print_time"]).await;
    wait::until(SOON, "a touch of the broker", async || {
        let touches = broker.touches().await.unwrap();
        if touches.is_empty() { Err(host.log()) } else { Ok(()) }
    })
    .await
    .unwrap();
    assert!(holds_a_key(&host.data()), "no key after the first yes");
    assert_eq!(host.end().await, Some(0));
}

/// Whether a file of the agent's store holds what a key is written as.
fn holds_a_key(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).any(|entry| {
        let kind = entry.file_type().unwrap();
        let seed = || fs::read(entry.path()).unwrap().windows(7).any(|bytes| bytes == b"\"seed\":");
        (kind.is_dir() && holds_a_key(&entry.path())) || (kind.is_file() && seed())
    })
}

/// The ports of other ends that a process is connected to over TCP.
fn peers(process: u32) -> BTreeSet<u16> {
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap() {
        // A descriptor may be closed between listing and look.
        let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
        let target = target.display().to_string();
        let number = target.strip_prefix("socket:[").and_then(|text| text.strip_suffix(']'));
        sockets.extend(number.map(str::to_owned));
    }
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if sockets.contains(fields[9]) {
                let (_, port) = fields[2].rsplit_once(':').unwrap();
                ports.insert(u16::from_str_radix(port, 16).unwrap());
            }
        }
    }
    ports
}
