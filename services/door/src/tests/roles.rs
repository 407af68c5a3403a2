//! Every route with every role, and with what is no token that counts.

use imprimatur_runtime::Clock as _;

use super::world::World;
use crate::guard::Access;
use crate::routes::ROUTES;
use crate::{Role, tokens};

/// A route with a question in the place of its parameters.
fn asked(route: &str, release: &str) -> String {
    route
        .replace("{metric}", "print_count")
        .replace("{id}", release)
        .replace("{*path}", "style.css")
}

#[tokio::test]
async fn each_role_is_let_in_where_it_belongs_and_nobody_else_is() {
    let world = World::new().await;
    let release = world.release().await;
    let today = world.clock.today();
    let old = tokens::create(world.folder.path(), "old", Role::Engineer, 1, today).unwrap();
    let gone = tokens::create(world.folder.path(), "gone", Role::Engineer, 30, today).unwrap();
    assert_eq!(world.get("/v1/session", &gone).await.status, 200);
    tokens::revoke(world.folder.path(), "gone").unwrap();
    world.clock.advance(std::time::Duration::from_hours(48));
    let engineer = world.token(Role::Engineer);
    let nobody = [
        (String::new(), "unauthenticated"),
        (old, "expired"),
        (gone, "unauthenticated"),
        (format!("{engineer}x"), "unauthenticated"),
        (engineer.chars().take(46).collect(), "unauthenticated"),
        (engineer.to_uppercase(), "unauthenticated"),
        (engineer.replace("imq_", ""), "unauthenticated"),
        ("\u{1f4a9}".to_owned(), "unauthenticated"),
    ];
    for (route, access) in ROUTES {
        let target = asked(route, &release);
        for (token, code) in &nobody {
            let answer = world.get(&target, token).await;
            if access == Access::Open {
                assert_eq!(answer.status, 200, "{route} {token}");
                continue;
            }
            assert_eq!(answer.refusal(), (401, (*code).to_owned()), "{route} {token}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(token.len() < 20 || !answer.body.contains(token.as_str()), "{answer:?}");
        }
        for role in Role::ALL {
            let answer = world.get(&target, &world.token(role)).await;
            let may = match access {
                Access::Open => true,
                Access::Roles(roles) => roles.contains(&role),
            };
            if may {
                assert_eq!(answer.status, 200, "{route} {role}: {answer:?}");
            } else {
                assert_eq!(answer.refusal(), (403, "forbidden".to_owned()), "{route} {role}");
            }
        }
    }
}

/// Written down once more: the table in the code is what the test above goes by.
#[test]
fn the_table_of_routes_is_the_promised_one() {
    let roles = |route: &str| match ROUTES.iter().find(|(own, _)| *own == route).unwrap().1 {
        Access::Open => Vec::new(),
        Access::Roles(roles) => roles.to_vec(),
    };
    assert_eq!(roles("/metrics"), [Role::Operator]);
    assert_eq!((roles("/v1/session"), roles("/v1/overview")), (Role::ALL.into(), Role::ALL.into()));
    assert_eq!(roles("/v1/compliance"), [Role::Compliance]);
    for route in ["/v1/metrics", "/v1/releases", "/v1/releases/{id}"] {
        assert_eq!(roles(route), [Role::Engineer, Role::Compliance]);
    }
    for route in ["/v1/dimensions", "/v1/questions", "/v1/answers/{metric}"] {
        assert_eq!(roles(route), [Role::Engineer]);
    }
}

#[tokio::test]
async fn a_token_goes_into_one_header_and_nowhere_else() {
    let world = World::new().await;
    let token = world.token(Role::Engineer);
    let one = format!("authorization: Bearer {token}\r\n");
    for headers in [
        [one.as_str(), one.as_str()].concat(),
        format!("authorization: Basic {token}\r\n"),
        format!("authorization: {token}\r\n"),
        format!("authorization: Bearer {token} {token}\r\n"),
        format!("cookie: token={token}\r\n"),
        format!("x-api-key: {token}\r\n"),
    ] {
        let answer = world.send("GET", b"/v1/session", &headers).await;
        assert_eq!(answer.refusal(), (401, "unauthenticated".to_owned()), "{headers}");
    }
    assert_eq!(
        world
            .send("GET", b"/v1/session", &one.to_lowercase().replace(&token.to_lowercase(), &token))
            .await
            .status,
        200
    );
    for target in [
        format!("/v1/answers/print_count?by={token}"),
        format!("/v1/answers/{token}"),
        format!("/v1/session?token={token}"),
        format!("/v1/session?{token}=1"),
        format!("/{token}"),
        format!("/v1/answers/print_count?by={}", token.replace("imq_", "%69mq%5F")),
        format!("/v1/answers/{}", token.replace("imq_", "%69mq%5F")),
    ] {
        let answer = world.send("GET", target.as_bytes(), &one).await;
        assert_eq!(answer.refusal(), (400, "bad_parameter".to_owned()), "{target}");
        assert!(!answer.body.contains(&token.replace("imq_", "")), "{answer:?}");
    }
}
