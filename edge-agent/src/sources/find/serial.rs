//! Serial ports that may be a printer's board, by their names alone: none is opened.

use std::fs;
use std::path::Path;

use super::{Found, advice};
use crate::sources::marlin;

/// No host has more boards.
const PORTS_MAX: usize = 64;

/// What names of ports hold that may be a board: makers of boards, and of the chips on most of them.
const MAKERS: [&str; 9] =
    ["1a86", "Arduino", "CP210", "FTDI", "Marlin", "marlinfw", "Prusa", "RAMBo", "UltiMachine"];

/// What the name of a board holds that Klipper has: it is read through Moonraker.
const KLIPPER: &str = "Klipper";

/// The ports of `folder`; none where there is no such folder. A name may hold a serial number: it is
/// for the owner's terminal.
pub(super) fn ports(folder: &Path) -> Vec<Found> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(PORTS_MAX);
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| may_be_a_board(name));
    names.sort_unstable();
    names.iter().map(|name| port(&folder.join(name))).collect()
}

fn port(path: &Path) -> Found {
    let held = fs::canonicalize(path).is_ok_and(|device| marlin::is_held(&device));
    advice::serial(&path.display().to_string(), held)
}

fn may_be_a_board(name: &str) -> bool {
    let holds = |word: &str| {
        name.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    name.bytes().all(|byte| byte.is_ascii_graphic())
        && MAKERS.iter().any(|maker| holds(maker))
        && !holds(KLIPPER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_told_by_their_names_and_nothing_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let board = "usb-Prusa_Research__prusa3d.com__Original_Prusa_i3_MK3_CZPX0000-if00";
        let chip = "usb-1a86_USB_Serial-if00-port0";
        for name in [
            board,
            chip,
            "usb-Klipper_stm32f446xx_0123456789-if00",
            "usb-Logitech_Webcam-if00",
            "usb-FTDI_\u{1b}[31m-if00",
        ] {
            // What leads nowhere cannot be opened: a port that was would be missing here.
            std::os::unix::fs::symlink("/nonexistent", folder.path().join(name)).unwrap();
        }
        let found = ports(folder.path());
        let expected = [chip, board].map(|name| folder.path().join(name).display().to_string());
        let addresses: Vec<_> = found.iter().map(|found| found.address.clone()).collect();
        assert_eq!(addresses, expected);
        assert!(found.iter().all(|found| found.credential.contains("last choice")));
        assert_eq!(ports(&folder.path().join("missing")), []);
    }

    #[test]
    fn a_port_that_a_program_has_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("ttyUSB0");
        let open = fs::File::create(&device).unwrap();
        let by_id = folder.path().join("by-id");
        fs::create_dir(&by_id).unwrap();
        std::os::unix::fs::symlink(&device, by_id.join("usb-1a86_USB_Serial-if00")).unwrap();
        let told = || ports(&by_id).pop().unwrap().credential;
        assert!(told().starts_with("Another program has the port"), "{}", told());
        drop(open);
        assert!(told().starts_with("No key"), "{}", told());
    }
}
