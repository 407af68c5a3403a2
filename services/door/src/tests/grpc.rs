//! The gRPC door answers as HTTP does, and refuses with the same codes.

use imprimatur_runtime::Clock as _;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

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
