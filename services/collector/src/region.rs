//! Where a collector stands: the word of its operator, held against what a policy promises.

use std::fmt;
use std::str::FromStr;

/// The members of the European Economic Area, ISO 3166-1.
const EEA: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO \
    SE SI SK";

/// `EEA`, or a country by its two letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

/// A text that is no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no region; write `EEA` or the two capital letters of a country")]
pub struct NotARegion(String);

impl Region {
    /// The European Economic Area.
    pub fn eea() -> Self {
        Self("EEA".to_owned())
    }

    /// Whether what is here is within one of these regions.
    pub fn is_within(&self, regions: &[String]) -> bool {
        let member = EEA.split_ascii_whitespace().any(|country| country == self.0);
        regions.iter().any(|region| *region == self.0 || (region == "EEA" && member))
    }
}

impl FromStr for Region {
    type Err = NotARegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let country = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let known = text == "EEA" || country;
        if known { Ok(Self(text.to_owned())) } else { Err(NotARegion(text.to_owned())) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_of_the_area_is_within_it_and_the_area_in_no_country() {
        let is = |here: &str, promised: &[&str]| {
            let promised: Vec<String> = promised.iter().map(ToString::to_string).collect();
            here.parse::<Region>().unwrap().is_within(&promised)
        };
        assert!(is("EEA", &["EEA"]) && is("NL", &["EEA"]) && is("US", &["EEA", "US"]));
        assert!(!is("US", &["EEA"]) && !is("EEA", &["NL"]) && !is("GB", &["EEA"]));
        assert!(!is("NL", &[]));
        for wrong in ["", "eea", "nl", "NLD", "N1"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }
}
