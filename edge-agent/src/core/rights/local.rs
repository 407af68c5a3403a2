//! What this device itself holds, as JSON lines: the first part of an export.

use serde_json::{Value, json};

use crate::core::receipt::KeptReceipt;
use crate::core::state::read;
use crate::core::{Agent, AgentError, Core};
use crate::store::Space;

impl Agent {
    /// The device's part of an export: policy, answers, receipts with the events that they prove, the
    /// log of what was sent and answered, requests. One JSON object a line.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn export_local(&self) -> Result<Vec<Value>, AgentError> {
        let requests = self.requests()?;
        let mut lines = self.with(Core::export_local)?;
        lines.extend(requests.iter().map(|request| line("request", &json!(request))));
        Ok(lines)
    }
}

impl Core {
    fn export_local(&mut self) -> Result<Vec<Value>, AgentError> {
        let overview = self.show()?;
        let mut lines = vec![line(
            "policy",
            &json!({
                "name": overview.policy,
                "version": overview.policy_version,
                "operator": overview.operator,
                "hash": self.settings.policy.hash,
                "subject": overview.subject,
                "principal": overview.principal,
                "valid_until": overview.valid_until.map(|date| date.to_string()),
            }),
        )];
        lines.extend(overview.categories.iter().map(|state| line("answer", &json!(state))));
        for (_, value) in self.store.scan(Space::Receipt, b"")? {
            let kept: KeptReceipt = read("receipt", &value)?;
            lines.push(line("receipt", &json!(kept)));
        }
        if let Some(log) = &self.state.log {
            lines.push(line("checkpoint", &json!(log)));
        }
        lines.extend(self.log()?.iter().map(|entry| line("log", &json!(entry))));
        Ok(lines)
    }
}

fn line(kind: &str, value: &Value) -> Value {
    json!({ "part": "device", "kind": kind, "value": value })
}
