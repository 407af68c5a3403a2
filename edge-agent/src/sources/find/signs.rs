//! What each printer program is known by, without a key. Pure: from an answer to whether it is the one.
//!
//! Sources: `OctoPrint`'s description of application keys (`probe` is 204); Moonraker's
//! `/access/info`, which it answers to anybody; the realms of `PrusaLink` 0.8.1 and of the firmware that
//! has it built in; the published descriptions of Ultimaker's and Formlabs' interfaces. What has no
//! such sign is not detected.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::advice::Access;
use crate::sources::SourceKind;

/// `PreFormServer`'s own port.
pub(super) const PREFORM_PORT: u16 = 44_388;

/// An answer, as far as signs need it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    pub(super) body: Vec<u8>,
}

/// One question and how its answer is read.
pub(super) struct Sign {
    pub(super) kind: SourceKind,
    pub(super) path: &'static str,
    asked: Asked,
    /// How it may be read, when it is the program; the second answer is that to a path that nobody has.
    pub(super) read: fn(&Seen, &Seen) -> Option<Access>,
}

/// Where a question is worth asking.
#[derive(Clone, Copy)]
enum Asked {
    /// Everywhere.
    Always,
    /// Where the owner said that a printer is: a printer with a board of its own is on no loopback.
    WhereNamed,
    /// The same, and at this port of this host.
    AtPort(u16),
}

pub(super) const SIGNS: [Sign; 5] = [
    Sign {
        kind: SourceKind::Moonraker,
        path: "access/info",
        asked: Asked::Always,
        read: moonraker,
    },
    Sign {
        kind: SourceKind::OctoPrint,
        path: "plugin/appkeys/probe",
        asked: Asked::Always,
        read: octoprint,
    },
    Sign {
        kind: SourceKind::PrusaLink,
        path: "api/v1/status",
        asked: Asked::Always,
        read: prusalink,
    },
    Sign {
        kind: SourceKind::Ultimaker,
        path: "api/v1/printer/status",
        asked: Asked::WhereNamed,
        read: ultimaker,
    },
    Sign {
        kind: SourceKind::Formlabs,
        path: "",
        asked: Asked::AtPort(PREFORM_PORT),
        read: formlabs,
    },
];

impl Sign {
    pub(super) fn is_asked(&self, named: bool, port: Option<u16>) -> bool {
        match self.asked {
            Asked::Always => true,
            Asked::WhereNamed => named,
            Asked::AtPort(own) => named || port == Some(own),
        }
    }
}

fn octoprint(seen: &Seen, nowhere: &Seen) -> Option<Access> {
    (seen.status == 204 && nowhere.status != 204).then_some(Access::Key)
}

fn moonraker(seen: &Seen, _nowhere: &Seen) -> Option<Access> {
    #[derive(Deserialize)]
    struct Answer {
        result: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "default_source")]
        _source: IgnoredAny,
        #[serde(rename = "available_sources")]
        _sources: Vec<IgnoredAny>,
        login_required: bool,
        trusted: Option<bool>,
    }
    let Answer { result } = json(seen)?;
    let open = result.trusted == Some(true) && !result.login_required;
    Some(if open { Access::Open } else { Access::Key })
}

fn prusalink(seen: &Seen, nowhere: &Seen) -> Option<Access> {
    let challenge = seen.challenge.as_deref().filter(|_| seen.status == 401)?;
    let own = [r#"Digest realm="Administrator""#, r#"realm="Printer API""#];
    let is_own = own.iter().any(|realm| challenge.contains(realm));
    (is_own && nowhere.status != 401).then_some(Access::Key)
}

fn ultimaker(seen: &Seen, _nowhere: &Seen) -> Option<Access> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Status {
        Idle,
        Printing,
        Error,
        Maintenance,
        Booting,
    }
    let _known: Status = json(seen)?;
    Some(Access::Open)
}

fn formlabs(seen: &Seen, _nowhere: &Seen) -> Option<Access> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Root {
        version: String,
    }
    let Root { version } = json(seen)?;
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(Access::Open)
}

fn json<T: for<'de> Deserialize<'de>>(seen: &Seen) -> Option<T> {
    if seen.status == 200 { serde_json::from_slice(&seen.body).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, challenge: Option<&str>, body: &str) -> Seen {
        let challenge = challenge.map(str::to_owned);
        Seen { status, challenge, body: body.as_bytes().to_vec() }
    }

    #[track_caller]
    fn check(kind: SourceKind, seen: &Seen, nowhere: u16, expected: Option<Access>) {
        let sign = SIGNS.iter().find(|sign| sign.kind == kind).unwrap();
        let nowhere = Seen { status: nowhere, ..Seen::default() };
        assert_eq!((sign.read)(seen, &nowhere), expected, "{kind:?} {seen:?}");
    }

    /// Who takes an answer.
    fn takers(seen: &Seen, nowhere: &Seen) -> Vec<SourceKind> {
        let signs = SIGNS.iter().filter(|sign| (sign.read)(seen, nowhere).is_some());
        signs.map(|sign| sign.kind).collect()
    }

    #[test]
    fn each_program_is_known_by_its_own_answer() {
        let octoprint = answer(204, None, "");
        check(SourceKind::OctoPrint, &octoprint, 404, Some(Access::Key));
        check(SourceKind::OctoPrint, &octoprint, 204, None);
        check(SourceKind::OctoPrint, &answer(200, None, ""), 404, None);

        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
        let info = std::fs::read_to_string(format!("{fixtures}/moonraker/access-info.json"));
        let info = info.unwrap().lines().next().unwrap().to_owned();
        check(SourceKind::Moonraker, &answer(200, None, &info), 404, Some(Access::Key));
        let trusted = info.replace(r#""trusted":false"#, r#""trusted":true"#);
        check(SourceKind::Moonraker, &answer(200, None, &trusted), 404, Some(Access::Open));
        let login = trusted.replace(r#""login_required":false"#, r#""login_required":true"#);
        check(SourceKind::Moonraker, &answer(200, None, &login), 404, Some(Access::Key));
        check(SourceKind::Moonraker, &answer(401, None, &info), 404, None);
        check(SourceKind::Moonraker, &answer(200, None, r#"{"result": {}}"#), 404, None);

        let own = r#"Digest realm="Administrator",qop="auth",nonce="1""#;
        let built_in = r#"Digest realm="Printer API", nonce="0738cba1009742ac", stale=false"#;
        for challenge in [own, built_in] {
            let seen = answer(401, Some(challenge), "<html>");
            check(SourceKind::PrusaLink, &seen, 404, Some(Access::Key));
            check(SourceKind::PrusaLink, &seen, 401, None);
            check(SourceKind::PrusaLink, &answer(200, Some(challenge), ""), 404, None);
        }
        let router = answer(401, Some(r#"Basic realm="Administrator""#), "");
        check(SourceKind::PrusaLink, &router, 404, None);

        let open = Some(Access::Open);
        for status in ["idle", "printing", "error", "maintenance", "booting"] {
            check(SourceKind::Ultimaker, &answer(200, None, &format!("\"{status}\"")), 404, open);
        }
        check(SourceKind::Ultimaker, &answer(200, None, "\"ok\""), 404, None);
        check(SourceKind::Ultimaker, &answer(200, None, r#"{"status": "idle"}"#), 404, None);

        let root = answer(200, None, r#"{"version": "3.43.2.604"}"#);
        check(SourceKind::Formlabs, &root, 404, open);
        let search = r#"{"name": "node-1", "version": "8.11.0"}"#;
        check(SourceKind::Formlabs, &answer(200, None, search), 404, None);
    }

    #[test]
    fn an_answer_to_everything_is_no_sign() {
        let digest = r#"Digest realm="Administrator", nonce="1""#;
        for (status, challenge, body) in [
            (200, None, "<!DOCTYPE html><title>It works!</title>"),
            (200, None, "{}"),
            (200, None, "[]"),
            (200, None, r#"{"status": "ok"}"#),
            (204, None, ""),
            (302, None, ""),
            (401, Some(digest), "<html>"),
            (403, None, r#"{"error": "forbidden"}"#),
            (500, None, ""),
        ] {
            let seen = answer(status, challenge, body);
            assert_eq!(takers(&seen, &seen), [], "{seen:?}");
        }
    }

    #[test]
    fn boards_are_asked_for_only_where_a_person_said_that_one_is() {
        let asked = |named, port| {
            let signs = SIGNS.iter().filter(|sign| sign.is_asked(named, Some(port)));
            signs.map(|sign| sign.kind).collect::<Vec<_>>()
        };
        let programs = [SourceKind::Moonraker, SourceKind::OctoPrint, SourceKind::PrusaLink];
        assert_eq!(asked(false, 80), programs);
        assert_eq!(asked(false, PREFORM_PORT).last(), Some(&SourceKind::Formlabs));
        assert_eq!(asked(true, 80).len(), SIGNS.len());
    }
}
