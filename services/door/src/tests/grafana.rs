//! The dashboard of `deploy/grafana`: every target is asked of a real door, and finds there what it names.
//!
//! It is read as Grafana's Infinity data source reads it: the data source's address before the target's, variables filled in,
//! the root selector as a path of keys and places with `#(key=="value")#` for those that match, then one selector a column.

use std::collections::BTreeSet;

use serde_json::Value;

use super::world::{World, fill_all};
use crate::Role;
use crate::guard::Access;
use crate::routes::ROUTES;

const DASHBOARD: &str = include_str!("../../../../deploy/grafana/imprimatur.json");
const SOURCES: &str =
    include_str!("../../../../deploy/grafana/provisioning/datasources/imprimatur.yaml");
const PROVIDERS: &str =
    include_str!("../../../../deploy/grafana/provisioning/dashboards/imprimatur.yaml");

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

/// Every text in a document.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Object(all) => all.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The names and values of the variables; a variable that asks somebody has no closed list.
fn variables(dashboard: &Value, problems: &mut Vec<String>) -> Vec<(String, Vec<String>)> {
    let all = dashboard["templating"]["list"].as_array().unwrap();
    let read = |one: &Value| {
        let name = one["name"].as_str().unwrap().to_owned();
        if one["type"] != "custom" || one["query"].as_str().is_none_or(|list| list.contains('$')) {
            problems.push(format!("variable `{name}` is no closed list"));
        }
        let values: Vec<String> =
            one["options"].as_array().into_iter().flatten().map(value).collect();
        let listed = one["query"].as_str().unwrap_or_default().split(", ");
        let listed: Vec<&str> =
            listed.filter_map(|pair| pair.split_once(" : ")).map(|(_, value)| value).collect();
        assert_eq!(listed, values, "the list of `{name}` is written twice");
        (name, values)
    };
    all.iter().map(read).collect()
}

/// The value of a variable's option.
fn value(option: &Value) -> String {
    option["value"].as_str().unwrap().to_owned()
}

/// An address with each value of each variable that it has.
fn filled(address: &str, variables: &[(String, Vec<String>)]) -> Vec<String> {
    let mut all = vec![address.to_owned()];
    for (name, values) in variables {
        let place = format!("${{{name}}}");
        all = all
            .iter()
            .flat_map(|one| {
                if one.contains(&place) {
                    values.iter().map(|value| one.replace(&place, value)).collect()
                } else {
                    vec![one.clone()]
                }
            })
            .collect();
    }
    all
}

/// What a path of the data source selects.
fn select(value: &Value, path: &str) -> Option<Value> {
    if path.is_empty() {
        return Some(value.clone());
    }
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    if let Some(matches) = key.strip_prefix("#(").and_then(|one| one.strip_suffix("\")#")) {
        let (name, wanted) = matches.split_once("==\"")?;
        let is_it = |one: &&Value| one[name] == wanted;
        return Some(value.as_array()?.iter().filter(is_it).cloned().collect());
    }
    let next = match value {
        Value::Array(all) => all.get(key.parse::<usize>().ok()?),
        _ => value.get(key),
    };
    select(next?, rest)
}

/// What a target names and an answer lacks.
fn lacks(target: &Value, body: &str) -> Option<String> {
    let columns = target["columns"].as_array().unwrap();
    let mut selectors = columns.iter().map(|column| column["selector"].as_str().unwrap());
    if target["type"] == "csv" {
        let (head, lines) = body.split_once('\n')?;
        let names: BTreeSet<&str> = head.split(',').collect();
        let lacking = selectors.find(|selector| !names.contains(selector));
        let lacking = lacking.map(|selector| format!("no column `{selector}`"));
        return lacking.or_else(|| lines.is_empty().then(|| "no line".to_owned()));
    }
    let root = target["root_selector"].as_str().unwrap();
    let found = serde_json::from_str(body).ok().and_then(|body: Value| select(&body, root));
    let rows = match found {
        None => return Some(format!("nothing at `{root}`")),
        Some(Value::Array(rows)) if rows.is_empty() => return Some(format!("no row at `{root}`")),
        Some(Value::Array(rows)) => rows,
        Some(one) => vec![one],
    };
    let mut all = selectors;
    let lacking = all.find(|selector| rows.iter().any(|row| select(row, selector).is_none()));
    lacking.map(|selector| format!("no `{selector}` in a row"))
}

/// Whether a role may ask for an address.
fn is_route(address: &str, role: Role) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    let fits = |route: &str| match route.split_once('{') {
        Some((before, _)) => path.strip_prefix(before).is_some_and(|rest| !rest.contains('/')),
        None => path == route,
    };
    let may = |access: Access| matches!(access, Access::Roles(roles) if roles.contains(&role));
    ROUTES.iter().any(|(route, access)| fits(route) && may(*access))
}

/// All that is wrong with a dashboard before a door.
async fn problems(dashboard: &Value, world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    for text in texts(dashboard).into_iter().filter(|text| text.contains("//")) {
        problems.push(format!("`{text}` names a host"));
    }
    let variables = variables(dashboard, &mut problems);
    let (engineer, operator) = (world.token(Role::Engineer), world.token(Role::Operator));
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let source = target["datasource"]["uid"].as_str().unwrap();
            assert!(SOURCES.contains(&format!("uid: {source}\n")), "{source} is provisioned");
            if target["datasource"]["type"] == "prometheus" {
                let numbers = world.get("/metrics", &operator).await.body;
                problems.extend(unknown_numbers(target, &numbers));
                continue;
            }
            for address in filled(target["url"].as_str().unwrap(), &variables) {
                if !is_route(&address, Role::Engineer) {
                    problems.push(format!("{}: `{address}` is no route", panel["title"]));
                    continue;
                }
                let answer = world.get(&address, &engineer).await;
                let lacking = match answer.status {
                    200 => lacks(target, &answer.body),
                    status => Some(format!("{status} {}", answer.body)),
                };
                problems
                    .extend(lacking.map(|what| format!("{}: {address}: {what}", panel["title"])));
            }
        }
    }
    problems
}

/// The names of numbers in a question to Prometheus that the door does not tell.
fn unknown_numbers(target: &Value, numbers: &str) -> Vec<String> {
    let question = target["expr"].as_str().unwrap();
    let words = question.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = words.filter(|word| word.starts_with("imprimatur_"));
    let unknown = names.filter(|name| !numbers.contains(&format!("\n{name}{{")));
    unknown.map(|name| format!("`{name}` is not told")).collect()
}

async fn world() -> World {
    let world = World::new().await;
    fill_all(world.folder.path());
    // So that both numbers of the door are there.
    world.get("/v1/nothing", &world.token(Role::Engineer)).await;
    world
}

#[tokio::test]
async fn every_panel_finds_what_it_names() {
    let (world, dashboard) = (world().await, dashboard());
    assert_eq!(problems(&dashboard, &world).await, Vec::<String>::new());
    assert_eq!(dashboard["panels"].as_array().unwrap().len(), 11);
    assert!(!SOURCES.contains("//") && !PROVIDERS.contains("//"), "no host is named");
    assert!(SOURCES.contains("bearerToken: $IMPRIMATUR_TOKEN\n"));
}

/// A changed dashboard with the panels that changed, or with its first where none did.
fn changed_panels(changed: &str) -> Value {
    let mut changed: Value = serde_json::from_str(changed).unwrap();
    let as_it_is = dashboard()["panels"].as_array().unwrap().clone();
    let panels = changed["panels"].as_array_mut().unwrap();
    let first = panels[0].clone();
    panels.retain(|panel| !as_it_is.contains(panel));
    if panels.is_empty() {
        panels.push(first);
    }
    changed
}

/// The control: each change is what a door or a dashboard that went on without the other would be.
#[tokio::test]
async fn a_panel_that_names_what_is_not_there_is_found() {
    let world = world().await;
    for (from, to, says) in [
        ("/v1/answers/failure_rate?", "/v1/answers/failures?", "404"),
        ("\"value.count\"", "\"value.total\"", "no `value.total` in a row"),
        ("\"bin_rows\"", "\"told\"", "no column `told`"),
        ("\"cells.0.value.quantiles\"", "\"cells.0.value.quarters\"", "nothing at"),
        ("outcome==", "verdict==", "no row at"),
        ("?by=model&", "?by=maker&", "400"),
        ("/v1/overview", "/v1/compliance", "is no route"),
        ("/v1/overview", "/v1/overview/all", "is no route"),
        ("/v1/overview", "https://example.org/v1/overview", "names a host"),
        ("imprimatur_query_refusals_total", "imprimatur_query_noes_total", "is not told"),
        ("\"custom\"", "\"query\"", "is no closed list"),
        ("where=technology%3Dlight", "where=technology%3Dpowder", "400"),
    ] {
        let changed = DASHBOARD.replace(from, to);
        assert_ne!(changed, DASHBOARD, "{from}");
        let found = problems(&changed_panels(&changed), &world).await;
        assert!(found.iter().any(|problem| problem.contains(says)), "{from}: {found:?}");
    }
}
