//! What the owner writes for what was found, and which credential is the least that does.

use super::Found;
use crate::sources::SourceKind;
use crate::sources::settings::Address;

/// Whether a peer wants a credential to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// None.
    Open,
    /// A key or password.
    Key,
}

/// What the owner is told of a program at an address.
pub(super) fn found(kind: SourceKind, address: &Address, access: Access) -> Found {
    let address = address.to_string();
    let address = address.trim_end_matches('/').to_owned();
    let mut settings = block(kind, "url", &address);
    for line in more(kind, access) {
        settings.push_str(line);
        settings.push('\n');
    }
    Found { kind, address, credential: credential(kind, access), settings }
}

/// What the owner is told of a serial port; `held` when another program is seen to have it.
pub(super) fn serial(device: &str, held: bool) -> Found {
    let credential = if held {
        "Another program has the port: read the printer through that program instead, or end it."
    } else {
        "No key. It may be another device with the same chip. Reading it is a last choice: opening the \
         port restarts many boards, and only one program can have it."
    };
    let settings = block(SourceKind::Marlin, "port", device);
    Found { kind: SourceKind::Marlin, address: device.to_owned(), credential, settings }
}

/// The first lines of a section, with the place quoted as TOML wants it.
fn block(kind: SourceKind, key: &str, place: &str) -> String {
    let place = toml::Value::from(place);
    format!("[[source]]\nkind = \"{}\"\n{key} = {place}\n", kind.name())
}

/// The other lines of a section.
fn more(kind: SourceKind, access: Access) -> &'static [&'static str] {
    match (kind, access) {
        (SourceKind::OctoPrint, _) => &[r#"api_key_file = "/etc/imprimatur/octoprint.key""#],
        (SourceKind::Moonraker, Access::Key) => {
            &[r#"api_key_file = "/etc/imprimatur/moonraker.key""#]
        }
        (SourceKind::PrusaLink, _) => &[r#"api_key_file = "/etc/imprimatur/prusalink.key""#],
        (SourceKind::Duet, Access::Key) => &[r#"password_file = "/etc/imprimatur/duet.password""#],
        (SourceKind::Formlabs, _) => &[
            "# Another id, as its `GET /devices/` lists them:",
            r#"device = "Form4-CapableGecko""#,
        ],
        _ => &[],
    }
}

fn credential(kind: SourceKind, access: Access) -> &'static str {
    match (kind, access) {
        (SourceKind::OctoPrint, _) => {
            "Make an account with the single permission STATUS and an API key of that account, not an \
             application key, which can do all that you can; write it into the file."
        }
        (SourceKind::Moonraker, Access::Open) => {
            "No key: Moonraker trusts this host. Give none, for its one key can do everything."
        }
        (SourceKind::Moonraker, Access::Key) => {
            "Moonraker has one key, which can do everything; the agent only reads. Write it into the \
             file, readable for the agent alone, or let Moonraker trust this host and give none."
        }
        (SourceKind::PrusaLink, _) => {
            "PrusaLink has one key, which can do everything; the agent only reads. Write the key from \
             the printer's settings into the file, readable for the agent alone."
        }
        (SourceKind::Duet, Access::Key) => {
            "The machine has one password, which can do everything; the agent only reads. Write it \
             into the file, readable for the agent alone."
        }
        _ => "No key: it is read without one.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceSettings;

    /// What was found can be written as it is.
    #[track_caller]
    fn check(found: &Found) {
        #[derive(serde::Deserialize)]
        struct Whole {
            source: Vec<SourceSettings>,
        }
        let whole = toml::from_str::<Whole>(&found.settings);
        let source = whole.unwrap_or_else(|error| panic!("{error}: {}", found.settings)).source;
        assert_eq!(source.len(), 1);
        let kind = source.into_iter().next().map(|own| own.reader().0);
        assert_eq!(kind, Some(found.kind));
        assert!(!found.credential.is_empty());
    }

    #[test]
    fn what_is_told_can_be_written_into_the_settings() {
        let address = Address::parse("http://192.168.1.20:81/behind/a/proxy").unwrap();
        for kind in [
            SourceKind::OctoPrint,
            SourceKind::Moonraker,
            SourceKind::PrusaLink,
            SourceKind::Ultimaker,
            SourceKind::Formlabs,
            SourceKind::Duet,
        ] {
            for access in [Access::Open, Access::Key] {
                let found = found(kind, &address, access);
                assert_eq!(found.address, "http://192.168.1.20:81/behind/a/proxy");
                check(&found);
            }
        }
        for device in ["/dev/serial/by-id/usb-1a86_USB_Serial-if00", r#"/dev/a"b\c"#] {
            check(&serial(device, false));
        }
    }

    #[test]
    fn a_key_is_asked_for_only_where_one_is_wanted() {
        let address = Address::parse("http://10.0.0.2").unwrap();
        for kind in [SourceKind::Moonraker, SourceKind::Duet] {
            let open = found(kind, &address, Access::Open);
            assert!(!open.settings.contains("_file") && open.credential.starts_with("No key"));
            assert!(found(kind, &address, Access::Key).settings.contains("_file"));
        }
        let least = found(SourceKind::OctoPrint, &address, Access::Key);
        assert!(least.credential.contains("single permission STATUS"));
    }
}
