//! The forms in which an answer may be had, by the parameter `format` or the header `Accept`.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::problem::{Code, Problem};

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Arrow,
    Parquet,
}

impl Format {
    const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its name as a parameter.
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of a file's name; `None` for what is read at once.
    pub(crate) fn ending(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Arrow => Some("arrows"),
            Self::Csv | Self::Parquet => Some(self.name()),
        }
    }

    /// The form of a parameter.
    pub(crate) fn named(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Problem::new(Code::BadParameter, format!("`format` is one of {names}"))
        })
    }

    /// The first form that a header names; JSON where it names none that there is.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut types = values.flat_map(|value| value.split(','));
        let bare = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_lowercase();
        let of = |kind: &str| {
            let wanted = bare(kind);
            Self::ALL.into_iter().find(|one| bare(one.media_type()) == wanted)
        };
        types.find_map(of).unwrap_or(Self::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepts(header: &str, expected: Format) {
        let headers = HeaderMap::from_iter([(ACCEPT, header.parse().unwrap())]);
        assert_eq!(Format::accepted(&headers), expected, "{header}");
    }

    #[test]
    fn the_first_form_that_there_is_counts_and_json_otherwise() {
        accepts("text/csv", Format::Csv);
        accepts("Text/CSV;q=0.5, application/json", Format::Csv);
        accepts("text/html, application/json, text/csv", Format::Json);
        accepts("application/vnd.apache.arrow.stream", Format::Arrow);
        accepts("application/vnd.apache.parquet", Format::Parquet);
        accepts("*/*", Format::Json);
        accepts("image/png", Format::Json);
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Json);
        assert_eq!(Format::named("csv"), Ok(Format::Csv));
        assert_eq!(Format::named("xml").unwrap_err().code, Code::BadParameter);
    }
}
