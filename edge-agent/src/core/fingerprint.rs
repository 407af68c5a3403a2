//! The hardware under a grant, as tags that only this device can compute; never leaves it.
//!
//! Each fact is HMAC-SHA256 under the identity's tag key. Facts: the serial number of the devicetree,
//! product and board number of the DMI, and the addresses of network interfaces that have a device.
//! Addresses that software gave (the local bit) tell nothing and are left out.
//!
//! The board must be the same, and one of the interfaces that were there must be: a plug may come
//! and go. A board whose number its maker never set proves nothing alone, therefore both.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use imprimatur_consent::Digest;
use sha2::Sha256;

/// Files that tell the board, below the root folder.
const BOARD: [&str; 4] = [
    "proc/device-tree/serial-number",
    "sys/firmware/devicetree/base/serial-number",
    "sys/class/dmi/id/product_uuid",
    "sys/class/dmi/id/board_serial",
];

/// Folder of the network interfaces, below the root folder.
const NET: &str = "sys/class/net";

/// What a grant remembers of the hardware. Without any fact it is the same as without any fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Fingerprint {
    board: BTreeSet<Digest>,
    net: BTreeSet<Digest>,
}

impl Fingerprint {
    /// Reads the hardware below a root folder.
    pub(super) fn read(root: &Path, key: &[u8; 32]) -> Self {
        let tag = |kind: &str, fact: &str| tag(key, kind, fact);
        let board = BOARD.iter().filter_map(|place| Some((place, fact(&root.join(place))?)));
        let board = board.filter_map(|(place, fact)| {
            // Both paths of the devicetree are the same file on most hosts.
            let kind = if place.ends_with("serial-number") { "serial" } else { place };
            tag(kind, &fact)
        });
        let net = fs::read_dir(root.join(NET)).into_iter().flatten().flatten();
        let net = net.map(|entry| entry.path()).filter(|place| place.join("device").exists());
        let net = net.filter_map(|place| fact(&place.join("address")));
        let net = net.filter(|address| !local(address));
        Self { board: board.collect(), net: net.filter_map(|fact| tag("net", &fact)).collect() }
    }

    /// Whether this is still the hardware of then.
    pub(super) fn is(&self, now: &Self) -> bool {
        let shared = !self.net.is_disjoint(&now.net);
        let board_tells = !self.board.is_empty();
        // Interfaces may come up late, or be added; a board that is known vouches for them.
        let unknown = if board_tells {
            self.net.is_empty() || now.net.is_empty()
        } else {
            self.net.is_empty() && now.net.is_empty()
        };
        self.board == now.board && (shared || unknown)
    }
}

/// The text of a small file, trimmed; `None` when there is none.
fn fact(place: &Path) -> Option<String> {
    let bytes = fs::read(place).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|sign: char| sign.is_whitespace() || sign == '\0');
    (!text.is_empty()).then(|| text.to_ascii_lowercase())
}

/// Whether software gave an address: the second lowest bit of its first byte, or no address at all.
fn local(address: &str) -> bool {
    let first = address.get(..2).and_then(|first| u8::from_str_radix(first, 16).ok());
    first.is_none_or(|first| first & 2 != 0) || address.bytes().all(|b| b == b'0' || b == b':')
}

fn tag(key: &[u8; 32], kind: &str, fact: &str) -> Option<Digest> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(kind.as_bytes());
    mac.update(&[0]);
    mac.update(fact.as_bytes());
    Some(Digest(mac.finalize().into_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a host of this board and these interfaces.
    pub(crate) fn host(board: &str, addresses: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        if !board.is_empty() {
            let place = root.path().join("proc/device-tree");
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("serial-number"), format!("{board}\0")).unwrap();
        }
        for (number, address) in addresses.iter().enumerate() {
            let place = root.path().join(NET).join(format!("eth{number}"));
            fs::create_dir_all(place.join("device")).unwrap();
            fs::write(place.join("address"), format!("{address}\n")).unwrap();
        }
        let virtual_one = root.path().join(NET).join("docker0");
        fs::create_dir_all(&virtual_one).unwrap();
        fs::write(virtual_one.join("address"), "00:11:22:33:44:99\n").unwrap();
        root
    }

    #[track_caller]
    fn check(then: (&str, &[&str]), now: (&str, &[&str]), same: bool) {
        let read =
            |(board, net): (&str, &[&str])| Fingerprint::read(host(board, net).path(), &[7; 32]);
        assert_eq!(read(then).is(&read(now)), same, "{then:?} {now:?}");
    }

    const A: &str = "00:11:22:33:44:01";
    const B: &str = "00:11:22:33:44:02";
    const RANDOM: &str = "02:11:22:33:44:03";

    #[test]
    fn other_hardware_is_told_from_the_same() {
        check(("b1", &[A]), ("b1", &[A]), true);
        check(("b1", &[A]), ("b2", &[A]), false);
        check(("b1", &[A]), ("b1", &[B]), false);
        check(("b1", &[A, B]), ("b1", &[B]), true);
        check(("b1", &[A]), ("b1", &[A, B]), true);
        check(("b1", &[A]), ("b1", &[]), true);
        check(("b1", &[A, RANDOM]), ("b1", &[A]), true);
        check(("b1", &[RANDOM]), ("b1", &[]), true);
        check(("", &[A]), ("", &[A]), true);
        check(("", &[A]), ("", &[B]), false);
        check(("", &[A]), ("", &[]), false);
        check(("", &[]), ("", &[A]), false);
        check(("", &[]), ("", &[]), true);
        check(("", &[]), ("b1", &[]), false);
    }

    #[test]
    fn nothing_of_the_hardware_can_be_read_off_it() {
        let root = host("b1", &[A]);
        let one = Fingerprint::read(root.path(), &[7; 32]);
        assert_ne!(one, Fingerprint::read(root.path(), &[8; 32]), "another key, another tag");
        let text = serde_json::to_string(&one).unwrap();
        assert!(!text.contains("b1\"") && !text.contains("11:22"), "{text}");
        assert_eq!((one.board.len(), one.net.len()), (1, 1));
    }
}
