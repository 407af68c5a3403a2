//! The twenty questions that the metrics are there for, each as a request: `questions.toml`.

use crate::error::MetricsError;
use crate::metric::Metric;
use crate::request::{Request, command};

const BUILT_IN: &str = include_str!("../questions.toml");

/// One of the twenty questions, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its number, 1 to 20.
    pub number: u8,
    /// What an engineer asks.
    pub question: String,
    /// The metric.
    pub metric: String,
    /// Dimensions to group by, as [`Request::parse`] takes them.
    pub by: Option<String>,
    /// Filters, as [`Request::parse`] takes them.
    #[serde(rename = "where")]
    pub filters: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    question: Vec<Asked>,
}

/// The questions that this program was built with, each of which the metrics can answer.
///
/// # Errors
/// [`MetricsError`] when one names what there is not.
pub fn questions(metrics: &[Metric]) -> Result<Vec<Asked>, MetricsError> {
    let file: RawFile = toml::from_str(BUILT_IN).map_err(MetricsError::Parse)?;
    for asked in &file.question {
        let checked = asked.request().and_then(|request| request.check(metrics));
        checked.map_err(|error| MetricsError::Question {
            number: asked.number,
            source: Box::new(error),
        })?;
    }
    Ok(file.question)
}

impl Asked {
    /// The question as a request.
    ///
    /// # Errors
    /// [`crate::QueryError`] that names what may be written.
    pub fn request(&self) -> Result<Request, crate::QueryError> {
        Request::parse(&self.metric, self.by.as_deref(), self.filters.as_deref(), None)
    }

    /// The question as a command.
    pub fn command(&self) -> String {
        command(&self.metric, self.by.as_deref(), self.filters.as_deref(), None)
    }
}
