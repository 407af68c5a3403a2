//! Tests of the settings: what is refused and how it is named, for one printer and for several.

use super::*;

const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn chain(error: &dyn std::error::Error) -> String {
    let next = error.source().map(chain).unwrap_or_default();
    format!("{error}: {next}")
}

#[track_caller]
fn rejects(text: &str, expected: &str) {
    let error = Config::from_toml(&format!("data_dir = \"d\"\n{text}")).unwrap_err();
    assert!(chain(&error).contains(expected), "{}", chain(&error));
}

#[track_caller]
fn rejects_broker(broker: &str, expected: &str) {
    rejects(&format!("[collector]\nkey = \"{KEY}\"\nbroker = \"{broker}\""), expected);
}

#[test]
fn unusable_settings_are_named() {
    rejects("spool_bytes_maximum = 5", "unknown field `spool_bytes_maximum`");
    rejects("spool_bytes_max = 5", "`spool_bytes_max` is `5`, expected 2048..=1073741824");
    rejects("[collector]", "missing field `key`");
    rejects("[collector]\nkey = \"12\"", "`collector.key` is `12`, expected the collector's");
    rejects("[report]\nseal_after = \"hour\"", "unknown variant `hour`");
    rejects("[machine]\nmodel = \"toaster\"", "`machine.model` is `toaster`");
    rejects("[machine]\nfirmware = \"klipper\"", "`machine.firmware` is `klipper`");
    rejects("[machine]\nnozzle_mm = 0", "`machine.nozzle_mm` is `0`");
    rejects("[[source]]\nkind = \"telepathy\"", "unknown variant `telepathy`");
    rejects("language = \"xx\"", "`language` is `xx`");
    rejects("deny = [\"geometry\"]", "unknown variant `geometry`");
    rejects("grant = [\"status\"]", "unknown field `grant`");
    rejects("name = \"anna\"", "`name` is `anna`, expected `name` and `active_file` together");
    rejects("active_file = \"/run/active\"", "`active_file` is `/run/active`");
    rejects("[farm]\nmandate = \"m\"\nprinter = \"p\"\nkey = \"12\"", "`farm.key` is `12`");
    rejects("policy = \"/nowhere/policy.toml\"", "cannot read `/nowhere/policy.toml`");
    assert!(Config::from_toml("").is_err());
}

#[test]
fn a_broker_on_another_machine_needs_a_word() {
    rejects_broker("mqtt://printer-farm:1883", "allow_plaintext");
    rejects_broker("mqtt://192.168.1.5", "leads to another machine without TLS");
    rejects_broker("mqtts://broker.example", "wants TLS");
    rejects_broker("http://127.0.0.1", "`collector.broker` is");
    rejects_broker("mqtt://user:word@127.0.0.1", "without name, password or path");
    for local in ["mqtt://127.0.0.1:1884", "mqtt://localhost", "mqtt://[::1]:1883"] {
        let text = format!("[collector]\nkey = \"{KEY}\"\nbroker = \"{local}\"");
        Config::from_toml(&format!("data_dir = \"d\"\n{text}")).unwrap();
    }
    let far = "broker = \"mqtt://10.0.0.1\"\nallow_plaintext = true";
    let text = format!("data_dir = \"d\"\n[collector]\nkey = \"{KEY}\"\n{far}");
    let broker = Config::from_toml(&text).unwrap().uplink.unwrap().broker;
    assert_eq!((broker.host.as_str(), broker.port), ("10.0.0.1", 1883));
}

#[test]
fn the_default_reads_and_sends_nothing() {
    let config = Config::from_toml("data_dir = \"d\"").unwrap();
    let [printer] = config.printers.as_slice() else { panic!("{config:?}") };
    assert!(config.uplink.is_none() && printer.agent.collector.is_none());
    assert_eq!((printer.sources.len(), config.seal_after), (0, SealAfter::Day));
    assert_eq!((config.policy.name.as_str(), config.several()), ("strictest", false));
    assert_eq!(printer.agent.data_dir, config.data_dir, "the store is where it always was");
}

#[test]
fn what_the_example_has_in_comments_can_be_used() {
    let key = "\nkey = \"".to_owned() + KEY + "\"";
    let farm = format!("[farm]\nmandate = \"/m\"\nprinter = \"hall 1\"{key}");
    let text = "data_dir = \"d\"\ndeny = [\"identity\"]\nname = \"anna\"\n\
                active_file = \"/run/a\"\nprincipal_file = \"p\"\nlanguage = \"en\"\n";
    let config = Config::from_toml(&format!("{text}{farm}")).unwrap();
    let printer = config.printers.into_iter().next().unwrap();
    assert_eq!(printer.active.map(|active| active.name).as_deref(), Some("anna"));
    assert_eq!(printer.agent.farm.map(|farm| farm.printer).as_deref(), Some("hall 1"));
    assert!(printer.agent.deny.contains(&Category::Identity));
}

#[test]
fn the_example_is_what_it_says() {
    let config = Config::from_toml(include_str!("../../config/agent.toml")).unwrap();
    let printer = &config.printers[0];
    assert_eq!(printer.machine.model.map(|model| model.name), Some("prusa-mk4"));
    assert_eq!((config.uplink.is_some(), printer.sources.len()), (true, 1));
}

/// A file with these lines at the top and then these.
fn farm(top: &str, rest: &str) -> Result<Config, ConfigError> {
    Config::from_toml(&format!("data_dir = \"d\"\n{top}\n{rest}"))
}

/// `[[printer]]` tables with these lines, named `a`, `b` and so on.
fn tables(of: &[&str]) -> String {
    let names = ('a'..='z').zip(of);
    let tables = names.map(|(name, lines)| format!("[[printer]]\nname = \"{name}\"\n{lines}\n"));
    tables.collect::<Vec<_>>().concat()
}

#[track_caller]
fn refuses(top: &str, rest: &str, expected: &[&str]) {
    let error = chain(&farm(top, rest).unwrap_err());
    for part in expected {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_unusable_printer_is_named() {
    let second = |lines: &str| tables(&["", lines]);
    let b = "printer `b` cannot be used";
    for (lines, expected) in [
        ("colour = \"red\"", "unknown field `colour`"),
        ("spool_bytes_max = 5", "`spool_bytes_max` is `5`, expected 2048..=1073741824"),
        ("deny = [\"geometry\"]", "unknown variant `geometry`"),
        ("machine.model = \"toaster\"", "`machine.model` is `toaster`"),
        ("machine.color = \"red\"", "unknown field `color`"),
        ("farm.printer = \"hall 2\"", "a `[farm]` with its list at the top"),
        ("active_file = \"/run/a\"", "`name` and `active_file` together"),
        ("[[printer.source]]\nkind = \"telepathy\"", "unknown variant `telepathy`"),
        ("[[printer.source]]\nkind = \"octoprint\"\nurl = \"http://127.0.0.1\"", "`api_key`"),
        ("[[printer.source]]\nkind = \"moonraker\"\nurl = \"https://127.0.0.1\"", "uses https"),
    ] {
        refuses("", &second(lines), &[b, expected]);
    }
    refuses("", "[[printer]]\nname = \"Hall 1\"", &["printer `Hall 1`", "small letters, digits"]);
    refuses("", "[[printer]]\nname = \"..\"", &["printer `..`", "small letters, digits"]);
    refuses("", "[[printer]]\nname = 3", &["printer `number 1`"]);
    refuses("", &format!("{}[[printer]]\n", tables(&[""])), &["printer `number 2`", "`name`"]);
    let twice = "[[printer]]\nname = \"a\"\n[[printer]]\nname = \"a\"";
    refuses("", twice, &["printer `a`", "a name that no other printer has"]);
    let same = "[[printer.source]]\nkind = \"gcode\"\nfolder = \"/srv\"";
    refuses("", &tables(&[same, same]), &[b, "that of `a`", "one would be told as two"]);
    let many = "[[printer]]\nname = \"x\"\n".repeat(65);
    refuses("", &many, &["`printer` is `65`, expected 1 to 64 tables"]);
    refuses("printer = \"a\"", "", &["printer"]);
}

#[test]
fn a_file_is_for_one_printer_or_for_several() {
    let one = tables(&[""]);
    let list = format!("[farm]\nmandate = \"m\"\nkey = \"{KEY}\"\nprinter = \"p\"\n");
    let source = "[[source]]\nkind = \"gcode\"\nfolder = \"/srv\"\n";
    for (key, lines) in
        [("source", source), ("machine", "[machine]\n"), ("farm.printer", list.as_str())]
    {
        refuses("", &format!("{lines}{one}"), &[&format!("`{key}` stands beside `[[printer]]`")]);
        farm("", lines).unwrap();
    }
    let active = "name = \"anna\"\nactive_file = \"/run/a\"";
    refuses(active, &one, &["`active_file` stands beside"]);
    refuses("name = \"anna\"", &one, &["`name` is `anna`", "`active_file` together"]);
    refuses("", &format!("[farm]\nmandate = \"m\"\nkey = \"{KEY}\""), &["`farm.printer` is"]);
    assert!(farm("", &one).unwrap().several(), "one table is one of several");
}

#[test]
fn each_printer_has_what_is_its_own_and_all_have_what_is_at_the_top() {
    let top = "deny = [\"identity\"]\nspool_bytes_max = 4096\nname = \"anna\"\nlanguage = \"en\"\n\
               principal_file = \"p\"";
    let list = format!("[farm]\nmandate = \"/m\"\nkey = \"{KEY}\"\n");
    let own = "deny = [\"laser\"]\nspool_bytes_max = 2048\nactive_file = \"/run/b\"\n\
               farm.printer = \"hall 2\"\nmachine.model = \"prusa-mk4\"\n\
               [[printer.source]]\nkind = \"gcode\"\nfolder = \"/srv/b\"";
    let config = farm(top, &format!("{list}{}", tables(&["", own]))).unwrap();
    let [a, b] = config.printers.as_slice() else { panic!("{config:?}") };
    let name = |printer: &PrinterSettings| printer.name.as_ref().unwrap().to_string();
    assert_eq!((name(a), name(b)), ("a".to_owned(), "b".to_owned()));
    let folder = |name: &str| PathBuf::from(format!("d/printers/{name}"));
    assert_eq!((&a.agent.data_dir, &b.agent.data_dir), (&folder("a"), &folder("b")));
    assert_eq!((a.agent.spool_bytes_max, b.agent.spool_bytes_max), (4096, 2048));
    assert_eq!(a.agent.deny, [Category::Identity].into(), "what another denies is its own");
    assert_eq!(b.agent.deny, [Category::Identity, Category::Laser].into());
    assert_eq!(a.agent.principal_file, b.agent.principal_file);
    let listed = |printer: &PrinterSettings| printer.agent.farm.clone().unwrap().printer;
    assert_eq!((listed(a), listed(b)), ("a".to_owned(), "hall 2".to_owned()));
    let active = |printer: &PrinterSettings| printer.active.clone().map(|active| active.name);
    assert_eq!((active(a), active(b)), (None, Some("anna".to_owned())));
    assert_eq!((a.sources.len(), b.sources.len()), (0, 1));
    assert_eq!((a.machine.model.is_some(), b.machine.model.is_some()), (false, true));
}

#[test]
fn no_key_of_a_file_can_say_yes() {
    let places = [
        ("", ""),
        ("[report]", ""),
        ("[machine]", ""),
        ("[collector]", "key = \"00\""),
        ("[farm]", "mandate = \"m\"\nkey = \"00\""),
        ("[[printer]]", "name = \"a\""),
        ("[[printer]]\nname = \"a\"\n[printer.machine]", ""),
        ("[[printer]]\nname = \"a\"\n[printer.farm]", "printer = \"p\""),
        ("[[source]]\nkind = \"gcode\"\nfolder = \"/srv\"", ""),
    ];
    let words = [
        "grant",
        "granted",
        "grants",
        "consent",
        "flags",
        "yes",
        "allow",
        "accept",
        "categories",
        "permit",
        "enable",
        "opt_in",
        "undeny",
        "token",
    ];
    for (place, needed) in places {
        for word in words {
            for value in ["[\"status\"]", "\"status\"", "true"] {
                let text = format!("{place}\n{needed}\n{word} = {value}\n");
                let error = chain(&farm("", &text).unwrap_err());
                assert!(error.contains(&format!("unknown field `{word}`")), "{text}: {error}");
            }
        }
    }
    refuses("deny = [\"!status\"]", "", &["unknown variant"]);
    refuses("deny = false", "", &["invalid type"]);
}

#[test]
fn the_farms_example_is_what_it_says() {
    let config = Config::from_toml(include_str!("../../config/farm.toml")).unwrap();
    let sources: Vec<_> = config.printers.iter().map(|printer| printer.sources.len()).collect();
    assert_eq!((config.uplink.is_some(), sources), (true, vec![1, 2, 1]));
    let denied: Vec<_> = config.printers.iter().map(|printer| printer.agent.deny.len()).collect();
    assert_eq!(denied, [1, 2, 1]);
    let comments = include_str!("../../config/farm.toml")
        .replace("# [farm]", "[farm]")
        .replace("# mandate =", "mandate =")
        .replace("# key =", "key =")
        .replace("# farm.printer", "farm.printer")
        .replace("# active_file", "active_file")
        .replace("deny = [\"identity\"]", "deny = [\"identity\"]\nname = \"anna\"");
    let config = Config::from_toml(&comments).unwrap();
    let printers = config.printers.iter();
    let listed = printers.map(|printer| printer.agent.farm.clone().unwrap().printer);
    assert_eq!(listed.collect::<Vec<_>>(), ["hall-1", "hall 2", "laser-1"]);
    assert!(config.printers[2].active.is_some());
}
