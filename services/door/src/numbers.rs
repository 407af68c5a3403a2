//! Counts for operations, as `OpenMetrics` text: requests by route, status and role, refusals by code.
//!
//! Every label is a word of this program, so there are at most some hundred lines; no question and no value is among
//! them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use imprimatur_release::{Budget, MicroEpsilon};

use crate::problem::Code;
use crate::role::Role;

/// What `OpenMetrics` 1.0 calls itself.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    status: u16,
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Epsilon {
    /// Of any so many days.
    days: u16,
    /// Whether it is `spent` or the `limit`.
    what: &'static str,
}

/// What was counted since the start. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    requests: Family<Request, Counter>,
    refusals: Family<Refusal, Counter>,
    seconds: Counter<f64, AtomicU64>,
    epsilon: Family<Epsilon, Gauge<f64, AtomicU64>>,
    registry: Arc<Registry>,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        let (requests, refusals) = (Family::default(), Family::default());
        let seconds = Counter::default();
        let mut registry = Registry::with_prefix("imprimatur_query");
        registry.register(
            "requests",
            "Requests, by route, status and role",
            Family::clone(&requests),
        );
        registry.register("refusals", "Refusals, by code", Family::clone(&refusals));
        let help = "Time that all requests took together";
        registry.register_with_unit("requests_took", help, Unit::Seconds, Counter::clone(&seconds));
        let epsilon = Family::default();
        let help = "Noise budget of releases: what one principal's were spent, and the limit";
        registry.register("epsilon", help, Family::clone(&epsilon));
        Self { requests, refusals, seconds, epsilon, registry: Arc::new(registry) }
    }

    pub(crate) fn count(
        &self,
        route: &'static str,
        status: StatusCode,
        role: Option<Role>,
        refused: Option<Code>,
        took: std::time::Duration,
    ) {
        let role = role.map_or("none", Role::name);
        let request = Request { route, status: status.as_u16(), role };
        self.requests.get_or_create(&request).inc();
        if let Some(code) = refused {
            self.refusals.get_or_create(&Refusal { code: code.name() }).inc();
        }
        self.seconds.inc_by(took.as_secs_f64());
    }

    /// Tells what of the noise budget is spent; nothing while that is not known.
    pub(crate) fn budget(&self, budget: Option<Budget>) {
        self.epsilon.clear();
        let Some(budget) = budget else { return };
        let set = |days, what, MicroEpsilon(micro)| {
            // At most twelve millions, which a float has exactly.
            let epsilon = f64::from(u32::try_from(micro).unwrap_or(u32::MAX)) / 1e6;
            self.epsilon.get_or_create(&Epsilon { days, what }).set(epsilon);
        };
        set(30, "spent", budget.month_spent);
        set(30, "limit", budget.month_limit);
        set(365, "spent", budget.year_spent);
        set(365, "limit", budget.year_limit);
    }

    /// All numbers as text.
    pub(crate) fn text(&self) -> String {
        let mut written = String::new();
        // Writing to a text cannot fail.
        let encoded = text::encode(&mut written, &self.registry);
        debug_assert!(encoded.is_ok());
        written
    }
}
