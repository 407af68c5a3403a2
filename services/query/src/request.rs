//! A question as it is asked, and its check against the registered metrics.

use std::collections::BTreeMap;

use imprimatur_consent::Category;
use imprimatur_runtime::UtcDate;

use crate::dimension::{Dimension, names};
use crate::error::QueryError;
use crate::metric::Metric;
use crate::nearest;

/// Most dimensions to group by: each one more doubles the margins, and three make small groups.
pub const DIMENSIONS_MOST: usize = 3;

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Name of a registered metric.
    pub metric: String,
    /// Dimensions to group by, in the order of the answer's columns; one named twice counts once.
    pub by: Vec<Dimension>,
    /// Only rows with these values; several values of one dimension mean any of them.
    pub filters: Vec<(Dimension, String)>,
    /// Only rows of this UTC date and later.
    pub since: Option<UtcDate>,
}

/// A question that can be answered.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) metric: Metric,
    pub(crate) by: Vec<Dimension>,
    pub(crate) filters: BTreeMap<Dimension, Vec<i32>>,
    pub(crate) since: Option<UtcDate>,
}

impl Request {
    /// Reads a question as it is typed: `by` is `DIM,..`, `filters` is `DIM=VALUE,..`, `since` is a
    /// date.
    ///
    /// # Errors
    /// [`QueryError`] that names what may be written.
    pub fn parse(
        metric: &str,
        by: Option<&str>,
        filters: Option<&str>,
        since: Option<&str>,
    ) -> Result<Self, QueryError> {
        let parts = |text: Option<&str>| -> Vec<String> {
            let parts = text.unwrap_or_default().split(',').map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let filter = |text: String| match text.split_once('=') {
            Some((dimension, value)) => Ok((dimension.trim().parse()?, value.trim().to_owned())),
            None => Err(QueryError::NotAFilter { text }),
        };
        Ok(Self {
            metric: metric.to_owned(),
            by: parts(by).iter().map(|part| part.parse()).collect::<Result<_, _>>()?,
            filters: parts(filters).into_iter().map(filter).collect::<Result<_, _>>()?,
            since: since.map(str::parse).transpose().map_err(QueryError::Since)?,
        })
    }

    pub(crate) fn check(&self, metrics: &[Metric]) -> Result<Question, QueryError> {
        let metric = metrics.iter().find(|metric| metric.name == self.metric).ok_or_else(|| {
            let allowed: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            QueryError::UnknownMetric {
                name: self.metric.clone(),
                hint: nearest::hint(&self.metric, allowed.iter().copied()),
                allowed: allowed.join(", "),
            }
        })?;
        let allow = |dimension: Dimension| {
            if metric.dimensions.contains(&dimension) {
                return Ok(dimension);
            }
            let (metric, allowed) = (metric.name.clone(), names(&metric.dimensions));
            Err(QueryError::DimensionNotAllowed { metric, dimension, allowed })
        };
        let mut by = Vec::new();
        for &dimension in &self.by {
            if !by.contains(&allow(dimension)?) {
                by.push(dimension);
            }
        }
        if by.len() > DIMENSIONS_MOST {
            return Err(QueryError::TooFine);
        }
        let mut filters: BTreeMap<Dimension, Vec<i32>> = BTreeMap::new();
        for (dimension, text) in &self.filters {
            let value = allow(*dimension)?.value(text)?;
            filters.entry(*dimension).or_default().push(value);
        }
        Ok(Question { metric: metric.clone(), by, filters, since: self.since })
    }
}

impl Question {
    /// Every dimension that it looks at: those of the groups first, in their order.
    pub(crate) fn dimensions(&self) -> Vec<Dimension> {
        let others = self.filters.keys().filter(|dimension| !self.by.contains(dimension));
        self.by.iter().chain(others).copied().collect()
    }

    /// Whether it needs a category: then no row counts whose subject is excluded from it.
    pub(crate) fn uses(&self, category: Category) -> bool {
        self.metric.categories.contains(&category)
            || self.dimensions().iter().any(|one| one.category() == Some(category))
    }
}
