//! The bridge between a real broker, a real gRPC server and real MQTT clients.

#[path = "../../../imprimatur/src/broker.rs"]
#[expect(unreachable_pub, dead_code, reason = "shared with the program that embeds it")]
mod broker;
#[cfg(test)]
mod broker_rules;
#[cfg(test)]
mod carrying;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod stalls;
#[cfg(test)]
mod support;
