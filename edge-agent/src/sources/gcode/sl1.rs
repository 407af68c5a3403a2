//! What an SL1 archive says of itself: its first entry, `config.ini`, and nothing behind it.
//!
//! `PrusaSlicer` writes `config.ini` before all else, so the layers, which are pictures of the model, their
//! names and the directory that lists them are never read. An archive that begins with anything else,
//! or whose `config.ini` unpacks to more than [`CONFIG_BYTES_MAX`], says nothing.

use std::io::Read as _;

use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};

use super::keys::{SECONDS_MAX, keep, positive};
use crate::catalogue::{self, Technology};
use crate::reading::Sliced;

/// Longest `config.ini` that is looked at, unpacked; a real one has 440 bytes.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// How each entry of an archive begins.
const ENTRY: &[u8] = b"PK\x03\x04";

/// Most millilitres that are believed: ten bottles.
const MILLILITRES_MAX: f64 = 10_000.0;

/// Whether these are the first bytes of an archive.
pub(super) fn is_archive(head: &[u8]) -> bool {
    head.starts_with(ENTRY)
}

/// Takes the facts out of the first bytes of an archive.
pub(super) fn facts(head: &[u8]) -> Sliced {
    let mut facts = Sliced::default();
    for line in config(head).unwrap_or_default().lines() {
        if let Some((key, value)) = line.split_once(" = ") {
            take(&mut facts, key, value.trim());
        }
    }
    facts
}

fn take(facts: &mut Sliced, key: &str, value: &str) {
    match key {
        "printTime" => keep(&mut facts.seconds, positive(value, SECONDS_MAX)),
        "usedMaterial" => keep(&mut facts.amount, positive(value, MILLILITRES_MAX)),
        "layerHeight" => keep(&mut facts.layer_height, positive(value, 5.0)),
        "materialName" => keep(&mut facts.family, catalogue::resin(value)),
        "printerModel" => keep(&mut facts.model, catalogue::sliced_for(value, Technology::Light)),
        // `PrusaSlicer-2.5.0+UNKNOWN`.
        "prusaSlicerVersion" => keep(
            &mut facts.slicer,
            value.split_once('-').map(|(name, version)| catalogue::slicer(name, version)),
        ),
        _ => {}
    }
}

/// The text of `config.ini`.
fn config(mut head: &[u8]) -> Option<String> {
    // The slicer writes length and checksum behind the entry, which ends by itself.
    let length = u64::try_from(head.len()).ok()?;
    let options = ZipReadOptions::default().ignore_crc32(true).override_compressed_size(length);
    let entry = read_zipfile_from_stream_with_options(&mut head, options).ok()??;
    if entry.name().ok()? != "config.ini" {
        return None;
    }
    let mut text = String::new();
    let read = entry.take(CONFIG_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).ok()?;
    (u64::try_from(read).ok()? <= CONFIG_BYTES_MAX).then_some(text)
}

#[cfg(test)]
mod tests;
