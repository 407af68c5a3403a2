//! Processes as their operator meets them: SIGTERM, sockets, health, reflection, the demo.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::agent::{Host, collector};
use crate::program::{Answer, imprimatur, said};
use crate::rig::{Rig, SOON};
use crate::silence::NOBODY;

/// What a service manager would wait at least.
const PROMPT: Duration = Duration::from_secs(6);

/// Sends SIGTERM and waits for exit code 0.
async fn stops(mut process: Guarded) -> String {
    process.signal(rustix::process::Signal::TERM).unwrap();
    let status = process.wait(PROMPT).await;
    let status = status.unwrap_or_else(|error| panic!("{error}\n{}", process.log_text()));
    assert_eq!(status.code(), Some(0), "{}", process.log_text());
    process.log_text()
}

fn start(name: &str, command: Command, folder: &Path) -> Guarded {
    Guarded::spawn(name, command, folder).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bridge_collector_and_agent_stop_cleanly_and_start_again() {
    let mut rig = Rig::start("info").await;
    let mut host = Host::of(&rig, "agent", "");
    host.run().await;
    let (operator, owner) = (rig.data().join("collector.sock"), host.data().join("agent.sock"));
    assert!(operator.exists() && owner.exists());
    assert_eq!(host.end().await, Some(0));
    assert!(!owner.exists(), "the agent's socket is left");
    assert_eq!(rig.stop_bridge().await, Some(0));
    assert_eq!(rig.stop_collector().await, Some(0));
    assert!(!operator.exists(), "the collector's socket is left");
    // Nobody runs: the command opens the book itself.
    assert_eq!(rig.tokens(2).await.len(), 2);
    let key = rig.key.clone();
    rig.start_collector().await;
    rig.start_bridge().await;
    host.run().await;
    assert_eq!(rig.key, key, "another key after a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_left_by_a_kill_is_harmless() {
    let mut rig = Rig::start("info").await;
    rig.kill_collector().await;
    assert!(rig.data().join("collector.sock").exists());
    assert_eq!(rig.tokens(1).await.len(), 1);
    rig.start_collector().await;
    assert_eq!(rig.stop_collector().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_and_an_agent_without_anybody_stop_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "0123456789abcdef").unwrap();
    let listen = ports::loopback(ports::free().unwrap());
    let mut command = imprimatur(&["broker", "--listen", &listen.to_string(), "--password-file"]);
    command.arg(&password);
    let broker = start("broker", command, folder.path());
    wait::until(SOON, "a listening broker", async || {
        tokio::net::TcpStream::connect(listen).await.map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    stops(broker).await;
    let nowhere = ports::loopback(ports::free().unwrap());
    let settings = collector(nowhere, NOBODY);
    let mut host = Host::new(folder.path(), "agent", &settings);
    host.run().await;
    host.grant(&["status"]).await;
    assert_eq!(host.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_serves_health_and_reflection_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (mqtt, grpc) = (ports::loopback(ports::free().unwrap()), ports::free().unwrap());
    let grpc = ports::loopback(grpc).to_string();
    let mut command = imprimatur(&["up", "--mqtt", &mqtt.to_string(), "--grpc", &grpc]);
    command.args(["--http", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
    let up = start("up", command, folder.path());
    said(&up, "imprimatur compliance verify", 1, SOON).await;
    let channel = Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
    let service = "imprimatur.ingest.v1.CollectorService".to_owned();
    for service in [String::new(), service.clone()] {
        let request = HealthCheckRequest { service };
        let health = HealthClient::new(channel.clone()).check(request).await.unwrap();
        assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    }
    let services = services(channel).await;
    assert!(services.contains(&service), "{services:?}");
    let log = stops(up).await;
    assert!(log.contains("stopped"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_on_a_whole_server_gets_nothing_through_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let address = || ports::loopback(ports::free().unwrap()).to_string();
    let (mqtt, grpc, data) = (address(), address(), folder.path().join("data"));
    let mut command = imprimatur(&["up", "--mqtt", &mqtt, "--grpc", &grpc]);
    command.args(["--http", "127.0.0.1:0", "--data"]).arg(&data);
    let up = start("up", command, folder.path());
    said(&up, "imprimatur compliance verify", 1, SOON).await;
    let target = format!("http://{grpc}");
    let attack = ["compliance", "attack", "--json", "--target", &target, "--broker", &mqtt];
    let report = Answer::of(imprimatur(&attack)).await.exits(0).json();
    assert_eq!((&report["holds"], &report["left"]), (&true.into(), &0.into()), "{report}");
    // The last publication finishes the erasures.
    stops(up).await;
    let catalogue = imprimatur_lake::Catalogue::load(&data.join("lake")).unwrap();
    assert_eq!(catalogue.files.len(), 0, "rows of the attack are left");
    let mut verify = imprimatur(&["compliance", "verify", "--data"]);
    verify.arg(&data);
    Answer::of(verify).await.exits(0);
}

/// The services that reflection lists.
async fn services(channel: Channel) -> Vec<String> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    match answers.message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_says_that_it_is_synthetic_answers_and_is_verified() {
    let answer = Answer::of(imprimatur(&["up", "--demo", "--once"])).await.exits(0);
    for word in ["SYNTHETIC", "NOT ALL CHECKED", "print_duration", "no_grant", "principals"] {
        assert!(answer.out.contains(word), "`{word}` is missing:\n{}", answer.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_stops_cleanly_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let up = start("demo", imprimatur(&["up", "--demo"]), folder.path());
    said(&up, "SYNTHETIC", 1, SOON).await;
    stops(up).await;
}
