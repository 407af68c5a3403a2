//! The catalogue: numbers that stand for public product names, so that no name travels.
//!
//! Numbers are never given twice and never change their meaning; a new entry takes a free number
//! and raises [`VERSION`]. The machine models are in the contract's crate, for those who read rows. The last number of
//! each list stands for everything that is not listed. A name that nobody said has no number: unknown is not `other`.

pub use imprimatur_proto::models::{
    MODEL_OTHER, MODELS, Model, Technology, model, model_by_number,
};
use imprimatur_proto::telemetry::v1::MaterialFamily;

/// Version of these lists; grows with each entry.
pub const VERSION: u32 = 1;

/// Number of a slicer that is not listed.
pub const SLICER_OTHER: u32 = 31;

/// Number of a firmware that is not listed.
pub const FIRMWARE_OTHER: u32 = 63;

/// What slicers call the models of the catalogue, in lower case, letters and digits only: `PrusaSlicer`
/// and its family by `printer_model`, Cura by the machine's name.
const SLICED_FOR: &[(u32, &[&str])] = &[
    (1, &["mk3s", "mk3smmu2s", "prusamk3s"]),
    (2, &["mk4", "mk4is", "prusamk4"]),
    (3, &["mini", "miniis", "prusamini"]),
    (4, &["xl", "xlis", "xl2", "xl2is", "xl5", "xl5is", "prusaxl"]),
    (5, &["coreone", "prusacoreone"]),
    (6, &["ender3", "crealityender3"]),
    (7, &["ender3v2", "crealityender3v2"]),
    (8, &["ender3v3", "crealityender3v3"]),
    (9, &["ender5", "crealityender5"]),
    (10, &["cr10", "crealitycr10"]),
    (11, &["k1", "crealityk1"]),
    (12, &["voronv0120", "voron01"]),
    (13, &["voronv2250", "voronv2300", "voronv2350", "voron24250", "voron24300", "voron24350"]),
    (14, &["vorontrident250", "vorontrident300", "vorontrident350"]),
    (15, &["ultimaker2"]),
    (16, &["ultimaker3"]),
    (17, &["ultimakers3"]),
    (18, &["ultimakers5"]),
    (19, &["ultimakers7"]),
    (20, &["bambulaba1"]),
    (21, &["bambulabp1s"]),
    (22, &["bambulabx1carbon"]),
    (23, &["kobra", "anycubickobra"]),
    (24, &["elegooneptune4"]),
    (25, &["sovolsv06"]),
    (26, &["vc3300", "vc3400", "vc3500", "ratrigvcore3300", "ratrigvcore3400", "ratrigvcore3500"]),
    (128, &["sl1"]),
];

/// Firmware names with the versions that have a number; a version is `major.minor`.
const FIRMWARE: &[(&str, &[(&str, u32)])] = &[
    ("marlin", &[("1.1", 1), ("2.0", 2), ("2.1", 3)]),
    ("klipper", &[("0.10", 8), ("0.11", 9), ("0.12", 10), ("0.13", 11)]),
    ("prusa", &[("3.11", 16), ("3.12", 17), ("3.13", 18), ("3.14", 19), ("5.0", 20), ("5.1", 21)]),
    ("prusa", &[("6.0", 22), ("6.1", 23), ("6.2", 24), ("6.3", 25), ("6.4", 26)]),
    ("reprapfirmware", &[("3.3", 32), ("3.4", 33), ("3.5", 34), ("3.6", 35)]),
];

/// One slicer: its name in files, the versions that have a number, the number of all others.
struct Slicer {
    name: &'static str,
    versions: &'static [(&'static str, u32)],
    otherwise: u32,
}

const SLICERS: &[Slicer] = &[
    Slicer {
        name: "prusaslicer",
        versions: &[("2.5", 1), ("2.6", 2), ("2.7", 3), ("2.8", 4), ("2.9", 5)],
        otherwise: 6,
    },
    Slicer {
        name: "orcaslicer",
        versions: &[("2.0", 7), ("2.1", 8), ("2.2", 9), ("2.3", 10)],
        otherwise: 11,
    },
    Slicer { name: "superslicer", versions: &[("2.5", 12)], otherwise: 13 },
    Slicer { name: "bambustudio", versions: &[("1.9", 14), ("1.10", 15)], otherwise: 16 },
    Slicer { name: "slic3r", versions: &[("1.3", 17)], otherwise: 18 },
    Slicer {
        name: "cura",
        versions: &[("4.13", 19), ("5.6", 20), ("5.7", 21), ("5.8", 22), ("5.9", 23), ("5.10", 24)],
        otherwise: 25,
    },
];

/// The number of the model that a file was sliced for, as the slicer names it; `None` for an empty
/// name, and a model that is not listed is the other one of its `technology`.
pub fn sliced_for(name: &str, technology: Technology) -> Option<u32> {
    let name = plain(name);
    if name.is_empty() || name == "unknown" {
        return None;
    }
    let other = match technology {
        Technology::Extrusion => "other-extrusion",
        Technology::Light => "other-light",
    };
    SLICED_FOR
        .iter()
        .find(|(_, names)| names.contains(&name.as_str()))
        .and_then(|(number, _)| model_by_number(*number))
        .filter(|model| model.technology == technology)
        .or_else(|| model(other))
        .map(|model| model.number)
}

/// The number of a firmware, 1 to 63, [`FIRMWARE_OTHER`] when name or version is not listed.
///
/// Write the name in lower case without its version, and the version with at least two parts:
/// `klipper`, `0.12.0`.
pub fn firmware(name: &str, version: &str) -> u32 {
    let name = plain(name);
    let minor = minor_of(version);
    FIRMWARE
        .iter()
        .filter(|(known, _)| *known == name)
        .flat_map(|(_, versions)| versions.iter())
        .find(|(known, _)| Some(*known) == minor.as_deref())
        .map_or(FIRMWARE_OTHER, |(_, number)| *number)
}

/// The number of a slicer, 1 to 31, [`SLICER_OTHER`] when its name is not listed.
pub fn slicer(name: &str, version: &str) -> u32 {
    let name = match plain(name).as_str() {
        "curaengine" | "curasteamengine" => "cura".to_owned(),
        other => other.to_owned(),
    };
    let minor = minor_of(version);
    SLICERS.iter().find(|slicer| slicer.name == name).map_or(SLICER_OTHER, |slicer| {
        slicer
            .versions
            .iter()
            .find(|(known, _)| Some(*known) == minor.as_deref())
            .map_or(slicer.otherwise, |(_, number)| *number)
    })
}

/// The family of a material name as slicers and owners write it; `None` for an empty name.
///
/// Only the type counts (`PLA`, `PETG`, `PA6-CF`), never a brand: a name that is not understood is
/// `Other`, which says that the owner chose something, not what.
pub fn material(name: &str) -> Option<MaterialFamily> {
    let upper = name.trim().to_ascii_uppercase();
    if upper.is_empty() || upper.len() > 64 {
        return None;
    }
    let mut parts = upper.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty());
    let first = parts.next().unwrap_or_default();
    if parts.clone().any(|part| matches!(part, "CF" | "GF" | "WOOD" | "METAL")) {
        return Some(MaterialFamily::Composite);
    }
    if first == "RESIN" {
        return Some(match parts.next() {
            None | Some("STANDARD") => MaterialFamily::ResinStandard,
            Some("TOUGH" | "ENGINEERING" | "DURABLE") => MaterialFamily::ResinTough,
            Some(_) => MaterialFamily::ResinSpecial,
        });
    }
    Some(match first {
        "PLA" => MaterialFamily::Pla,
        "PET" | "PETG" | "PCTG" | "CPE" => MaterialFamily::Petg,
        "ABS" => MaterialFamily::Abs,
        "ASA" => MaterialFamily::Asa,
        "FLEX" | "TPU" | "TPE" => MaterialFamily::Tpu,
        "PA" | "PA6" | "PA11" | "PA12" | "NYLON" => MaterialFamily::Pa,
        "PC" => MaterialFamily::Pc,
        "PP" => MaterialFamily::Pp,
        "PVA" | "BVOH" => MaterialFamily::Pva,
        "SLA" => MaterialFamily::ResinStandard,
        "POWDER" => MaterialFamily::Powder,
        _ => MaterialFamily::Other,
    })
}

/// The family of a resin by its name, which begins with a brand; `None` for an empty name.
///
/// Only words that say what it is for count (`Acme Tough Orange`); all other names are `Other`.
pub fn resin(name: &str) -> Option<MaterialFamily> {
    if name.trim().is_empty() || name.len() > 128 {
        return None;
    }
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let mut told = words.filter_map(|word| match word.to_ascii_uppercase().as_str() {
        "TOUGH" | "ENGINEERING" | "DURABLE" => Some(MaterialFamily::ResinTough),
        "DENTAL" | "CAST" | "CASTABLE" | "FLEX" | "FLEXIBLE" => Some(MaterialFamily::ResinSpecial),
        "STANDARD" | "BASIC" => Some(MaterialFamily::ResinStandard),
        _ => None,
    });
    Some(told.next().unwrap_or(MaterialFamily::Other))
}

/// Density of a family of filament in grams per cubic centimetre, where its members agree within
/// a few percent; `None` where they do not.
pub fn density(family: MaterialFamily) -> Option<f64> {
    match family {
        MaterialFamily::Pla => Some(1.24),
        MaterialFamily::Petg => Some(1.27),
        MaterialFamily::Abs => Some(1.04),
        MaterialFamily::Asa => Some(1.07),
        MaterialFamily::Tpu => Some(1.21),
        MaterialFamily::Pc => Some(1.20),
        MaterialFamily::Pp => Some(0.90),
        MaterialFamily::Pva => Some(1.23),
        _ => None,
    }
}

/// Lower case, letters and digits only.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(32)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// `2.5.0` and `02.05.00.1` to `2.5`; `None` when there are no two numbers.
fn minor_of(version: &str) -> Option<String> {
    let mut parts = version.trim().trim_start_matches(['v', 'V']).split('.');
    let major = leading_number(parts.next()?)?;
    let minor = leading_number(parts.next()?)?;
    Some(format!("{major}.{minor}"))
}

fn leading_number(text: &str) -> Option<u32> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).take(6).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_of_slicers_and_firmware_are_given_once_and_fit() {
        let slicers: Vec<u32> = SLICERS
            .iter()
            .flat_map(|s| s.versions.iter().map(|v| v.1).chain([s.otherwise]))
            .collect();
        assert_eq!(slicers.iter().collect::<BTreeSet<_>>().len(), slicers.len());
        assert!(slicers.iter().all(|number| (1..SLICER_OTHER).contains(number)));
        let firmware: Vec<u32> =
            FIRMWARE.iter().flat_map(|(_, versions)| versions.iter().map(|v| v.1)).collect();
        assert_eq!(firmware.iter().collect::<BTreeSet<_>>().len(), firmware.len());
        assert!(firmware.iter().all(|number| (1..FIRMWARE_OTHER).contains(number)));
    }

    #[test]
    fn names_are_found_as_programs_write_them() {
        assert_eq!(slicer("PrusaSlicer", "2.5.0"), 1);
        assert_eq!(slicer("BambuStudio", "01.10.01.50"), 15);
        assert_eq!(slicer("Cura_SteamEngine", "4.13.0"), 19);
        assert_eq!(slicer("Cura", "15.04"), 25);
        assert_eq!(slicer("Acme's own slicer", "1.0"), SLICER_OTHER);
        assert_eq!(firmware("Klipper", "v0.12.0-283-gabc"), 10);
        assert_eq!(firmware("klipper", "nightly"), FIRMWARE_OTHER);
        assert_eq!(model("formlabs-form-3").map(|m| m.technology), Some(Technology::Light));
        assert_eq!(model("Jane's printer"), None);
    }

    #[test]
    fn every_name_that_a_slicer_uses_is_of_a_model_and_of_one_only() {
        let mut names = BTreeSet::new();
        for (number, aliases) in SLICED_FOR {
            let model = model_by_number(*number).unwrap();
            for name in *aliases {
                assert!(names.insert(name) && plain(name) == **name, "{name}");
                assert_eq!(sliced_for(name, model.technology), Some(*number));
            }
        }
    }

    #[track_caller]
    fn is_sliced_for(name: &str, technology: Technology, expected: Option<&str>) {
        let expected = expected.and_then(model).map(|model| model.number);
        assert_eq!(sliced_for(name, technology), expected, "{name}");
    }

    #[test]
    fn a_model_that_is_not_listed_is_the_other_one_of_its_kind() {
        is_sliced_for("MK3S", Technology::Extrusion, Some("prusa-mk3s"));
        is_sliced_for("Bambu Lab X1 Carbon", Technology::Extrusion, Some("bambu-x1c"));
        is_sliced_for("Ultimaker S5", Technology::Extrusion, Some("ultimaker-s5"));
        is_sliced_for("Voron 2.4 350", Technology::Extrusion, Some("voron-2.4"));
        is_sliced_for("MK4S", Technology::Extrusion, Some("other-extrusion"));
        is_sliced_for(
            "Jane's printer, serial 4711",
            Technology::Extrusion,
            Some("other-extrusion"),
        );
        is_sliced_for("SL1", Technology::Light, Some("prusa-sl1"));
        is_sliced_for("SL1S", Technology::Light, Some("other-light"));
        is_sliced_for("SL1", Technology::Extrusion, Some("other-extrusion"));
        is_sliced_for("MK4", Technology::Light, Some("other-light"));
        is_sliced_for(" ", Technology::Extrusion, None);
        is_sliced_for("Unknown", Technology::Extrusion, None);
    }

    #[test]
    fn resins_are_told_by_what_they_are_for() {
        assert_eq!(resin("Acme Tough Orange @0.05"), Some(MaterialFamily::ResinTough));
        assert_eq!(resin("Acme Labs Dental Clear"), Some(MaterialFamily::ResinSpecial));
        assert_eq!(resin("Basic grey"), Some(MaterialFamily::ResinStandard));
        assert_eq!(resin("Acme Orange Resin"), Some(MaterialFamily::Other));
        assert_eq!(resin("  "), None);
    }

    #[test]
    fn materials_keep_their_family_and_lose_their_brand() {
        assert_eq!(material("PLA"), Some(MaterialFamily::Pla));
        assert_eq!(material("pla+"), Some(MaterialFamily::Pla));
        assert_eq!(material("PA6-CF"), Some(MaterialFamily::Composite));
        assert_eq!(material("PET"), Some(MaterialFamily::Petg));
        assert_eq!(material("Acme Orange"), Some(MaterialFamily::Other));
        assert_eq!(material("resin tough"), Some(MaterialFamily::ResinTough));
        assert_eq!(material("  "), None);
    }
}
