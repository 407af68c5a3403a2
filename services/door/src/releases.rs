//! The releases: the list of them, and each as it was first told. They are made by the operator on the host.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Response;
use imprimatur_query::MakeError;
use imprimatur_release::{Listed, ReleaseError};

use crate::problem::{Code, Problem};
use crate::routes::{Shared, of_json, of_type};

#[derive(serde::Serialize)]
struct ReleasesBody {
    /// The oldest first; those that are withdrawn say since when and why.
    releases: Vec<Listed>,
}

/// All of them.
pub(crate) async fn list(State(shared): State<Shared>) -> Result<Response<Body>, Problem> {
    let releases = shared.released.list(shared.clock.now()).await?;
    Ok(of_json(&ReleasesBody { releases }))
}

/// One that stands.
pub(crate) async fn show(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response<Body>, Problem> {
    let unknown =
        || Problem::new(Code::NotFound, "there is no such release; `/v1/releases` lists them");
    let Path(id) = id.map_err(|_no_text| unknown())?;
    let id = id.parse().map_err(|_no_digest| unknown())?;
    let standing = shared.released.show(id, shared.clock.now()).await?;
    Ok(of_type("application/json", standing.bytes))
}

impl From<MakeError> for Problem {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Query(error) => error.into(),
            MakeError::Catalogue(_) => {
                tracing::warn!(%error, "nothing usable is published");
                Self::new(Code::NotPublished, error.to_string())
            }
            MakeError::Release(ReleaseError::Unknown { .. }) => {
                Self::new(Code::NotFound, error.to_string())
            }
            MakeError::Release(ReleaseError::Withdrawn { .. }) => {
                Self::new(Code::Withdrawn, error.to_string())
            }
            error => Self::internal(&error),
        }
    }
}
