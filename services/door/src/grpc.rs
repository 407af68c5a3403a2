//! The same questions over gRPC: the same tokens, rates and codes, messages of `imprimatur.query.v1`.
//!
//! Health and reflection are there without a token, as `/healthz` and `/openapi.json` are: they tell nothing of anybody.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use imprimatur_query::{Answer, Bin, Cell, Difference, Metric, Quantile, Value};
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use self::v1::cell::Value as Told;
use self::v1::query_service_server::{QueryService, QueryServiceServer};
use crate::access::{self, Peer};
use crate::guard::Access;
use crate::problem::{Code, Problem};
use crate::role::Role;
use crate::routes::Shared;

/// Messages and service of `imprimatur.query.v1`, generated.
#[expect(
    clippy::pedantic,
    clippy::as_conversions,
    clippy::clone_on_ref_ptr,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated code"
)]
pub(crate) mod v1 {
    tonic::include_proto!("imprimatur.query.v1");
}

/// Largest request, bytes.
const READ_BYTES_MAX: usize = 16 << 10;

const ENGINEER: Access = Access::Roles(&[Role::Engineer]);
const READERS: Access = Access::Roles(&[Role::Engineer, Role::Compliance]);

/// The service behind its check.
#[derive(Clone, Debug)]
struct Door {
    shared: Shared,
}

/// Descriptors of the service's contract, for reflection.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/query.bin"));

/// The routes of the service, its health and its contract.
///
/// # Errors
/// When the descriptors that were built in cannot be read.
pub(crate) async fn router(shared: Shared) -> Result<Router, tonic_reflection::server::Error> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()?;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<QueryServiceServer<Door>>().await;
    let guard = Arc::clone(&shared.guard);
    let open = move |request: Request<()>| {
        let none = std::iter::empty();
        guard.admit(none, peer(&request), Access::Open).map_err(Status::from)?;
        Ok(request)
    };
    let service =
        QueryServiceServer::new(Door { shared }).max_decoding_message_size(READ_BYTES_MAX);
    let health = health.max_decoding_message_size(READ_BYTES_MAX);
    let routes = Routes::new(service)
        .add_service(InterceptedService::new(health, open.clone()))
        .add_service(InterceptedService::new(reflection, open));
    Ok(routes.into_axum_router())
}

fn peer<T>(request: &Request<T>) -> IpAddr {
    let peer = request.extensions().get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

impl Door {
    /// Lets a call pass, or refuses it; counts and logs how it ended.
    async fn passed<Q, A, F>(
        &self,
        route: &'static str,
        access: Access,
        request: Request<Q>,
        work: impl FnOnce(Shared, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Problem>>,
    {
        let started = self.shared.clock.steady();
        let peer = peer(&request);
        let headers = request.metadata().get_all("authorization");
        let headers = headers.iter().map(AsciiMetadataValue::as_bytes);
        let (role, result) = match self.shared.guard.admit(headers, peer, access) {
            Err(problem) => (None, Err(problem)),
            Ok(session) => {
                let running = work(self.shared.clone(), request.into_inner());
                let result = access::bounded(self.shared.limits, running).await;
                (session.map(|session| session.role), result.and_then(|result| result))
            }
        };
        let code = result.as_ref().err().map(|problem| problem.code);
        let status = code.map_or(axum::http::StatusCode::OK, |code| code.status().0);
        access::tell(&self.shared, route, status, code, role, started);
        result.map(Response::new).map_err(Status::from)
    }
}

#[tonic::async_trait]
impl QueryService for Door {
    async fn answer(
        &self,
        request: Request<v1::AnswerRequest>,
    ) -> Result<Response<v1::AnswerResponse>, Status> {
        let work = |shared: Shared, asked: v1::AnswerRequest| async move {
            let (by, filters) = (asked.by.join(","), asked.r#where.join(","));
            if [&asked.metric, &by, &filters, &asked.since]
                .iter()
                .any(|text| access::has_token(text))
            {
                return Err(Problem::new(Code::BadParameter, access::MISPLACED));
            }
            let since = (!asked.since.is_empty()).then_some(asked.since.as_str());
            let request =
                imprimatur_query::Request::parse(&asked.metric, Some(&by), Some(&filters), since)?;
            let answer = shared.ask(&request).await?;
            Ok(told(answer, request.command()))
        };
        Box::pin(self.passed("grpc Answer", ENGINEER, request, work)).await
    }

    async fn metrics(
        &self,
        request: Request<v1::MetricsRequest>,
    ) -> Result<Response<v1::MetricsResponse>, Status> {
        let work = |shared: Shared, _: v1::MetricsRequest| async move {
            let metrics = shared.engine.metrics().iter().map(metric).collect();
            Ok(v1::MetricsResponse { metrics })
        };
        Box::pin(self.passed("grpc Metrics", READERS, request, work)).await
    }
}

fn metric(one: &Metric) -> v1::Metric {
    v1::Metric {
        name: one.name.clone(),
        title: one.title.clone(),
        question: one.question.clone(),
        unit: one.unit.clone(),
        estimand: one.estimand.clone(),
        dimensions: one.dimensions.iter().map(ToString::to_string).collect(),
        rows_per_principal_and_epoch: one.rows_per_principal_and_epoch.get(),
    }
}

fn told(answer: Answer, command: String) -> v1::AnswerResponse {
    let by = answer.by.clone();
    let cell = |one: Cell| v1::Cell {
        place: by.iter().map(|at| one.dimensions.get(at).cloned().unwrap_or_default()).collect(),
        principals: one.principals,
        rows: one.rows,
        value: Some(value(one.value)),
    };
    v1::AnswerResponse {
        metric: answer.metric,
        title: answer.title,
        unit: answer.unit,
        estimand: answer.estimand,
        k: answer.k.get(),
        by: answer.by.iter().map(ToString::to_string).collect(),
        cells: answer.cells.into_iter().map(cell).collect(),
        difference: answer.difference.map(difference),
        suppressed_cells: count(answer.suppressed_cells),
        synthetic: answer.synthetic,
        published_time: answer.published.0,
        privacy: answer.privacy,
        command,
    }
}

fn difference(one: Difference) -> v1::Difference {
    let Difference { from, to, difference, low, high } = one;
    v1::Difference { from, to, difference, low, high }
}

fn value(value: Value) -> Told {
    match value {
        Value::Count { count } => Told::Count(count),
        Value::Mean { mean, low, high, total } => Told::Mean(v1::Mean { mean, low, high, total }),
        Value::Rate { rate, low, high } => Told::Rate(v1::Rate { rate, low, high }),
        Value::Histogram { bins, withheld, quantiles } => {
            let bin = |one: Bin| {
                let Bin { index, meaning, low, high, rows } = one;
                v1::Bin { index, meaning, low, high, rows }
            };
            let quantile = |one: Quantile| {
                let Quantile { share, first_bin, last_bin, low, high } = one;
                v1::Quantile { share, first_bin, last_bin, low, high }
            };
            let bins = bins.into_iter().map(bin).collect();
            let quantiles = quantiles.into_iter().map(quantile).collect();
            Told::Histogram(v1::Histogram { bins, withheld: count(withheld), quantiles })
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_that_is_withheld_has_no_rows() {
        let bin = |index, rows| {
            let meaning = "done".to_owned();
            Bin { index, meaning, low: None, high: Some(2.0), rows }
        };
        let bins = vec![bin(1, Some(40)), bin(2, None)];
        let quantiles =
            vec![Quantile { share: 0.5, first_bin: 1, last_bin: 1, low: None, high: Some(2.0) }];
        let told = value(Value::Histogram { bins, withheld: 1, quantiles });
        let Told::Histogram(told) = told else { panic!() };
        let rows: Vec<Option<u64>> = told.bins.iter().map(|bin| bin.rows).collect();
        assert_eq!((rows, told.withheld), (vec![Some(40), None], 1));
        assert_eq!((told.bins[0].low, told.bins[0].high), (None, Some(2.0)));
        let median = told.quantiles[0];
        assert_eq!((median.first_bin, median.low, median.high), (1, None, Some(2.0)));
    }
}
