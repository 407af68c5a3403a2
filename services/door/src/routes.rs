//! The routes: which there are, who may call each, and what they answer. `openapi.json` describes them.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::middleware;
use axum::response::IntoResponse as _;
use axum::routing::get;
use imprimatur_query::{
    Answer, Asked, Dimension, Engine, QueryError, Released, Request, Threshold, questions,
};
use tokio::sync::Semaphore;

use crate::access;
use crate::format::Format;
use crate::guard::{Access, Guard};
use crate::numbers::{Numbers, OPEN_METRICS};
use crate::overview;
use crate::parameters::Parameters;
use crate::problem::{Code, Problem, json};
use crate::releases;
use crate::role::Role;
use crate::serve::Limits;
use crate::tokens::Session;

/// The console, a page that asks the other routes; it has no data and is not in their description.
pub(crate) const CONSOLE: [&str; 2] = ["/", "/assets/{*path}"];

/// Every route and who may call it. What is not here is not answered.
pub(crate) const ROUTES: [(&str, Access); 14] = [
    (CONSOLE[0], Access::Open),
    (CONSOLE[1], Access::Open),
    ("/healthz", Access::Open),
    ("/openapi.json", Access::Open),
    ("/metrics", Access::Roles(&[Role::Operator])),
    ("/v1/session", Access::Roles(&Role::ALL)),
    ("/v1/metrics", Access::Roles(&[Role::Engineer, Role::Compliance])),
    ("/v1/dimensions", Access::Roles(&[Role::Engineer])),
    ("/v1/questions", Access::Roles(&[Role::Engineer])),
    ("/v1/answers/{metric}", Access::Roles(&[Role::Engineer])),
    ("/v1/releases", Access::Roles(&[Role::Engineer, Role::Compliance])),
    ("/v1/releases/{id}", Access::Roles(&[Role::Engineer, Role::Compliance])),
    ("/v1/overview", Access::Roles(&Role::ALL)),
    ("/v1/compliance", Access::Roles(&[Role::Compliance])),
];

/// What the routes need. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) released: Released,
    pub(crate) guard: Arc<Guard>,
    pub(crate) numbers: Numbers,
    pub(crate) limits: Limits,
    /// The lake's folder.
    pub(crate) lake: PathBuf,
    /// Principals that a count needs.
    pub(crate) k: Threshold,
    /// The description of all routes.
    pub(crate) openapi: Bytes,
    /// Questions that are worked on at once.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) clock: Arc<dyn imprimatur_runtime::Clock>,
}

impl Shared {
    /// The answer to one question, when there is a place for it.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Answer, Problem> {
        let closed = |_closed| Problem::new(Code::Internal, "the service is stopping");
        let place = self.places.acquire().await.map_err(closed)?;
        let answer = Box::pin(self.engine.answer(request)).await?;
        drop(place);
        Ok(answer)
    }
}

/// The routes behind their check.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route(CONSOLE[0], get(page))
        .route(CONSOLE[1], get(asset))
        .route("/healthz", get(healthz))
        .route("/openapi.json", get(openapi))
        .route("/metrics", get(numbers))
        .route("/v1/session", get(session))
        .route("/v1/metrics", get(metrics))
        .route("/v1/dimensions", get(dimensions))
        .route("/v1/questions", get(asked))
        .route("/v1/answers/{metric}", get(answer))
        .route("/v1/releases", get(releases::list))
        .route("/v1/releases/{id}", get(releases::show))
        .route("/v1/overview", get(overview_of_all))
        .route("/v1/compliance", get(compliance))
        .method_not_allowed_fallback(not_allowed)
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(shared.clone(), access::pass))
        .with_state(shared)
}

/// A body with its type.
pub(crate) fn of_type(kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(crate) fn of_json<T: serde::Serialize>(value: &T) -> Response<Body> {
    of_type("application/json", json(value))
}

async fn page() -> Result<Response<Body>, Problem> {
    file("index.html")
}

async fn asset(path: Result<Path<String>, PathRejection>) -> Result<Response<Body>, Problem> {
    path.map_or_else(|_no_text| Err(no_file()), |Path(path)| file(&path))
}

fn file(path: &str) -> Result<Response<Body>, Problem> {
    let found = imprimatur_console::asset(path).ok_or_else(no_file)?;
    let mut response = of_type(found.content_type, found.bytes);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn no_file() -> Problem {
    Problem::new(Code::NotFound, "the console has no such file")
}

async fn healthz() -> Response<Body> {
    of_type("text/plain; charset=utf-8", "ok")
}

async fn openapi(State(shared): State<Shared>) -> Response<Body> {
    of_type("application/json", shared.openapi)
}

async fn numbers(State(shared): State<Shared>) -> Response<Body> {
    // Without a catalogue there are no limits, and nothing to be spent.
    shared.numbers.budget(shared.released.budget(shared.clock.now()).await.ok());
    of_type(OPEN_METRICS, shared.numbers.text())
}

async fn nothing() -> Problem {
    Problem::new(Code::NotFound, "`/openapi.json` tells what there is")
}

async fn not_allowed() -> Response<Body> {
    let problem = Problem::new(Code::MethodNotAllowed, "nothing can be changed here; use GET");
    let mut response = problem.into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
    response
}

#[derive(serde::Serialize)]
struct SessionBody {
    role: Role,
    name: String,
    expires: String,
}

async fn session(Extension(session): Extension<Session>) -> Response<Body> {
    let Session { role, name, expires, .. } = session;
    of_json(&SessionBody { role, name, expires: expires.to_string() })
}

#[derive(serde::Serialize)]
struct MetricsBody<'a> {
    metrics: &'a [imprimatur_query::Metric],
}

async fn metrics(State(shared): State<Shared>) -> Response<Body> {
    of_json(&MetricsBody { metrics: shared.engine.metrics() })
}

#[derive(serde::Serialize)]
struct DimensionsBody {
    dimensions: Vec<DimensionBody>,
}

#[derive(serde::Serialize)]
struct DimensionBody {
    name: &'static str,
    meaning: String,
    /// None where there are as many as there are dates or models.
    values: Option<Vec<ValueBody>>,
}

#[derive(serde::Serialize)]
struct ValueBody {
    value: String,
    label: String,
}

async fn dimensions() -> Response<Body> {
    let value = |value: String| ValueBody { label: value.replace('_', " "), value };
    let body = |dimension: Dimension| DimensionBody {
        name: dimension.name(),
        meaning: dimension.meaning(),
        values: dimension.values().map(|values| values.into_iter().map(value).collect()),
    };
    of_json(&DimensionsBody { dimensions: Dimension::all().into_iter().map(body).collect() })
}

#[derive(serde::Serialize)]
struct QuestionsBody {
    questions: Vec<QuestionBody>,
}

#[derive(serde::Serialize)]
struct QuestionBody {
    command: String,
    #[serde(flatten)]
    asked: Asked,
}

async fn asked(State(shared): State<Shared>) -> Result<Response<Body>, Problem> {
    let all = questions(shared.engine.metrics()).map_err(QueryError::from)?;
    let body = |asked: Asked| QuestionBody { command: asked.command(), asked };
    Ok(of_json(&QuestionsBody { questions: all.into_iter().map(body).collect() }))
}

async fn overview_of_all(State(shared): State<Shared>) -> Result<Response<Body>, Problem> {
    overview::overview(shared.lake, shared.k).await.map(|told| of_json(&told))
}

async fn compliance(State(shared): State<Shared>) -> Result<Response<Body>, Problem> {
    overview::compliance(shared.lake).await.map(|told| of_json(&told))
}

#[derive(serde::Serialize)]
struct AnswerBody<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    command: String,
}

async fn answer(
    State(shared): State<Shared>,
    metric: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let Path(metric) = metric
        .map_err(|_no_text| Problem::new(Code::UnknownMetric, "a metric's name is a word"))?;
    let asked = Parameters::read(query.as_deref().unwrap_or_default())?;
    let format = asked.format.unwrap_or_else(|| Format::accepted(&headers));
    let (by, filters, since) = (asked.by.as_deref(), asked.filters.as_deref(), asked.since);
    let request = Request::parse(&metric, by, filters, since.as_deref())?;
    let answer = shared.ask(&request).await?;
    let body = match format {
        Format::Json => json(&AnswerBody { answer: &answer, command: request.command() }),
        Format::Csv => answer.to_csv()?,
        Format::Arrow => answer.to_arrow()?,
        Format::Parquet => answer.to_parquet()?,
    };
    let mut response = of_type(format.media_type(), body);
    if let Some(ending) = format.ending() {
        // The name of a registered metric: letters and underscores.
        let name = format!("attachment; filename=\"{}.{ending}\"", answer.metric);
        if let Ok(name) = HeaderValue::from_str(&name) {
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
        }
    }
    Ok(response)
}
