//! The parameters of a question in an address: each at most once, and no others.

use crate::format::Format;
use crate::problem::{Code, Problem};

/// What an address asks, beside the metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) by: Option<String>,
    pub(crate) filters: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) format: Option<Format>,
}

impl Parameters {
    /// Reads what stands behind the question mark.
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut found = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "by" => &mut found.by,
                "where" => &mut found.filters,
                "since" => &mut found.since,
                "format" => {
                    if found.format.replace(Format::named(&value)?).is_some() {
                        return Err(twice("format"));
                    }
                    continue;
                }
                _ => {
                    let detail = "the parameters are `by`, `where`, `since` and `format`";
                    return Err(Problem::new(Code::BadParameter, detail));
                }
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(twice(&name));
            }
        }
        Ok(found)
    }
}

fn twice(name: &str) -> Problem {
    Problem::new(Code::BadParameter, format!("`{name}` is there twice; separate values by commas"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_read_once_and_no_other_is() {
        let read = Parameters::read("by=model,week&where=outcome%3Ddone&since=2026-11-01").unwrap();
        assert_eq!(read.by.as_deref(), Some("model,week"));
        assert_eq!(read.filters.as_deref(), Some("outcome=done"));
        assert_eq!(read.since.as_deref(), Some("2026-11-01"));
        assert_eq!(Parameters::read("").unwrap(), Parameters::default());
        for wrong in ["by=a&by=b", "format=csv&format=json", "k=1", "BY=a", "=", "format=exe"] {
            assert_eq!(Parameters::read(wrong).unwrap_err().code, Code::BadParameter, "{wrong}");
        }
    }
}
