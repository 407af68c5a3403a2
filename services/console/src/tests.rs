//! What the files of the page must not do, and that they are all there.

use std::fs;
use std::path::Path;

use super::*;

const OWN: [&str; 4] = ["html", "css", "js", "svg"];

/// Every file that this project wrote, with its text.
fn own() -> Vec<(&'static str, &'static str)> {
    let written = FILES.iter().filter(|(path, _)| !path.starts_with("vendor/"));
    written.map(|(path, asset)| (*path, std::str::from_utf8(asset.bytes).unwrap())).collect()
}

fn ending(path: &str) -> &str {
    path.rsplit('.').next().unwrap()
}

/// What stands between `before` and the next `end`, each time.
fn between<'a>(text: &'a str, before: &str, end: char) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

fn list(folder: &Path, root: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, root, found);
        } else {
            found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_file_of_the_folder_is_built_in_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let mut found = Vec::new();
    list(&root, &root, &mut found);
    found.sort();
    let mut known: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn what_the_page_and_its_modules_refer_to_is_there() {
    let mut references = 0;
    for (path, text) in own() {
        let names = if ending(path) == "html" {
            [between(text, "=\"assets/", '"'), Vec::new()].concat()
        } else {
            [between(text, "from './", '\''), between(text, "import './", '\'')].concat()
        };
        for name in names {
            assert!(asset(name).is_some(), "`{path}` refers to `{name}`, which is not there");
            references += 1;
        }
    }
    assert!(references > 20, "{references}");
}

#[test]
fn no_file_of_ours_names_a_foreign_host() {
    // The name of SVG is no address that is ever asked.
    let name = "www.w3.org/2000/svg";
    for (path, text) in own() {
        for scheme in ["http://", "https://", "ws://", "wss://", "url(//", "=\"//", "'//"] {
            for address in between(text, scheme, '\n') {
                assert!(address.starts_with(name), "`{path}`: {scheme}{address}");
            }
        }
    }
}

#[test]
fn nothing_is_written_into_the_page_that_its_policy_forbids() {
    for (path, text) in own() {
        let is_page = ["html", "svg"].contains(&ending(path));
        if is_page {
            assert!(!text.contains("<style") && !text.contains(" style="), "{path}");
            for script in between(text, "<script", '<') {
                assert!(script.contains(" src=\"") && script.ends_with('>'), "{path}: {script}");
            }
            for word in text.split_whitespace() {
                let is_listener = word.starts_with("on") && word.contains('=');
                assert!(!is_listener, "{path}: {word}");
            }
        }
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!text.contains(forbidden), "`{path}` uses {forbidden}");
        }
        let sets_style = text.contains("'style'") || text.contains(" style: ");
        assert!(ending(path) != "js" || !sets_style, "`{path}` sets a style from text");
    }
}

#[test]
fn the_policy_allows_nothing_from_elsewhere() {
    for part in CONTENT_SECURITY_POLICY.split("; ") {
        let mut sources = part.split(' ').skip(1);
        assert!(sources.all(|one| ["'none'", "'self'", "data:"].contains(&one)), "{part}");
    }
    assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none'"));
}

#[test]
fn files_have_the_type_of_their_ending_and_nothing_else_is_found() {
    for (path, asset) in FILES {
        let ending = ending(path);
        let expected = match ending {
            "html" => HTML,
            "css" => STYLE,
            "js" => SCRIPT,
            "svg" => PICTURE,
            _ => TEXT,
        };
        assert_eq!(asset.content_type, expected, "{path}");
        assert!(!asset.bytes.is_empty(), "{path}");
        assert!(OWN.contains(&ending) || path.starts_with("vendor/"), "{path}");
    }
    for path in ["", "/", "../Cargo.toml", "index.html/", "vendor", "web/index.html", "INDEX.HTML"]
    {
        assert_eq!(asset(path), None, "{path}");
    }
}

#[test]
fn the_token_is_never_put_into_an_address_or_kept_beyond_the_tab() {
    for (path, text) in own() {
        if path != "session.js" {
            assert!(!text.contains("sessionStorage"), "{path}");
        }
        if path != "theme.js" {
            assert!(!text.contains("localStorage"), "{path}");
        }
        assert!(!text.contains("document.cookie"), "{path}");
    }
}

#[test]
fn what_is_taken_from_others_comes_with_its_licence() {
    for name in ["LICENSE.md", "color-LICENSE.md"] {
        let licence = asset(&format!("vendor/chart.js-4.6.1/{name}")).unwrap();
        let text = std::str::from_utf8(licence.bytes).unwrap();
        assert!(text.contains("Permission is hereby granted, free of charge"), "{name}");
    }
}
