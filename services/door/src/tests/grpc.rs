//! The gRPC door answers as HTTP does, and refuses with the same codes.

use futures::stream;
use imprimatur_runtime::Clock as _;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::world::World;
use crate::grpc::v1::cell::Value;
use crate::grpc::v1::query_service_client::QueryServiceClient;
use crate::grpc::v1::{AnswerRequest, MetricsRequest};
use crate::{Role, tokens};

async fn client(world: &World) -> QueryServiceClient<Channel> {
    QueryServiceClient::connect(format!("http://{}", world.grpc)).await.unwrap()
}

fn with<T>(token: &str, asked: T) -> Request<T> {
    let mut request = Request::new(asked);
    if !token.is_empty() {
        let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

fn asked(metric: &str, by: &[&str], filters: &[&str], since: &str) -> AnswerRequest {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let (metric, since) = (metric.to_owned(), since.to_owned());
    AnswerRequest { metric, by: owned(by), r#where: owned(filters), since }
}

#[track_caller]
fn is(status: &Status, kind: Code, code: &str) {
    let told = status.metadata().get("imprimatur-code").and_then(|code| code.to_str().ok());
    assert_eq!((status.code(), told), (kind, Some(code)), "{status:?}");
}

#[tokio::test]
async fn a_call_is_answered_as_a_request_is() {
    let world = World::new().await;
    let (mut client, engineer) = (client(&world).await, world.token(Role::Engineer));
    let by = asked("print_count", &["material_family"], &[], "2026-11-01");
    let answer = client.answer(with(&engineer, by)).await.unwrap().into_inner();
    let http = "/v1/answers/print_count?by=material_family&since=2026-11-01";
    let http = world.get(http, &engineer).await.json();
    assert_eq!(answer.command, http["command"]);
    assert_eq!(answer.privacy, http["privacy"]);
    assert_eq!((answer.by.as_slice(), answer.k), (["material_family".to_owned()].as_slice(), 20));
    assert_eq!(answer.cells.len(), http["cells"].as_array().unwrap().len());
    assert_eq!(answer.cells[0].place, ["pla"]);
    assert_eq!(answer.cells[0].value, Some(Value::Count(40)));
    let metrics = client.metrics(with(&world.token(Role::Compliance), MetricsRequest {})).await;
    let metrics = metrics.unwrap().into_inner().metrics;
    assert!(metrics.iter().any(|metric| metric.name == "failure_rate"));
}

#[tokio::test]
async fn a_call_without_its_token_or_with_a_wrong_question_has_the_same_codes() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let count = || asked("print_count", &[], &[], "");
    let today = world.clock.today();
    let old = tokens::create(world.folder.path(), "old", Role::Engineer, 1, today).unwrap();
    world.clock.advance(std::time::Duration::from_hours(48));
    for (token, kind, code) in [
        (String::new(), Code::Unauthenticated, "unauthenticated"),
        ("imq_guess".to_owned(), Code::Unauthenticated, "unauthenticated"),
        (old, Code::Unauthenticated, "expired"),
        (world.token(Role::Compliance), Code::PermissionDenied, "forbidden"),
        (world.token(Role::Operator), Code::PermissionDenied, "forbidden"),
    ] {
        is(&client.answer(with(&token, count())).await.unwrap_err(), kind, code);
    }
    let operator = with(&world.token(Role::Operator), MetricsRequest {});
    is(&client.metrics(operator).await.unwrap_err(), Code::PermissionDenied, "forbidden");
    let engineer = world.token(Role::Engineer);
    for (wrong, kind, code) in [
        (asked("shoe_size", &[], &[], ""), Code::NotFound, "unknown_metric"),
        (asked("print_count", &["moon"], &[], ""), Code::InvalidArgument, "unknown_dimension"),
        (asked("print_count", &[], &["outcome"], ""), Code::InvalidArgument, "not_a_filter"),
        (asked("print_count", &[], &[], "soon"), Code::InvalidArgument, "bad_date"),
        (asked(&engineer, &[], &[], ""), Code::InvalidArgument, "bad_parameter"),
        (
            asked("print_count", &[], &["material_family=tpu"], ""),
            Code::FailedPrecondition,
            "below_threshold",
        ),
    ] {
        let status = client.answer(with(&engineer, wrong)).await.unwrap_err();
        is(&status, kind, code);
        assert!(!status.message().contains(engineer.as_str()));
    }
    let numbers = world.get("/metrics", &world.token(Role::Operator)).await.body;
    let line = "requests_total{route=\"grpc Answer\",status=\"403\",role=\"none\"} 2";
    assert!(numbers.contains(line), "{numbers}");
}

const SERVICE: &str = "imprimatur.query.v1.QueryService";

async fn channel(world: &World) -> Channel {
    Channel::from_shared(format!("http://{}", world.grpc)).unwrap().connect().await.unwrap()
}

async fn health(world: &World, service: &str) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(channel(world).await);
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(client.check(request).await?.into_inner().status())
}

#[tokio::test]
async fn health_and_the_contract_are_there_without_a_token() {
    let world = World::new().await;
    assert_eq!(health(&world, "").await.unwrap(), ServingStatus::Serving);
    assert_eq!(health(&world, SERVICE).await.unwrap(), ServingStatus::Serving);
    assert_eq!(health(&world, "another").await.unwrap_err().code(), Code::NotFound);
    let mut client = ServerReflectionClient::new(channel(&world).await);
    let mut ask = async |asked| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
        let answers = client.server_reflection_info(stream::iter([request])).await.unwrap();
        answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
    };
    let listed = ask(MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = listed else { panic!("{listed:?}") };
    assert!(list.service.iter().any(|one| one.name == SERVICE), "{list:?}");
    let file = ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())).await;
    assert!(matches!(file, MessageResponse::FileDescriptorResponse(_)), "{file:?}");
    world.stop().await;
}

/// Who has no token asks for them no more often than for anything else.
#[tokio::test]
async fn health_is_counted_against_who_asks() {
    let world = World::with(|settings| settings.limits.without.burst = 2).await;
    for _ in 0..2 {
        assert_eq!(health(&world, "").await.unwrap(), ServingStatus::Serving);
    }
    is(&health(&world, "").await.unwrap_err(), Code::ResourceExhausted, "rate_limited");
}
