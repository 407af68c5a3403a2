//! The description of the doors: `openapi.json`, with the names of metrics and dimensions that there are.

use imprimatur_query::{Dimension, Metric};
use serde_json::{Value, json};

const WRITTEN: &str = include_str!("../openapi.json");

/// The document, `OpenAPI` 3.1.
///
/// # Errors
/// When the file that was built in is no JSON.
pub(crate) fn document(metrics: &[Metric]) -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(WRITTEN)?;
    let metrics: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let dimensions: Vec<&str> = Dimension::all().into_iter().map(Dimension::name).collect();
    for (name, names) in [("MetricName", metrics), ("DimensionName", dimensions)] {
        if let Some(Value::Object(schema)) =
            document.pointer_mut(&format!("/components/schemas/{name}"))
        {
            schema.insert("enum".to_owned(), json!(names));
        }
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::guard::Access;
    use crate::problem::Code;
    use crate::routes::{CONSOLE, ROUTES};

    fn written() -> Value {
        document(&imprimatur_query::metrics().unwrap()).unwrap()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = written();
        let described = document["paths"].as_object().unwrap();
        let paths: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        let routes = || ROUTES.into_iter().filter(|(path, _)| !CONSOLE.contains(path));
        assert_eq!(paths, routes().map(|(path, _)| path).collect());
        for (path, access) in routes() {
            let operation = &described[path]["get"];
            let Access::Roles(roles) = access else {
                assert_eq!(operation["security"], Value::Null, "{path}");
                continue;
            };
            assert!(operation["security"].is_array(), "{path}");
            let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            let summary = operation["summary"].as_str().unwrap();
            assert!(summary.ends_with(&format!("roles: {}.", names.join(", "))), "{summary}");
        }
    }

    #[test]
    fn every_code_and_every_metric_is_described() {
        let document = written();
        let codes =
            document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].clone();
        let codes: BTreeSet<String> = serde_json::from_value(codes).unwrap();
        let own: BTreeSet<String> = Code::ALL.map(|code| code.name().to_owned()).into();
        assert!(own.is_subset(&codes), "{own:?}");
        let names = document["components"]["schemas"]["MetricName"]["enum"].as_array().unwrap();
        assert!(names.iter().any(|name| name == "failure_rate"));
    }
}
