//! A machine with OPC UA: the real asyncua server, whose address space is written from the schema of OPC 40540.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use imprimatur_agent::control::{self, Request};
use imprimatur_agent::reading::{Ended, Heater, Heaters, Said};
use imprimatur_proto::telemetry::v1::{MaterialFamily, Outcome, ReadingSource};
use imprimatur_proto::{contract, field};
use imprimatur_testkit::peers::{Asked, OpcUaMachine, Security};
use imprimatur_testkit::search::occurrences;
use imprimatur_testkit::wait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::{LIMIT, Running, count, outcomes, refuses, settings};

/// Stand in every free field of the machine, in its name and in its certificate.
const PLANTED: [&str; 6] =
    ["Jane Doe", "AcmeCorp", "secret-bracket", "SN-SECRET-0042", "87654321", "12345.625"];

/// Roles of a machine with a laser, by the names of its maker.
const NODES: &str = r#"
state = "nsu=http://maker.example/machine;s=State"
laser = "nsu=http://maker.example/machine;s=Laser.Power"
time = "nsu=http://maker.example/machine;s=Run.Minutes"
process = "nsu=http://maker.example/machine;s=Powder.Celsius"
process_target = "nsu=http://maker.example/machine;s=Powder.SetPoint"
"#;

/// A machine and the folder that all is in.
struct Plant {
    folder: TempDir,
    machine: OpcUaMachine,
}

impl Plant {
    async fn start(security: Security) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = OpcUaMachine::start(folder.path(), security).await.unwrap();
        Self { folder, machine }
    }

    /// The lines that an account and a certificate take.
    fn secured(&self, password: &str, pin: Option<&str>) -> String {
        let file = self.folder.path().join("password");
        std::fs::write(&file, password).unwrap();
        let pin = pin.map(|seen| format!("certificate_sha256 = \"{seen}\"\n"));
        format!(
            "user = \"{}\"\npassword_file = \"{}\"\nidentity_dir = \"{}\"\n{}",
            self.machine.account().0,
            file.display(),
            self.folder.path().join("own").display(),
            pin.unwrap_or_default()
        )
    }

    /// The whole section.
    fn toml(&self, more: &str, nodes: &str) -> String {
        let url = self.machine.url();
        format!("kind = \"opcua\"\nurl = \"{url}\"\npoll_seconds = 1\n{more}\n[nodes]\n{nodes}")
    }

    /// As a person sets it up.
    fn whole(&self) -> String {
        let pin = self.machine.certificate_sha256().unwrap();
        let access = self.secured(self.machine.account().1, Some(&pin));
        self.toml(&format!("{access}laser_watts = 500\nmaterial = \"PA\""), NODES)
    }

    async fn set(&self, values: &[(&str, Value)]) {
        self.machine.set(values).await.unwrap();
    }

    /// The machine begins to work.
    async fn lights_up(&self) {
        let (power, powder) = (json!(200.0), json!(171.5));
        self.set(&[("Laser.Power", power), ("Powder.Celsius", powder)]).await;
        self.set(&[("Powder.SetPoint", json!(172.0)), ("Run.Minutes", json!(0.0))]).await;
        self.set(&[("State", json!("Running"))]).await;
    }

    /// The error of a mapping that cannot be read.
    async fn fails(&self, nodes: &str) -> String {
        let state = "state = \"nsu=http://maker.example/machine;s=State\"";
        let nodes = format!("{state}\n{nodes}");
        let mut source = Running::start(&self.toml("security = \"none\"", &nodes));
        let error = source.retries_with().await;
        let said = source.stop().await;
        assert_eq!(said, [], "no reading of what does not fit: {error}");
        assert_eq!(planted_in(&error), [""; 0]);
        error
    }
}

fn planted_in(what: &dyn std::fmt::Debug) -> Vec<&'static str> {
    let text = format!("{what:?}");
    PLANTED.into_iter().filter(|word| text.contains(word)).collect()
}

/// That it was asked for nothing but values and units of the mapped nodes.
#[track_caller]
fn asked_little(asked: &Asked) {
    let services: BTreeSet<&str> = asked.services.keys().map(String::as_str).collect();
    let known = [
        "ActivateSessionRequest",
        "CloseSessionRequest",
        "CreateSessionRequest",
        "GetEndpointsRequest",
        "ReadRequest",
        "TranslateBrowsePathsToNodeIdsRequest",
    ];
    assert!(services.is_subset(&known.into()), "{services:?}");
    let mapped: BTreeSet<String> = NODES
        .lines()
        .filter_map(|line| line.split(";s=").nth(1))
        .map(|name| name.trim_end_matches('"').to_owned())
        .collect();
    // The namespaces have no name of the maker's.
    let named = asked.nodes.keys().filter(|node| *node != "i=2255");
    let named: BTreeSet<String> = named
        .map(|node| node.split(";s=").nth(1).unwrap_or(node).trim_end_matches(".Units").to_owned())
        .collect();
    assert_eq!(named, mapped);
}

#[tokio::test]
async fn prints_of_a_secured_machine_are_told_as_its_values_say() {
    let mut plant = Plant::start(Security::Secured).await;
    let began = Instant::now();
    let mut source = Running::start(&plant.whole());
    let online = Said::Online(ReadingSource::OpcUa);
    source.until("online", |said| *said == online).await;
    // The first look is told: an idle machine has to be seen once, or no start is known.
    plant.set(&[("State", json!("Ended"))]).await;
    seen(&plant, "State").await;
    plant.lights_up().await;
    // 200 of 500 watts.
    let said = source.until("the laser", |said| *said == Said::Laser(40.0)).await;
    assert_eq!(count(&said, &Said::Started), 1, "{said:?}");
    let family =
        |said: &Said| matches!(said, Said::Sliced(plan) if plan.family == Some(MaterialFamily::Pa));
    assert!(said.iter().any(family), "{said:?}");
    let process = Some(Heater { actual: 171.5, target: 172.0 });
    let hot = Said::Heaters(Heaters { process, ..Heaters::default() });
    assert!(source.said.contains(&hot), "{:?}", source.said);
    plant.set(&[("State", json!("Interrupted")), ("Run.Minutes", json!(41.0))]).await;
    source.until("a pause", |said| *said == Said::Paused { by_run_out: false }).await;
    plant.set(&[("State", json!("Running"))]).await;
    source.until("it goes on", |said| *said == Said::Resumed).await;
    plant.set(&[("State", json!("Ended")), ("Run.Minutes", json!(42.0))]).await;
    let end = source.until_ended().await;
    let whole = Ended { outcome: Outcome::Done, seconds: Some(2520.0), amount: None, phase: None };
    assert_eq!(end, whole);
    let asked = plant.machine.asked().await.unwrap();
    asked_little(&asked);
    // Namespaces, types and units are read once a connection; then one question a second at most.
    let most = began.elapsed().as_secs() + 1 + 3;
    assert!(asked.services["ReadRequest"] <= most, "{asked:?} in {most} s");
    let once =
        ["CreateSessionRequest", "GetEndpointsRequest", "TranslateBrowsePathsToNodeIdsRequest"];
    for service in once {
        assert_eq!(asked.services[service], 1, "{service}");
    }

    // The machine's server restarts in the next print, which goes on.
    plant.lights_up().await;
    source.until("the next start", |said| *said == Said::Started).await;
    plant.machine.kill_server().await.unwrap();
    source.until("offline", |said| *said == Said::Offline).await;
    plant.machine.start_server().await.unwrap();
    plant.lights_up().await;
    source.until("online again", |said| *said == online).await;
    plant.set(&[("State", json!("Aborted"))]).await;
    assert_eq!(source.until_ended().await.outcome, Outcome::Unspecified);
    let said = source.stop().await;
    assert_eq!(count(&said, &Said::Started), 2, "the restart counts no print twice: {said:?}");
    assert_eq!(outcomes(&said).len(), 2, "{said:?}");
    assert_eq!(planted_in(&said), [""; 0]);
    asked_little(&plant.machine.asked().await.unwrap());
    // Of the machine nothing is left beside the agent's own certificate and key.
    let own = plant.folder.path().join("own");
    let names: BTreeSet<_> =
        own.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["certificate.der".into(), "key.pem".into()].into(), "{names:?}");
}

/// Waits until the machine was looked at after now, twice: the first look may have begun before.
async fn seen(plant: &Plant, node: &str) {
    let name = format!(";s={node}");
    let looks = async || {
        let asked = plant.machine.asked().await.unwrap();
        asked.nodes.iter().find(|(node, _)| node.ends_with(&name)).map_or(0, |(_, looks)| *looks)
    };
    let before = looks().await;
    wait::until(LIMIT, "two looks", async || match looks().await {
        now if now >= before + 2 => Ok(()),
        now => Err(now),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nothing_is_said_to_a_machine_that_the_owner_did_not_write_down() {
    let mut plant = Plant::start(Security::Secured).await;
    let password = plant.machine.account().1;
    let seen = plant.machine.certificate_sha256().unwrap();
    let mut unknown = Running::start(&plant.toml(&plant.secured(password, None), NODES));
    let error = unknown.retries_with().await;
    assert!(error.contains(&format!("certificate_sha256 = \"{seen}\"")), "{error}");
    unknown.stop().await;
    let other = "00".repeat(32);
    let mut wrong = Running::start(&plant.toml(&plant.secured(password, Some(&other)), NODES));
    let error = wrong.retries_with().await;
    assert!(error.contains("not the one in the settings") && error.contains(&seen), "{error}");
    wrong.stop().await;
    let mut open = Running::start(&plant.toml("security = \"none\"", NODES));
    let error = open.retries_with().await;
    assert!(error.contains("does not offer this `security`"), "{error}");
    open.stop().await;
    let asked = plant.machine.asked().await.unwrap();
    assert_eq!(asked.services.keys().collect::<Vec<_>>(), ["GetEndpointsRequest"]);

    // The right machine and a password that is not the account's.
    let access = plant.secured("guessed-4712", Some(&seen));
    let mut guessed = Running::start(&plant.toml(&format!("{access}laser_watts = 500"), NODES));
    let error = guessed.retries_with().await;
    assert!(error.contains("password is refused by the machine"), "{error}");
    assert!(!error.contains("guessed"), "{error}");
    guessed.stop().await;
    let asked = plant.machine.asked().await.unwrap();
    assert!(!asked.services.contains_key("ReadRequest"), "{asked:?}");

    // The right machine and the right account, by each of the other policies that can be set.
    for policy in ["Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] {
        let toml = plant.whole().replace("[nodes]", &format!("security = \"{policy}\"\n[nodes]"));
        let mut source = Running::start(&toml);
        source.until(policy, |said| matches!(said, Said::Online(_))).await;
        source.stop().await;
    }

    // The machine has another certificate than before, as one in between would.
    plant.machine.kill_server().await.unwrap();
    plant.machine.forget_certificate().unwrap();
    plant.machine.start_server().await.unwrap();
    let mut changed = Running::start(&plant.toml(&plant.secured(password, Some(&seen)), NODES));
    let error = changed.retries_with().await;
    let now = plant.machine.certificate_sha256().unwrap();
    assert!(error.contains("not the one in the settings") && error.contains(&now), "{error}");
    assert_ne!(now, seen);
    changed.stop().await;
    let asked = plant.machine.asked().await.unwrap();
    assert_eq!(asked.services.keys().collect::<Vec<_>>(), ["GetEndpointsRequest"]);
}

#[tokio::test]
async fn what_does_not_fit_its_role_is_an_error_and_what_is_doubtful_is_not_told() {
    let plant = Plant::start(Security::Open).await;
    let node = |name: &str| format!("\"nsu=http://maker.example/machine;s={name}\"");
    for (nodes, expected) in [
        (format!("laser = {}", node("Nothing")), "`laser` is not there"),
        (format!("laser = {}", node("Laser.Raw")), "`laser` has no unit"),
        (format!("laser = {}", node("Laser.Power")), "write the laser's full power"),
        (format!("laser = {}", node("Powder.Celsius")), "a unit that this role does not take"),
        (format!("time = {}", node("Scanner.X")), "a unit that this role does not take"),
        (
            format!("laser = {{ node = {}, unit = \"W\" }}", node("Laser.Share")),
            "another unit than the settings",
        ),
        (
            format!("laser = {{ node = {}, unit = \"%\" }}", node("Contour")),
            "`laser` holds no single number",
        ),
        (
            format!("electronics = {{ node = {}, unit = \"degC\" }}", node("Identifier")),
            "`electronics` holds no single number",
        ),
        (format!("time = {{ node = {}, unit = \"s\" }}", node("Flag")), "holds no single number"),
        ("laser = \"nsu=urn:nobody;s=x\"".to_owned(), "a namespace that the machine does not have"),
    ] {
        let error = plant.fails(&nodes).await;
        assert!(error.contains(expected), "{nodes}: {error}");
    }

    let nodes = format!(
        "state = {}\nlaser = {{ node = {}, unit = \"%\", scale = 0.1 }}\n",
        node("State.Number"),
        node("Laser.Raw")
    );
    let states = "[states]\n0 = \"idle\"\n3 = \"printing\"\n4 = \"fault\"\n";
    let mut source =
        Running::start(&format!("{}{states}", plant.toml("security = \"none\"", &nodes)));
    source.until("online", |said| matches!(said, Said::Online(_))).await;
    plant.set(&[("Laser.Raw", json!(350.0)), ("State.Number", json!(3))]).await;
    source.until("35 %", |said| *said == Said::Laser(35.0)).await;
    plant.machine.doubt("Laser.Raw", "BadSensorFailure").await.unwrap();
    plant.machine.doubt("State.Number", "UncertainLastUsableValue").await.unwrap();
    seen(&plant, "Laser.Raw").await;
    plant.set(&[("Laser.Raw", json!("nan"))]).await;
    seen(&plant, "Laser.Raw").await;
    plant.set(&[("Laser.Raw", json!(500.0))]).await;
    source.until("50 %", |said| *said == Said::Laser(50.0)).await;
    plant.set(&[("State.Number", json!(4))]).await;
    assert_eq!(source.until_ended().await.outcome, Outcome::Fault);
    let lasers = source.said.iter().filter(|said| matches!(said, Said::Laser(_)));
    let expected = [Said::Laser(0.0), Said::Laser(35.0), Said::Laser(50.0)];
    assert!(lasers.eq(&expected), "{:?}", source.said);

    // A node that goes while it is read, and a machine that takes too long.
    plant.machine.remove("Laser.Raw").await.unwrap();
    source.until("offline", |said| *said == Said::Offline).await;
    let error = source.retries_with().await;
    assert!(error.contains("`laser` is not there"), "{error}");
    source.stop().await;
    plant.machine.delay(Duration::from_secs(12)).await.unwrap();
    let error = plant.fails("").await;
    assert!(error.contains("no answer within 10 s"), "{error}");
}

#[tokio::test]
async fn the_whole_agent_tells_a_print_of_a_machine_and_nothing_that_names_it() {
    let plant = Plant::start(Security::Secured).await;
    let data = plant.folder.path().join("data");
    let config = plant.folder.path().join("agent.toml");
    let source = plant.whole().replace("[nodes]", "[source.nodes]");
    let text = format!("data_dir = \"{}\"\n[[source]]\n{source}", data.display());
    std::fs::write(&config, text).unwrap();
    let command = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imprimatur-agent"));
        command.args(words).arg("--config").arg(&config).stdin(Stdio::null());
        command
    };
    let mut run = command(&["run"]);
    run.env("IMPRIMATUR_LOG", "trace");
    let log = plant.folder.path().join("log");
    run.stderr(std::fs::File::create(&log).unwrap());
    let agent = Ends(run.spawn().unwrap());
    let socket = data.join(control::SOCKET);
    let json = |words: &[&str]| -> Value {
        let output = command(words).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    wait::until(LIMIT, "a connected agent", async || {
        let told = json(&["sources", "--json"]).to_string();
        let up = control::ask(&socket, None, &Request::Show {}).is_ok();
        if up && told.contains("connected") { Ok(()) } else { Err(told) }
    })
    .await
    .unwrap();
    let granted = ["consent", "grant", "print_time", "status", "laser", "temperature", "material"];
    let granted = command(&[&granted[..], &["--yes"]].concat()).output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    plant.set(&[("State", json!("Ended"))]).await;
    seen(&plant, "State").await;
    plant.lights_up().await;
    seen(&plant, "State").await;
    plant.set(&[("State", json!("Ended")), ("Run.Minutes", json!(42.0))]).await;
    let preview = wait::until(LIMIT, "a print to be told", async || {
        let told = json(&["preview", "--json"]);
        if told.to_string().contains("completed_duration") { Ok(told) } else { Err(told) }
    })
    .await
    .unwrap();
    rightly_told(&preview);
    drop(agent);
    let mut everything = vec![preview.to_string().into_bytes()];
    read_all(&data, &mut everything);
    let log = std::fs::read(&log).unwrap();
    assert!(
        !log.is_empty() && occurrences(&log, b"opcua_client").is_empty(),
        "the library's own lines"
    );
    everything.push(log);
    assert!(everything.len() > 2, "the store was looked at");
    let password = plant.machine.account().1;
    for word in PLANTED.into_iter().chain([password]) {
        let holds = |bytes: &Vec<u8>| !occurrences(bytes, word.as_bytes()).is_empty();
        assert!(!everything.iter().any(holds), "{word}");
        // What keeps all would be found.
        let machine = std::fs::read(plant.folder.path().join("machine/opcua_machine.py")).unwrap();
        assert!(holds(&machine), "{word}");
    }
}

/// That the print is told by the bins of what the machine's values were.
#[track_caller]
fn rightly_told(preview: &Value) {
    let shown = |name: &str| {
        let rows = preview["rows"].as_array().unwrap();
        rows.iter().find(|row| row["field"] == name).map(|row| row["value"].clone())
    };
    for (name, field, value) in [
        ("nominal_set_point", field::PRINT_LASER_NOMINAL_SET_POINT, 40.0),
        ("process_set_point", field::PRINT_TEMPERATURE_PROCESS_SET_POINT, 172.0),
        ("completed_duration", field::PRINT_TIME_COMPLETED_DURATION, 2520.0),
    ] {
        let bin = contract().quantise(field, value);
        assert_eq!(shown(name), Some(json!(bin.to_string())), "{name}: {preview}");
    }
    let done = i32::from(Outcome::Done).to_string();
    assert_eq!(shown("outcome"), Some(json!(done)), "{preview}");
}

/// Ends the agent with its test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn read_all(folder: &Path, into: &mut Vec<Vec<u8>>) {
    for entry in folder.read_dir().unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            read_all(&entry.path(), into);
        } else if kind.is_file() {
            into.push(std::fs::read(entry.path()).unwrap());
        }
    }
}

#[tokio::test]
async fn what_is_no_machine_is_an_error_however_long_its_messages_say_they_are() {
    // An answer to the first message, after which any may follow.
    let mut acknowledged = b"ACKF\x1c\0\0\0\0\0\0\0\xff\xff\0\0\xff\xff\0\0".to_vec();
    acknowledged.extend([0; 8]);
    let after = |bytes: &[u8]| [&acknowledged[..], bytes].concat();
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\nplanted Jane Doe".to_vec(),
        b"ACKF\xff\xff\xff\x7f".to_vec(),
        after(b"OPNF\xff\xff\xff\xff"),
        after(b"OPNF\x10\0\0\0\0\0\0\0\0\0\0\0"),
        after(b"MSGF\x10\0\0\0\0\0\0\0\0\0\0\0"),
        after(b"ERRF\x18\0\0\0\0\0\x01\x80\x08\0\0\0Jane Doe"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = String::from_utf8_lossy(&answer).into_owned();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(&answer).await.unwrap();
                // Until the other side ends it.
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            }
        });
        let toml =
            format!("kind = \"opcua\"\nurl = \"opc.tcp://127.0.0.1:{port}\"\nsecurity = \"none\"");
        let mut source = Running::start(&format!("{toml}\n[nodes]\nstate = \"i=7\""));
        let error = source.retries_with().await;
        assert!(error.contains("does `url` lead to it"), "{told}: {error}");
        assert_eq!(planted_in(&error), [""; 0]);
        assert_eq!(source.stop().await, []);
        server.abort();
    }
}

#[test]
fn unusable_settings_are_refused_with_a_reason() {
    let state = "\n[nodes]\nstate = \"nsu=urn:maker;s=State\"\n";
    let opcua = |top: &str, nodes: &str| format!("kind = \"opcua\"\n{top}{state}{nodes}");
    let open = "url = \"opc.tcp://machine\"\nsecurity = \"none\"";
    assert!(settings(&opcua(open, "")).is_ok());
    let own = "url = \"opc.tcp://machine:4841/path\"\nidentity_dir = \"/own\"";
    assert!(settings(&opcua(own, "")).is_ok());
    for (top, nodes, expected) in [
        ("url = \"http://machine\"", "", "opc.tcp://"),
        ("url = \"opc.tcp://8.8.8.8\"", "", "out of the local network"),
        ("url = \"opc.tcp://u:p@machine\"", "", "only host"),
        ("url = \"opc.tcp://machine\"", "", "`identity_dir` is missing"),
        (&format!("{open}\nuser = \"x\"\npassword_file = \"/p\""), "", "readable on the way"),
        (&format!("{open}\ncertificate_sha256 = \"00\""), "", "readable on the way"),
        (&format!("{own}\nuser = \"x\""), "", "`password_file`"),
        (&format!("{own}\nsecurity = \"Basic128Rsa15\""), "", "unknown variant"),
        (&format!("{own}\ncertificate_sha256 = \"00\""), "", "64 hexadecimal digits"),
        (&format!("{own}\npassword = \"x\""), "", "unknown field"),
        (&format!("{open}\nlaser_watts = 0"), "", "`laser_watts`"),
        (&format!("{open}\npoll_seconds = 0.5"), "", "1 to 60 seconds"),
        (open, "laser = \"Laser\"", "the node of `laser` is not a node id"),
        (open, "layer = \"i=7\"", "unknown variant"),
        (open, "process = \"i=7\"", "`process` needs `process_target`"),
        (open, "bed_target = \"i=7\"", "`bed_target` needs `bed`"),
        (open, "laser = { node = \"i=7\", unit = \"degC\" }", "`unit` or `scale` of `laser`"),
        (open, "laser = { node = \"i=7\", scale = 0 }", "`unit` or `scale` of `laser`"),
        (open, "laser = { node = \"i=7\", x = 0 }", "expected a node id"),
        (open, "[states]\n", "`states`"),
        (open, "[states]\nx = \"melting\"", "unknown variant"),
    ] {
        refuses(&opcua(top, nodes), expected);
    }
    refuses(&format!("kind = \"opcua\"\n{open}\n[nodes]\n"), "has no `state`");
    let secret = opcua(&format!("{own}\nuser = \"x\"\npassword_file = \"/p\""), "");
    assert!(!format!("{:?}", settings(&secret).unwrap()).contains("Secret("));
}
