//! The commands of the server: exit codes, examples, JSON.

use std::fs;

use crate::program::{Answer, imprimatur, program};

async fn says(arguments: &[&str]) -> Answer {
    Answer::of(imprimatur(arguments)).await
}

#[tokio::test]
async fn every_command_shows_an_example() {
    let commands: [&[&str]; 19] = [
        &["up"],
        &["broker"],
        &["bridge"],
        &["collector"],
        &["enrol"],
        &["query"],
        &["query-server"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke"],
        &["metrics"],
        &["release", "make"],
        &["release", "list"],
        &["release", "show"],
        &["release", "withdraw"],
        &["release", "budget"],
        &["compliance", "verify"],
        &["compliance", "schema"],
        &["compliance", "attack"],
    ];
    let mut without = Vec::new();
    for command in commands {
        let help = says(&[command, &["--help"]].concat()).await.exits(0);
        if !help.out.contains("Example: imprimatur ") {
            without.push(command.join(" "));
        }
    }
    assert!(without.is_empty(), "no example in the help of {without:?}");
    let agent = |arguments: &[&str]| {
        let mut command = program("imprimatur-agent");
        command.args(arguments).arg("--help");
        Answer::of(command)
    };
    for command in [&["run"][..], &["consent", "grant"], &["preview"], &["log"], &["sources"]] {
        let help = agent(command).await.exits(0);
        assert!(help.out.contains("Example: imprimatur-agent "), "{help:?}");
    }
}

#[tokio::test]
async fn a_wrong_command_is_usage() {
    for wrong in [
        &["fly"][..],
        &[],
        &["query"],
        &["up"],
        &["up", "--once", "--data", "d"],
        &["enrol", "--data", "d", "--principals", "some"],
        &["token", "create", "--data", "d", "--role", "root", "--name", "n", "--days", "1"],
        &["query", "print_count", "--data", "d", "--json", "--csv"],
    ] {
        let answer = says(wrong).await.exits(2);
        assert!(answer.out.is_empty() && !answer.err.is_empty(), "{wrong:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_wrong_question_is_usage_and_says_what_may_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    for (wrong, named) in [
        (vec!["shoe_size"], "shoe_size"),
        (vec!["print_duration", "--by", "moon_phase"], "moon_phase"),
        (vec!["print_duration", "--since", "yesterday"], "yesterday"),
        (vec!["print_duration", "--where", "material_family=cheese"], "cheese"),
    ] {
        let answer = says(&[&["query"], &wrong[..], &["--data", &data]].concat()).await.exits(2);
        assert!(answer.err.contains(named), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unusable_configuration_has_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("no-policy.toml"), "colour = \"red\"").unwrap();
    fs::write(path("short"), "short").unwrap();
    let (data, policy, absent) = (path("data"), path("no-policy.toml"), path("absent"));
    let short = path("short");
    for wrong in [
        vec!["collector", "--data", &data, "--policy", &policy],
        vec!["collector", "--data", &data, "--policy", &absent],
        vec!["bridge", "--password-file", &absent],
        vec!["bridge", "--password-file", &short, "--share", "not/a/name"],
        vec!["enrol", "--data", &absent, "--principals", "1"],
        vec!["broker", "--password-file", &short],
    ] {
        let answer = says(&wrong).await.exits(64);
        assert!(answer.err.starts_with("imprimatur: "), "{wrong:?}: {answer:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_unreachable_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data").display().to_string();
    let answer = says(&["collector", "--data", &data, "--listen", &listen]).await.exits(69);
    assert!(answer.err.contains(&listen), "{answer:?}");
}

#[tokio::test]
async fn metrics_and_schema_are_people_readable_and_json() {
    let people = says(&["metrics"]).await.exits(0).out;
    let metrics = says(&["metrics", "--json"]).await.exits(0).json();
    for metric in metrics.as_array().unwrap() {
        assert!(people.contains(metric["name"].as_str().unwrap()), "{metric}");
    }
    let schema = says(&["compliance", "schema", "--json"]).await.exits(0).json();
    let fields = schema["fields"].as_array().unwrap();
    assert!(fields.len() > 30 && fields.iter().all(|field| field["category"].is_string()));
    assert!(says(&["compliance", "schema"]).await.exits(0).out.contains("of 40"));
}

#[tokio::test]
async fn nothing_stored_is_nothing_proven() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nothing").display().to_string();
    let answer = says(&["compliance", "verify", "--data", &data]).await.exits(1);
    assert!(answer.err.contains("nothing is proven"), "{answer:?}");
}
