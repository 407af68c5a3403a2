//! Who is signed in, what each role sees, and that the token stays where it belongs.

use serde_json::json;

use crate::browser::Browser;
use crate::driver::ENTER;
use crate::server::Server;

/// What a browser could keep or show of the token, but for the one place where it is kept.
const ELSEWHERE: &str = "return JSON.stringify([location.href, document.cookie, {...localStorage}, document.documentElement.outerHTML, \
     performance.getEntries().map((one) => one.name)])";

#[tokio::test]
async fn signing_in_tells_the_role_and_keeps_the_token_in_the_tab() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    let token = server.token("engineer");
    browser.driver.goto(&server.url).await;

    browser.element("#token").await.keys("imq_wrong").await;
    browser.click("#sign-in").await;
    browser.shows(".refusal[data-code=unauthenticated] .next", "Sign in with the token").await;

    let field = browser.element("#token").await;
    field.clear().await;
    field.keys(&format!("{token}{ENTER}")).await;
    browser.shows("#who", "engineer at test").await;
    assert_eq!(browser.texts("#rooms a").await, ["Overview", "Explore"]);
    let elsewhere = browser.run(ELSEWHERE).await.as_str().unwrap().to_owned();
    assert!(!elsewhere.contains(token.trim_start_matches("imq_")), "{elsewhere}");

    browser.driver.refresh().await;
    browser.shows("#who", "engineer at test").await;
    browser.click("#sign-out").await;
    browser.shows("h1", "What do printers tell").await;
    assert_eq!(browser.run("return sessionStorage.length").await, json!(0));
    browser.end().await;
}

#[tokio::test]
async fn each_role_sees_its_pages_and_is_told_why_not_the_others() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    for (role, rooms, closed) in [
        ("engineer", &["Overview", "Explore"][..], "compliance"),
        ("compliance", &["Overview", "Compliance"], "explore"),
        ("operator", &["Overview"], "explore"),
    ] {
        browser.open(&server.url, closed, &server.token(role)).await;
        browser.shows(".refusal[data-code=forbidden]", role).await;
        assert_eq!(browser.texts("#rooms a").await, rooms, "{role}");
    }
    browser.end().await;
}

#[tokio::test]
async fn a_token_that_ends_while_it_is_used_leads_back_to_the_door() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    browser.open(&server.url, "explore", &server.token("engineer")).await;
    browser.shows(".ideas", "Which nozzles clog?").await;
    server.revoke("engineer");
    browser.click(".ideas a").await;
    browser.shows("h1", "What do printers tell").await;
    browser.shows(".refusal", "Sign in with the token").await;
    assert_eq!(browser.run("return sessionStorage.length").await, json!(0));
    browser.end().await;
}
