//! Builds the agent as it is shipped: one static, stripped file for x86-64, and refuses any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::run;

/// The one target that is built here. A C library without plug-ins is what makes a static file whole:
/// names are resolved without loading anything.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Largest binary, bytes: a small printer host has as much to spare.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The same with OPC UA: a PC has more to spare.
const MACHINES_BYTES_MAX: u64 = 20 * 1024 * 1024;

/// Marks of an ELF program or section header.
const INTERPRETER: u32 = 3;
const SYMBOLS: u32 = 2;

/// What of a binary decides whether it is shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Binary {
    /// It asks for a loader, and with it for shared libraries.
    loaded: bool,
    /// It has a table of symbols.
    symbols: bool,
    bytes: u64,
}

/// For which hosts the agent is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// Those of printers: small.
    Printers,
    /// PCs beside industrial machines: with OPC UA.
    Machines,
}

/// Builds, checks, prints what was measured, and gives the binary.
pub(crate) fn build(hosts: Hosts) -> Result<PathBuf, TaskError> {
    let mut libraries = run::in_root("rustc");
    let libraries = run::output(libraries.args(["--print", "target-libdir", "--target", TARGET]))?;
    if !Path::new(libraries.trim()).exists() {
        return Err(TaskError::Missing {
            what: "the static target",
            command: format!("rustup target add {TARGET}"),
        });
    }
    let mut cargo = run::cargo();
    cargo.args(["build", "--profile", "agent", "-p", "imprimatur-agent", "--target", TARGET]);
    if hosts == Hosts::Machines {
        cargo.args(["--features", "opcua"]);
    }
    run::check(&mut cargo)?;
    let path = run::target().join(TARGET).join("agent/imprimatur-agent");
    let content =
        fs::read(&path).map_err(|source| TaskError::File { path: path.clone(), source })?;
    let binary = inspect(&content);
    let refuse = |why| TaskError::NotShipped { path: path.clone(), why };
    let bytes_max = hosts.bytes_max();
    let Binary { bytes, .. } = judge(binary, bytes_max).map_err(refuse)?;
    // A file that looks right and does not run is of no use.
    run::check(Command::new(&path).arg("--version"))?;
    println!(
        "agent: {}: static, stripped, {bytes} bytes ({:.1} MiB of {})",
        path.display(),
        crate::footprint::mebibytes(bytes),
        crate::footprint::mebibytes(bytes_max)
    );
    Ok(path)
}

impl Hosts {
    /// Largest binary, bytes.
    fn bytes_max(self) -> u64 {
        match self {
            Self::Printers => BYTES_MAX,
            Self::Machines => MACHINES_BYTES_MAX,
        }
    }
}

/// Whether it is shipped; else why not and what to do.
fn judge(binary: Option<Binary>, bytes_max: u64) -> Result<Binary, String> {
    let binary = binary.ok_or("it is no 64-bit ELF file for x86-64: build it on Linux")?;
    if binary.loaded {
        return Err("it wants a loader: something turned `crt-static` off".to_owned());
    }
    if binary.symbols {
        return Err("it has symbols: keep `strip = true` in `profile.agent`".to_owned());
    }
    if binary.bytes > bytes_max {
        let bytes = binary.bytes;
        return Err(format!("it has {bytes} bytes, more than {bytes_max}: see what was added"));
    }
    Ok(binary)
}

/// Reads the headers of a little-endian 64-bit ELF file for x86-64; `None` for anything else.
fn inspect(file: &[u8]) -> Option<Binary> {
    let magic = file.starts_with(b"\x7fELF\x02\x01") && number::<2>(file, 18)? == 62;
    let headers = |start, size, count, kind_at| {
        let (start, size, count) =
            (number::<8>(file, start)?, number::<2>(file, size)?, number::<2>(file, count)?);
        let kind = |at: u64| u32::try_from(number::<4>(file, start + at * size + kind_at)?).ok();
        (0..count).map(kind).collect::<Option<Vec<u32>>>()
    };
    let (programs, sections) = (headers(32, 54, 56, 0)?, headers(40, 58, 60, 4)?);
    magic.then_some(Binary {
        loaded: programs.contains(&INTERPRETER),
        symbols: sections.contains(&SYMBOLS),
        bytes: u64::try_from(file.len()).ok()?,
    })
}

/// The little-endian number of `N` bytes at a place.
fn number<const N: usize>(file: &[u8], at: u64) -> Option<u64> {
    let bytes = file.get(usize::try_from(at).ok()?..)?.first_chunk::<N>()?;
    Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Binary = Binary { loaded: false, symbols: false, bytes: 4096 };

    #[test]
    fn this_very_program_has_symbols_and_wants_a_loader() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let binary = inspect(&own).unwrap();
        assert!(binary.loaded && binary.bytes > 100_000, "{binary:?}");
        assert!(judge(Some(binary), BYTES_MAX).unwrap_err().contains("wants a loader"));
    }

    /// One program header and one section header of these kinds.
    fn file(program: u32, section: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 + 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18] = 62;
        (file[32], file[54], file[56]) = (64, 56, 1);
        (file[40], file[58], file[60]) = (120, 64, 1);
        file[64..68].copy_from_slice(&program.to_le_bytes());
        file[124..128].copy_from_slice(&section.to_le_bytes());
        file
    }

    #[test]
    fn loaders_and_symbols_are_seen_in_the_headers() {
        for (program, section, loaded, symbols) in
            [(1, 1, false, false), (3, 1, true, false), (1, 2, false, true)]
        {
            let found = inspect(&file(program, section)).unwrap();
            assert_eq!((found.loaded, found.symbols, found.bytes), (loaded, symbols, 184));
        }
        let whole = file(1, 1);
        for cut in [0, 5, 19, 63, 100, 126] {
            assert_eq!(inspect(&whole[..cut]), None, "{cut} bytes");
        }
        let mut other = whole;
        other[18] = 183;
        assert_eq!(inspect(&other), None, "another processor");
    }

    #[test]
    fn what_is_loaded_named_or_large_is_not_shipped() {
        assert_eq!(judge(Some(GOOD), BYTES_MAX), Ok(GOOD));
        let larger = Binary { bytes: BYTES_MAX + 1, ..GOOD };
        assert_eq!(judge(Some(larger), Hosts::Machines.bytes_max()), Ok(larger));
        for (binary, why) in [
            (None, "no 64-bit ELF"),
            (Some(Binary { loaded: true, ..GOOD }), "wants a loader"),
            (Some(Binary { symbols: true, ..GOOD }), "has symbols"),
            (Some(Binary { bytes: BYTES_MAX + 1, ..GOOD }), "more than 8388608"),
        ] {
            let told = judge(binary, Hosts::Printers.bytes_max()).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
