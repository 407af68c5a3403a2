//! What the console takes from npm: its chart library, copied into `web/vendor`, and the checker of its tests.
//!
//! Keeps true: what is installed is what `package-lock.json` names, by its hashes, and no script of a package
//! runs. It is installed in the cache of peers, not in the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::error::TaskError;
use crate::run;

/// The console's folder; the browser tests read the same two files of it.
const HOME: &str = "services/console";
const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";

/// What is copied, by its place among the packages and its name in the vendored folder.
const COPIED: [(&str, &str); 3] = [
    ("chart.js/dist/chart.umd.min.js", "chart.umd.min.js"),
    ("chart.js/LICENSE.md", "LICENSE.md"),
    // Its one dependency, which is built into the file above.
    ("@kurkle/color/LICENSE.md", "color-LICENSE.md"),
];

#[derive(Deserialize)]
struct Manifest {
    version: String,
}

/// Files by their names in `web/vendor`.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Copies the library, or with `check` compares what is there with what the lock file names.
pub(crate) fn vendor(check: bool) -> Result<(), TaskError> {
    let packages = packages()?;
    let folder = run::root().join(HOME).join("web/vendor");
    let wanted = wanted(&packages)?;
    let mut there = Files::new();
    collect(&folder, &folder, &mut there)?;
    if wanted == there {
        println!("console: {} files are those of the locked packages", wanted.len());
        return Ok(());
    }
    if check {
        let differs = |name: &&PathBuf| wanted.get(*name) != there.get(*name);
        let names = wanted.keys().chain(there.keys()).find(differs);
        let name = names.map(|name| name.display().to_string()).unwrap_or_default();
        return Err(TaskError::Vendor { path: format!("{HOME}/web/vendor/{name}") });
    }
    replace(&folder, &wanted)?;
    println!(
        "console: {} files copied; name them in its `src/lib.rs` and `index.html`",
        wanted.len()
    );
    Ok(())
}

/// The folder of packages, installed when it is not there or is of another lock file.
pub(crate) fn packages() -> Result<PathBuf, TaskError> {
    let (home, cache) = (run::root().join(HOME), run::peers_cache().join("console"));
    let marker = cache.join("installed.txt");
    let lock = read(&home.join(LOCK))?;
    if fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return Ok(cache.join("node_modules"));
    }
    println!("peers: making {}", cache.display());
    fs::create_dir_all(&cache).map_err(|source| file(&cache, source))?;
    for name in [MANIFEST, LOCK] {
        write(&cache.join(name), &read(&home.join(name))?)?;
    }
    let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run::check(Command::new("npm").args(options).current_dir(&cache))?;
    write(&marker, &lock)?;
    Ok(cache.join("node_modules"))
}

/// Whether npm runs. It comes with Node.js, from Debian or from elsewhere.
pub(crate) fn has_npm() -> bool {
    run::succeeds(Command::new("npm").arg("--version"))
}

fn wanted(packages: &Path) -> Result<Files, TaskError> {
    let path = packages.join("chart.js").join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&read(&path)?)
        .map_err(|source| TaskError::Json { command: path.display().to_string(), source })?;
    let folder = PathBuf::from(format!("chart.js-{}", manifest.version));
    COPIED
        .into_iter()
        .map(|(from, to)| Ok((folder.join(to), read(&packages.join(from))?)))
        .collect()
}

fn collect(folder: &Path, root: &Path, files: &mut Files) -> Result<(), TaskError> {
    for entry in fs::read_dir(folder).map_err(|source| file(folder, source))? {
        let path = entry.map_err(|source| file(folder, source))?.path();
        if path.is_dir() {
            collect(&path, root, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            files.insert(name, read(&path)?);
        }
    }
    Ok(())
}

fn replace(folder: &Path, wanted: &Files) -> Result<(), TaskError> {
    fs::remove_dir_all(folder).map_err(|source| file(folder, source))?;
    for (name, bytes) in wanted {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|source| file(parent, source))?;
        write(&path, bytes)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, TaskError> {
    fs::read(path).map_err(|source| file(path, source))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TaskError> {
    fs::write(path, bytes).map_err(|source| file(path, source))
}

fn file(path: &Path, source: std::io::Error) -> TaskError {
    TaskError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_folder_bears_the_version_and_a_changed_byte_is_seen() {
        let packages = tempfile::tempdir().unwrap();
        package(
            packages.path(),
            "chart.js/package.json",
            r#"{"name":"chart.js","version":"9.8.7"}"#,
        );
        for (from, to) in COPIED {
            package(packages.path(), from, to);
        }
        let all = wanted(packages.path()).unwrap();
        let names: Vec<_> = all.keys().map(|name| name.display().to_string()).collect();
        assert_eq!(names[0], "chart.js-9.8.7/LICENSE.md");
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().join("vendor");
        fs::create_dir(&folder).unwrap();
        replace(&folder, &all).unwrap();
        let mut there = Files::new();
        collect(&folder, &folder, &mut there).unwrap();
        assert_eq!(all, there);
        fs::write(folder.join(&names[1]), "other").unwrap();
        collect(&folder, &folder, &mut there).unwrap();
        assert_ne!(all, there);
    }
}
