//! What every request passes: its address is looked at, its token checked, its end counted and logged.
//!
//! The log has the route as it is written in the code, the status, the role and the time; never the address that was
//! asked, a token, a name or where the peer is. A panic ends one request, with 500 and no more.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use futures::FutureExt as _;

use crate::guard::Access;
use crate::problem::{Code, Problem};
use crate::role::Role;
use crate::routes::{CONSOLE, ROUTES, Shared};
use crate::serve::Limits;
use crate::tokens::PREFIX;

/// Longest address with its question, bytes: every value of a dimension, named one by one, is less.
const URI_BYTES_MAX: usize = 4096;

/// What each answer says to a browser: nothing from elsewhere, and nothing framed.
const HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_SECURITY_POLICY, imprimatur_console::CONTENT_SECURITY_POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
];

/// Said of a token in the wrong place.
pub(crate) const MISPLACED: &str = "a token does not belong in a question or its address, which programs on the way \
                                    may log; revoke it, and send the next one in the header `Authorization`";

/// Where a request comes from; only the rate limit knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Lets a request pass, or refuses it.
pub(crate) async fn pass(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let started = shared.clock.steady();
    let (route, access) = route(&request);
    let mut role = None;
    // A page is two dozen files, and a proxy makes one address of all readers: they are in memory and not counted.
    let admitted = if CONSOLE.contains(&route) {
        checked(request.uri()).map(|()| None)
    } else {
        admitted(&shared, &request, access)
    };
    let mut response = match admitted {
        Err(problem) => problem.into_response(),
        Ok(session) => {
            if let Some(session) = session {
                role = Some(session.role);
                request.extensions_mut().insert(session);
            }
            worked_on(&shared, request, next).await
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if !matches!(access, Some(Access::Open)) || route == "other" {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let code = response.extensions().get::<Code>().copied();
    tell(&shared, route, response.status(), code, role, started);
    response
}

/// Counts and logs how a request ended.
pub(crate) fn tell(
    shared: &Shared,
    route: &'static str,
    status: StatusCode,
    code: Option<Code>,
    role: Option<Role>,
    started: Duration,
) {
    let took = shared.clock.steady().saturating_sub(started);
    shared.numbers.count(route, status, role, code, took);
    let (role, milliseconds) = (role.map_or("none", Role::name), took.as_millis());
    let (status, code) = (status.as_u16(), code.map(Code::name));
    tracing::info!(route, status, code, role, milliseconds, "answered");
}

/// The route as the code writes it and who may call it. What the table does not have, nobody may.
fn route(request: &Request) -> (&'static str, Option<Access>) {
    let Some(matched) = request.extensions().get::<MatchedPath>() else {
        // Nothing is there, and everybody may know.
        return ("other", Some(Access::Open));
    };
    let found = ROUTES.iter().find(|(path, _)| *path == matched.as_str());
    found.map_or(("unlisted", None), |(path, access)| (path, Some(*access)))
}

fn admitted(
    shared: &Shared,
    request: &Request,
    access: Option<Access>,
) -> Result<Option<crate::tokens::Session>, Problem> {
    let access = access.ok_or_else(|| Problem::new(Code::Forbidden, "nobody may call this"))?;
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let headers = request.headers().get_all(AUTHORIZATION).into_iter();
    let session = shared.guard.admit(headers.map(HeaderValue::as_bytes), peer, access)?;
    checked(request.uri())?;
    Ok(session)
}

/// Refuses an address that is too long, or has a token in it.
fn checked(uri: &Uri) -> Result<(), Problem> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if path.len() + query.len() > URI_BYTES_MAX {
        let detail = format!("an address has at most {URI_BYTES_MAX} bytes; use fewer filters");
        return Err(Problem::new(Code::TooLong, detail));
    }
    let read = url::form_urlencoded::parse(query.as_bytes());
    let in_query = read.into_iter().any(|(name, value)| has_token(&name) || has_token(&value));
    // Of a form only the signs for blanks are read otherwise in a path, and no token has one.
    let in_path = url::form_urlencoded::parse(path.as_bytes())
        .any(|(name, value)| has_token(&name) || has_token(&value));
    if in_query || in_path {
        return Err(Problem::new(Code::BadParameter, MISPLACED));
    }
    Ok(())
}

/// Whether a text has what every token begins with.
pub(crate) fn has_token(text: &str) -> bool {
    text.contains(PREFIX)
}

/// Runs a handler within its time; a panic in it is a failure inside.
async fn worked_on(shared: &Shared, request: Request, next: Next) -> Response<Body> {
    let answered = bounded(shared.limits, next.run(request)).await;
    answered.unwrap_or_else(Problem::into_response)
}

/// Runs what answers within its time; a panic in it is a failure inside.
pub(crate) async fn bounded<T>(
    limits: Limits,
    running: impl Future<Output = T>,
) -> Result<T, Problem> {
    let running = AssertUnwindSafe(running).catch_unwind();
    match tokio::time::timeout(limits.call_within, running).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(_panic)) => Err(Problem::internal(&std::io::Error::other("a handler panicked"))),
        Err(_elapsed) => {
            let seconds = limits.call_within.as_secs();
            let detail = format!("the answer takes longer than {seconds} s; ask for less");
            Err(Problem::new(Code::TooLarge, detail))
        }
    }
}
