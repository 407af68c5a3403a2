//! Why a request is refused: one code each, for HTTP and gRPC alike, in words that tell nothing of anybody.
//!
//! The one total match from errors to codes is here. A failure inside is told as a number that is also in the log.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use imprimatur_query::QueryError;
use imprimatur_runtime::entropy;
use tonic::metadata::AsciiMetadataValue;

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Code {
    Unauthenticated,
    Forbidden,
    Expired,
    UnknownMetric,
    UnknownDimension,
    DimensionNotAllowed,
    UnknownValue,
    NotAFilter,
    SeveralValues,
    BadDate,
    SinceMidMonth,
    BadParameter,
    TooFine,
    BelowThreshold,
    RateLimited,
    TooLong,
    TooLarge,
    NotPublished,
    NotFound,
    Withdrawn,
    MethodNotAllowed,
    Internal,
}

impl Code {
    /// All codes.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 22] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Expired,
        Self::UnknownMetric,
        Self::UnknownDimension,
        Self::DimensionNotAllowed,
        Self::UnknownValue,
        Self::NotAFilter,
        Self::SeveralValues,
        Self::BadDate,
        Self::SinceMidMonth,
        Self::BadParameter,
        Self::TooFine,
        Self::BelowThreshold,
        Self::RateLimited,
        Self::TooLong,
        Self::TooLarge,
        Self::NotPublished,
        Self::NotFound,
        Self::Withdrawn,
        Self::MethodNotAllowed,
        Self::Internal,
    ];

    /// Its name in answers and counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Expired => "expired",
            Self::UnknownMetric => "unknown_metric",
            Self::UnknownDimension => "unknown_dimension",
            Self::DimensionNotAllowed => "dimension_not_allowed",
            Self::UnknownValue => "unknown_value",
            Self::NotAFilter => "not_a_filter",
            Self::SeveralValues => "several_values",
            Self::BadDate => "bad_date",
            Self::SinceMidMonth => "since_mid_month",
            Self::BadParameter => "bad_parameter",
            Self::TooFine => "too_fine",
            Self::BelowThreshold => "below_threshold",
            Self::RateLimited => "rate_limited",
            Self::TooLong => "too_long",
            Self::TooLarge => "too_large",
            Self::NotPublished => "not_published",
            Self::NotFound => "not_found",
            Self::Withdrawn => "withdrawn",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Internal => "internal",
        }
    }

    /// Its status and the words that go with it.
    pub(crate) fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "No token that counts"),
            Self::Expired => (StatusCode::UNAUTHORIZED, "The token has expired"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "The token is for something else"),
            Self::UnknownMetric => (StatusCode::NOT_FOUND, "No such metric"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Nothing is here"),
            Self::Withdrawn => (StatusCode::GONE, "The release is withdrawn"),
            Self::UnknownDimension => (StatusCode::BAD_REQUEST, "No such dimension"),
            Self::DimensionNotAllowed => {
                (StatusCode::BAD_REQUEST, "The metric does not have this dimension")
            }
            Self::UnknownValue => (StatusCode::BAD_REQUEST, "No such value"),
            Self::NotAFilter => (StatusCode::BAD_REQUEST, "No filter"),
            Self::SeveralValues => (StatusCode::BAD_REQUEST, "Several values of a filter"),
            Self::BadDate => (StatusCode::BAD_REQUEST, "No date"),
            Self::SinceMidMonth => (StatusCode::BAD_REQUEST, "Not the first day of a month"),
            Self::BadParameter => (StatusCode::BAD_REQUEST, "A parameter that cannot be used"),
            Self::TooFine => (StatusCode::UNPROCESSABLE_ENTITY, "Too fine a question"),
            Self::BelowThreshold => (StatusCode::UNPROCESSABLE_ENTITY, "Too few principals"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Self::TooLong => (StatusCode::URI_TOO_LONG, "The address is too long"),
            Self::TooLarge => (StatusCode::SERVICE_UNAVAILABLE, "Too large a question"),
            Self::NotPublished => (StatusCode::SERVICE_UNAVAILABLE, "Nothing usable is published"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "A failure inside"),
        }
    }
}

impl Code {
    /// The kind of status over gRPC.
    fn grpc(self) -> tonic::Code {
        match self {
            Self::Unauthenticated | Self::Expired => tonic::Code::Unauthenticated,
            Self::Forbidden => tonic::Code::PermissionDenied,
            Self::UnknownMetric | Self::NotFound | Self::Withdrawn => tonic::Code::NotFound,
            Self::UnknownDimension
            | Self::DimensionNotAllowed
            | Self::UnknownValue
            | Self::NotAFilter
            | Self::SeveralValues
            | Self::BadDate
            | Self::SinceMidMonth
            | Self::BadParameter
            | Self::TooLong => tonic::Code::InvalidArgument,
            Self::TooFine | Self::BelowThreshold => tonic::Code::FailedPrecondition,
            Self::RateLimited | Self::TooLarge => tonic::Code::ResourceExhausted,
            Self::NotPublished => tonic::Code::Unavailable,
            Self::MethodNotAllowed => tonic::Code::Unimplemented,
            Self::Internal => tonic::Code::Internal,
        }
    }
}

impl From<Problem> for tonic::Status {
    fn from(problem: Problem) -> Self {
        let mut status = Self::new(problem.code.grpc(), problem.detail);
        let code = AsciiMetadataValue::from_static(problem.code.name());
        status.metadata_mut().insert("imprimatur-code", code);
        if let Some(seconds) = problem.retry_after {
            status.metadata_mut().insert("retry-after", AsciiMetadataValue::from(seconds));
        }
        status
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// What was wrong and what may be done.
    pub(crate) detail: String,
    /// After how many seconds to come again.
    pub(crate) retry_after: Option<u64>,
    /// Of groups that are too small: how many principals each needs, and how many groups were withheld.
    pub(crate) threshold: Option<(u32, usize)>,
}

/// RFC 9457, section 3.
#[derive(serde::Serialize)]
struct Details<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<usize>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, threshold: None }
    }

    /// A failure inside: the log has the error under a number, the peer has the number.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let number = entropy::bytes::<4>().map(hex::encode).unwrap_or_default();
        tracing::error!(number, %error, "a request failed; the level debug tells why");
        let mut cause = error.source();
        while let Some(inner) = cause {
            tracing::debug!(number, cause = %inner, "a request failed");
            cause = inner.source();
        }
        Self::new(Code::Internal, format!("the log has the reason under number {number}"))
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = match &error {
            QueryError::UnknownMetric { .. } => Code::UnknownMetric,
            QueryError::UnknownDimension { .. } => Code::UnknownDimension,
            QueryError::DimensionNotAllowed { .. } => Code::DimensionNotAllowed,
            QueryError::UnknownValue { .. } => Code::UnknownValue,
            QueryError::NotAFilter { .. } => Code::NotAFilter,
            QueryError::SeveralValues { .. } => Code::SeveralValues,
            QueryError::SinceMidMonth { .. } => Code::SinceMidMonth,
            QueryError::Since(source) => {
                return Self::new(Code::BadDate, format!("`since`: {source}"));
            }
            QueryError::BelowThreshold { k, suppressed, .. } => {
                let threshold = Some((k.get(), *suppressed));
                return Self { threshold, ..Self::new(Code::BelowThreshold, error.to_string()) };
            }
            QueryError::TooFine => Code::TooFine,
            QueryError::TooLarge { .. } => Code::TooLarge,
            QueryError::Catalogue(_) => {
                tracing::warn!(%error, "nothing usable is published");
                let wait = "the collector has published nothing that can be read; come again later";
                return Self::new(Code::NotPublished, wait);
            }
            QueryError::Moved => Code::NotPublished,
            QueryError::Metrics(_)
            | QueryError::Edition(_)
            | QueryError::File { .. }
            | QueryError::Engine(_) => {
                return Self::internal(&error);
            }
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let (status, title) = self.code.status();
        let (k, suppressed) = self.threshold.unzip();
        let details = Details {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            code: self.code.name(),
            detail: &self.detail,
            k,
            suppressed,
        };
        let mut response = Response::new(Body::from(json(&details)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self.code);
        response
    }
}

/// JSON of a value of this program, which has no map with other keys than text.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
