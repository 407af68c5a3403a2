//! The machine models: numbers that stand for public product names, and how each makes parts.
//!
//! The agent tells the number and no name; who reads rows has the technology from the number, so no row holds it. Numbers are
//! never given twice and never change their meaning.

/// Number of a machine model that is not listed.
pub const MODEL_OTHER: u32 = 255;

/// How a machine makes parts; decides which alternative of a print report it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Technology {
    /// Extruded filament.
    #[default]
    Extrusion,
    /// Light on resin or powder.
    Light,
}

impl Technology {
    /// All that there are, in the order of their values in questions.
    pub const ALL: [Self; 2] = [Self::Extrusion, Self::Light];

    /// Its name in questions and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extrusion => "extrusion",
            Self::Light => "light",
        }
    }
}

/// A machine model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its number, 1 to 255.
    pub number: u32,
    /// Its catalogue name, as the owner writes it in the settings.
    pub name: &'static str,
    /// How it makes parts.
    pub technology: Technology,
}

/// All machine models, by number.
pub const MODELS: &[Model] = &[
    extrusion(1, "prusa-mk3s"),
    extrusion(2, "prusa-mk4"),
    extrusion(3, "prusa-mini"),
    extrusion(4, "prusa-xl"),
    extrusion(5, "prusa-core-one"),
    extrusion(6, "creality-ender-3"),
    extrusion(7, "creality-ender-3-v2"),
    extrusion(8, "creality-ender-3-v3"),
    extrusion(9, "creality-ender-5"),
    extrusion(10, "creality-cr-10"),
    extrusion(11, "creality-k1"),
    extrusion(12, "voron-0"),
    extrusion(13, "voron-2.4"),
    extrusion(14, "voron-trident"),
    extrusion(15, "ultimaker-2"),
    extrusion(16, "ultimaker-3"),
    extrusion(17, "ultimaker-s3"),
    extrusion(18, "ultimaker-s5"),
    extrusion(19, "ultimaker-s7"),
    extrusion(20, "bambu-a1"),
    extrusion(21, "bambu-p1s"),
    extrusion(22, "bambu-x1c"),
    extrusion(23, "anycubic-kobra"),
    extrusion(24, "elegoo-neptune-4"),
    extrusion(25, "sovol-sv06"),
    extrusion(26, "ratrig-v-core"),
    extrusion(27, "other-extrusion"),
    light(128, "prusa-sl1"),
    light(129, "formlabs-form-2"),
    light(130, "formlabs-form-3"),
    light(131, "formlabs-form-4"),
    light(132, "formlabs-fuse-1"),
    light(133, "sls4all-inova"),
    light(134, "elegoo-mars"),
    light(135, "elegoo-saturn"),
    light(136, "anycubic-photon"),
    light(137, "other-light"),
    extrusion(MODEL_OTHER, "other"),
];

/// Finds a machine model by its catalogue name.
pub fn model(name: &str) -> Option<Model> {
    MODELS.iter().find(|model| model.name == name).copied()
}

/// Finds a machine model by its number.
pub fn model_by_number(number: u32) -> Option<Model> {
    MODELS.iter().find(|model| model.number == number).copied()
}

/// How a model makes parts, by its number; `None` of a number that is not listed and of [`MODEL_OTHER`],
/// which may be any machine.
pub fn technology(number: u32) -> Option<Technology> {
    model_by_number(number)
        .filter(|model| model.number != MODEL_OTHER)
        .map(|model| model.technology)
}

const fn extrusion(number: u32, name: &'static str) -> Model {
    Model { number, name, technology: Technology::Extrusion }
}

const fn light(number: u32, name: &'static str) -> Model {
    Model { number, name, technology: Technology::Light }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_of_models_are_given_once_and_fit() {
        let numbers: BTreeSet<u32> = MODELS.iter().map(|model| model.number).collect();
        let names: BTreeSet<&str> = MODELS.iter().map(|model| model.name).collect();
        assert_eq!((numbers.len(), names.len()), (MODELS.len(), MODELS.len()));
        assert!(numbers.iter().all(|number| (1..=255).contains(number)));
    }

    #[test]
    fn a_number_that_says_no_model_says_no_technology() {
        assert_eq!(technology(1), Some(Technology::Extrusion));
        assert_eq!(technology(133), Some(Technology::Light));
        assert_eq!([0, 28, 127, MODEL_OTHER].map(technology), [None; 4]);
    }
}
