//! What identifies a person or a machine, planted wherever it can be, and the proof that it is nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use imprimatur_consent::Digest;
use imprimatur_proto::record::RecordKind;
use imprimatur_testkit::mqtt;
use imprimatur_testkit::peers::OctoPrint;
use imprimatur_testkit::search::{Form, occurrences};
use imprimatur_testkit::tap::Direction;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::agent::Host;
use crate::rig::Rig;

/// Names that occur nowhere by chance.
pub(super) struct Planted {
    /// The file that is printed.
    pub(super) file: String,
    /// The folder on the printer, named like a customer.
    pub(super) folder: String,
    /// The model in the slicer.
    pub(super) solid: String,
    user: &'static str,
    login: &'static str,
    host: &'static str,
    /// One for each kind of place in a sliced file that takes free text.
    texts: [&'static str; 6],
}

impl Default for Planted {
    fn default() -> Self {
        Self {
            file: "Kniebuegel_fuer_Wallenstein_v7.gcode".to_owned(),
            folder: "Kundschaft-Eichendorff-4711".to_owned(),
            solid: "Kurbelwelle_Grimmelshausen".to_owned(),
            user: "annette-von-droste",
            login: "hoelderlin-login",
            host: "werkstatt-rechner-tuebingen",
            texts: [
                "Bemerkung-Gryphius-1664",
                "Miniatur-Opitz-1624",
                "Anzeige-Fleming-1640",
                "MAKRO_LOGAU_1654",
                "Objekt-Zesen-1689",
                "SN-Hofmannswaldau-1679",
            ],
        }
    }
}

impl Planted {
    /// The agent's source; it knows the address and the key of the least account.
    pub(super) fn octoprint(octoprint: &OctoPrint) -> String {
        let (url, key) = (octoprint.url(), octoprint.status_key());
        format!(
            "[[source]]\nkind = \"octoprint\"\nurl = \"{url}\"\napi_key = \"{key}\"\n\
             poll_seconds = 1\n"
        )
    }

    /// A sliced file with more free text than its slicer wrote.
    pub(super) fn plant(&self, gcode: &str) -> String {
        let [comment, picture, message, command, object, serial] = self.texts;
        let picture = String::from_utf8(base64(picture)).unwrap();
        let head = format!(
            "; {comment}\n; thumbnail begin 16x16 {}\n; {picture}\n; thumbnail end\n; printer_serial = {serial}\n\
             M117 {message}\n{command} WHO={message}\nM486 A{object}\n\
             EXCLUDE_OBJECT_DEFINE NAME={object} CENTER=3,4 POLYGON=[[0,0],[8,0],[8,8]]\n",
            picture.len()
        );
        format!("{head}{gcode}; {comment}\nM117 {message}\n")
    }

    /// The agent's environment.
    pub(super) fn environment(&self, host: Host) -> Host {
        host.with("USER", self.user)
            .with("LOGNAME", self.login)
            .with("HOSTNAME", self.host)
            .with("IMPRIMATUR_LOG", "trace")
    }

    /// Everything planted, and what this machine itself is known by.
    pub(super) fn secrets(&self) -> Vec<String> {
        let stem = self.file.trim_end_matches(".gcode");
        let mut all: Vec<String> =
            [stem, &self.folder, &self.solid, self.user, self.login, self.host]
                .map(str::to_owned)
                .to_vec();
        all.extend(self.texts.map(str::to_owned));
        // The accounts, keys and printer of `OctoPrint`, and what the slicer was told of its user.
        all.extend(
            ["labadmin", "labstatus", "LABADMINKEY", "LABSTATUSONLYKEY", "Jane Doe", "Jane's MK3S"]
                .map(str::to_owned),
        );
        all.extend(["SECRETAPIKEY123", "roll 4711", "order 4711", "Acme PLA"].map(str::to_owned));
        all.extend(machine());
        all
    }

    /// Searches every wire, everything stored, every log and the metrics.
    pub(super) async fn are_nowhere(&self, rig: &Rig, host: &Host) {
        let secrets = self.secrets();
        let mut places = places(rig, host);
        let metrics = rig.metrics().await;
        assert!(metrics.contains("outcome=\"stored\""), "{metrics}");
        places.push(("metrics".to_owned(), metrics.into_bytes()));
        for (place, bytes) in &places {
            for secret in &secrets {
                let found = occurrences(bytes, secret.as_bytes());
                assert!(found.is_empty(), "`{secret}` in {place}: {}", around(bytes, &found));
            }
        }
        the_search_finds_what_is_there(rig, &places, &secrets);
    }
}

/// Lets crashes dump their memory, as far as this process may.
pub(super) fn allow_dumps() {
    let all = Rlimit { current: None, maximum: None };
    setrlimit(Resource::Core, all)
        .expect("the limit of dumps can be lifted; run the tests as root");
}

/// How large a dump of a process may be: bytes, or `unlimited`.
pub(super) fn dump_limit(process: u32) -> String {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    line.and_then(|line| line.split_whitespace().next()).unwrap().to_owned()
}

/// Dumps of memory in a folder.
pub(super) fn dumps(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let dump = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"core"))
    };
    files.filter(dump).collect()
}

/// Hardware addresses and the serial number of this installation.
fn machine() -> Vec<String> {
    let mut found = Vec::new();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    for entry in fs::read_dir("/sys/class/net").unwrap() {
        let address = read(&entry.unwrap().path().join("address"));
        let bare = address.replace(':', "");
        if bare.bytes().any(|digit| digit != b'0') {
            found.extend([address, bare]);
        }
    }
    found.push(read(Path::new("/etc/machine-id")));
    found.push(read(Path::new("/proc/sys/kernel/hostname")));
    // A short or common name occurs by chance.
    found.retain(|name| name.len() >= 8 && !name.contains("localhost"));
    found
}

/// All bytes that left the agent or came to rest, each with the name of its place.
fn places(rig: &Rig, host: &Host) -> Vec<(String, Vec<u8>)> {
    let wires = rig.wires().into_iter().map(|(name, bytes)| (format!("wire `{name}`"), bytes));
    let mut all: Vec<_> = wires.collect();
    files(&rig.data(), &mut all);
    for log in ["collector", "bridge"] {
        for stream in ["stdout", "stderr"] {
            let path = rig.folder().join(format!("{log}.{stream}.log"));
            all.push((path.display().to_string(), fs::read(path).unwrap()));
        }
    }
    all.push(("log of the agent".to_owned(), host.log().into_bytes()));
    all.push(("log of the broker".to_owned(), rig.broker.log_text().into_bytes()));
    // What compression hides in a file is searched as it reads.
    let rows = RecordKind::ALL.map(|kind| rig.rows(kind));
    all.push(("rows of the lake".to_owned(), format!("{rows:?}").into_bytes()));
    for place in [
        "wire `agents`",
        "book.redb",
        "catalogue.json",
        "overview.json",
        ".parquet",
        "log of the agent",
    ] {
        let there = |one: &(String, Vec<u8>)| one.0.contains(place) && !one.1.is_empty();
        assert!(all.iter().any(there), "nothing was searched in {place}");
    }
    all
}

fn files(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            files(&path, into);
        } else if kind.is_file() {
            into.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// The opposite: the subject's own id is on the wire, but in no log; a leak would be found.
fn the_search_finds_what_is_there(rig: &Rig, places: &[(String, Vec<u8>)], secrets: &[String]) {
    let sent = mqtt::published(&rig.agents, Direction::ToServer);
    let subject = sent[0].topic.split('/').nth(2).unwrap().to_owned();
    let (_, wire) = places.iter().find(|(place, _)| place == "wire `agents`").unwrap();
    let on_the_wire = occurrences(wire, subject.as_bytes());
    assert!(on_the_wire.iter().any(|one| one.form == Form::Raw), "the tap saw nothing");
    for (place, bytes) in places.iter().filter(|(place, _)| place.contains("log")) {
        let found = occurrences(bytes, subject.as_bytes());
        assert!(found.is_empty(), "the subject in {place}: {}", around(bytes, &found));
    }
    for secret in secrets {
        let digest = Digest::of(secret.as_bytes());
        for (form, leak) in [
            (Form::Raw, secret.to_uppercase().into_bytes()),
            (Form::Hex, hex::encode(secret).into_bytes()),
            (Form::Base64, base64(secret)),
            (Form::Sha256, digest.0.to_vec()),
            (Form::Sha256Hex, digest.to_string().into_bytes()),
        ] {
            let leaky = [b"..", &leak[..], b".."].concat();
            let found = occurrences(&leaky, secret.as_bytes());
            assert!(found.iter().any(|one| one.form == form), "{form:?} of `{secret}`");
        }
    }
}

/// As the system's own program writes it.
fn base64(text: &str) -> Vec<u8> {
    let script = "printf %s \"$1\" | base64 -w0";
    let output = Command::new("/bin/sh").args(["-c", script, "sh", text]).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The text round the first occurrence.
fn around(bytes: &[u8], found: &[imprimatur_testkit::search::Occurrence]) -> String {
    let at = found.first().map_or(0, |one| one.offset);
    let piece = &bytes[at.saturating_sub(300)..bytes.len().min(at + 200)];
    format!("{:?} {}", found.first(), String::from_utf8_lossy(piece))
}
