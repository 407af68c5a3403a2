//! Settings of these sources: what is refused, and why.

use imprimatur_agent::sources::{Source, SourceKind};
use std::sync::Arc;

use crate::rig::settings;

#[track_caller]
fn refuses(toml: &str, expected: &str) {
    let error = settings(toml).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn unusable_settings_are_refused_with_a_reason() {
    let prusalink = |rest: &str| format!("kind = \"prusalink\"\nurl = \"http://a\"\n{rest}");
    refuses(&prusalink(""), "`api_key_file`");
    refuses(&prusalink("api_key = \"k\"\napi_key_file = \"f\""), "`api_key_file`");
    refuses(&prusalink("api_key = \"k k\""), "`api_key` is empty or has characters");
    refuses(&prusalink("api_key = \"k\"\npoll_seconds = 6"), "1 to 5 seconds");
    refuses(&prusalink("api_key = \"k\"\npassword = \"p\""), "unknown field");
    refuses(&prusalink("api_key = \"k\"\nmaterial = \"PLAA\""), "`material`");
    refuses("kind = \"prusalink\"\nurl = \"https://a\"\napi_key = \"k\"", "uses https");

    let ultimaker = |rest: &str| format!("kind = \"ultimaker\"\n{rest}");
    refuses(&ultimaker("url = \"http://8.8.8.8\""), "out of the local network");
    refuses(&ultimaker("url = \"http://a\"\napi_key = \"k\""), "unknown field");
    refuses(&ultimaker("url = \"http://a\"\npoll_seconds = 0.2"), "1 to 60 seconds");
    refuses(&ultimaker("material = \"PLA\""), "missing field `url`");

    let formlabs = |rest: &str| format!("kind = \"formlabs\"\nurl = \"http://a:44388\"\n{rest}");
    refuses(&formlabs(""), "`url` and `device` of PreFormServer, or the table `dashboard`");
    let long = "x".repeat(65);
    for device in ["", "a/../scene", "Form 4", "a?b", long.as_str()] {
        refuses(&formlabs(&format!("device = \"{device}\"")), "`device` is not an id");
    }
    refuses(&formlabs("device = \"Form4-A\"\npoll_seconds = 61"), "1 to 60 seconds");
    let client = "[dashboard]\nclient_id = \"c\"\nclient_secret_file = \"f\"";
    let dashboard = |rest: &str| format!("kind = \"formlabs\"\n{client}\n{rest}");
    refuses(&dashboard(""), "missing field `printer`");
    refuses(&dashboard("printer = \"a/../o\""), "`printer` is not a serial number");
    refuses(&dashboard("printer = \"A\"\nurl = \"http://a\""), "`https://api.formlabs.com");
    refuses(&dashboard("printer = \"A\"\nurl = \"https://u:p@a\""), "only host, port and path");
    refuses(&dashboard("printer = \"A\"\nclient_secret = \"s\""), "unknown field");
    refuses(&format!("poll_seconds = 601\n{}", dashboard("printer = \"A\"")), "1 to 600 seconds");
    refuses(&formlabs(&format!("{client}\nprinter = \"A\"")), "or the table `dashboard`");
}

#[test]
fn a_key_and_a_device_are_never_shown() {
    for toml in [
        "kind = \"prusalink\"\nurl = \"http://10.0.0.7\"\napi_key = \"SECRETKEY\"",
        "kind = \"formlabs\"\nurl = \"http://127.0.0.1:44388\"\ndevice = \"SECRETKEY\"",
        "kind = \"formlabs\"\n[dashboard]\nprinter = \"SECRETKEY\"\nclient_id = \"SECRETKEY\"\n\
         client_secret_file = \"f\"",
    ] {
        let text = format!("{:?}", settings(toml).unwrap());
        assert!(!text.contains("SECRETKEY"), "{text}");
    }
}

#[test]
fn each_source_is_shown_under_its_own_name_and_address() {
    let key = "api_key = \"k\"";
    let device = "device = \"Form4-A\"";
    for (kind, rest, name) in [
        (SourceKind::PrusaLink, key, "prusalink"),
        (SourceKind::Ultimaker, "", "ultimaker"),
        (SourceKind::Formlabs, device, "formlabs"),
    ] {
        let toml = format!("kind = \"{name}\"\nurl = \"http://10.0.0.7:8080\"\n{rest}");
        let source = Source::new(
            settings(&toml).unwrap(),
            Arc::new(|| imprimatur_agent::reading::UnixSeconds(1)),
        );
        let status = source.status().borrow().clone();
        assert_eq!((status.kind, status.kind.name()), (kind, name));
        assert_eq!(status.address, "http://10.0.0.7:8080/");
    }
}
