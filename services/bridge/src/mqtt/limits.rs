//! What a broker says of its limits when it accepts a connection: whether the bridge can work with it.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, SubscribeReasonCode};

use crate::config::ANSWER_PACKET_BYTES;
use crate::error::{Lost, Poor, Unfit};

/// Reads the limits; gives what works badly. Mosquitto 2.0.11 tells `max_inflight_messages` (as the
/// receive maximum), `max_packet_size`, `max_qos` below 2 and `retain_available false`; it tells neither
/// its queue's bounds nor `allow_zero_length_clientid`. What is not told is MQTT's default.
///
/// # Errors
/// [`Unfit`].
pub(super) fn read(limits: Option<&ConnAckProperties>, window: u16) -> Result<Vec<Poor>, Unfit> {
    let mut poor = Vec::new();
    let Some(limits) = limits else { return Ok(vec![Poor::Retains]) };
    if limits.max_qos == Some(0) {
        return Err(Unfit::Quality);
    }
    if limits.shared_subscription_available == Some(0) {
        return Err(Unfit::Shared);
    }
    if limits.wildcard_subscription_available == Some(0) {
        return Err(Unfit::Wildcard);
    }
    if let Some(got) = limits.max_packet_size.filter(|got| *got < ANSWER_PACKET_BYTES) {
        return Err(Unfit::Packet { got, needed: ANSWER_PACKET_BYTES });
    }
    if let Some(got) = limits.receive_max.filter(|got| *got < window) {
        poor.push(Poor::Answers { got, wanted: window });
    }
    if limits.retain_available != Some(0) {
        poor.push(Poor::Retains);
    }
    if limits.session_expiry_interval.is_some_and(|seconds| seconds > 0) {
        poor.push(Poor::Keeps);
    }
    Ok(poor)
}

/// Whether all subscriptions are granted at least once.
///
/// # Errors
/// [`Lost::Unfit`], or [`Lost::Subscription`] when the account may not.
pub(super) fn granted(codes: &[SubscribeReasonCode]) -> Result<(), Lost> {
    for code in codes {
        match code {
            SubscribeReasonCode::Success(QoS::AtLeastOnce) => {}
            SubscribeReasonCode::Success(_) => return Err(Lost::Unfit(Unfit::Quality)),
            SubscribeReasonCode::SharedSubscriptionsNotSupported => {
                return Err(Lost::Unfit(Unfit::Shared));
            }
            SubscribeReasonCode::WildcardSubscriptionsNotSupported => {
                return Err(Lost::Unfit(Unfit::Wildcard));
            }
            _ => return Err(Lost::Subscription),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> ConnAckProperties {
        ConnAckProperties {
            session_expiry_interval: None,
            receive_max: None,
            max_qos: None,
            retain_available: Some(0),
            max_packet_size: None,
            assigned_client_identifier: None,
            topic_alias_max: None,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: None,
            subscription_identifiers_available: None,
            shared_subscription_available: None,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        }
    }

    #[track_caller]
    fn refuses(limits: &ConnAckProperties, named: &str) {
        let unfit = read(Some(limits), 64).unwrap_err().to_string();
        assert!(unfit.contains(named), "{unfit}");
    }

    #[test]
    fn what_cannot_work_is_refused_by_the_name_of_the_option() {
        refuses(&ConnAckProperties { max_qos: Some(0), ..none() }, "`max_qos 1`");
        refuses(&ConnAckProperties { shared_subscription_available: Some(0), ..none() }, "shared");
        refuses(&ConnAckProperties { wildcard_subscription_available: Some(0), ..none() }, "`+`");
        refuses(&ConnAckProperties { max_packet_size: Some(8192), ..none() }, "`max_packet_size");
        assert!(read(Some(&none()), 64).unwrap().is_empty());
        let enough = ConnAckProperties {
            max_qos: Some(1),
            max_packet_size: Some(32_768),
            receive_max: Some(64),
            ..none()
        };
        assert!(read(Some(&enough), 64).unwrap().is_empty());
    }

    #[test]
    fn what_works_badly_is_named() {
        let bad = ConnAckProperties {
            receive_max: Some(20),
            retain_available: None,
            session_expiry_interval: Some(3600),
            ..none()
        };
        let named: Vec<_> = read(Some(&bad), 64).unwrap().iter().map(Poor::to_string).collect();
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named[0].contains("`max_inflight_messages"), "{named:?}");
        assert!(named[1].contains("`retain_available false`"), "{named:?}");
    }

    #[test]
    fn subscriptions_count_when_all_are_granted_at_least_once() {
        let good = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        assert!(granted(&[good, good]).is_ok());
        let none = SubscribeReasonCode::SharedSubscriptionsNotSupported;
        assert!(matches!(granted(&[good, none]), Err(Lost::Unfit(Unfit::Shared))));
        let once = SubscribeReasonCode::Success(QoS::AtMostOnce);
        assert!(matches!(granted(&[once]), Err(Lost::Unfit(Unfit::Quality))));
        let denied = SubscribeReasonCode::NotAuthorized;
        assert!(matches!(granted(&[denied, good]), Err(Lost::Subscription)));
    }
}
