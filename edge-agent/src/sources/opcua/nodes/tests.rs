//! From values of every type to what a machine shows, and what must not come through.

use opcua_types::{
    Array, ByteString, EUInformation, ExtensionObject, LocalizedText, StatusCode, Variant,
    VariantScalarTypeId,
};

use super::*;
use crate::sources::opcua::settings::OpcUaSettings;
use crate::sources::opcua::values::WORD_MAX;

/// A mapping with every role, as an owner writes it.
fn mapping(more: &str) -> Mapping {
    let text = format!(
        "url = \"opc.tcp://machine\"\nsecurity = \"none\"\n{more}\n[nodes]\n\
         state = \"nsu=urn:maker;s=State\"\n\
         laser = {{ node = \"nsu=urn:maker;s=Laser.Power\", scale = 2.0 }}\n\
         time = \"nsu=urn:maker;i=7\"\nprocess = \"nsu=urn:maker;s=Bed\"\n\
         process_target = \"nsu=urn:maker;s=Bed.Set\"\nelectronics = \"ns=3;s=Board\"\n"
    );
    toml::from_str::<OpcUaSettings>(&text).unwrap().mapping
}

fn good(value: impl Into<Variant>) -> DataValue {
    DataValue { value: Some(value.into()), status: None, ..DataValue::null() }
}

fn units(code: i32) -> DataValue {
    let namespace_uri = "http://www.opcfoundation.org/UA/units/un/cefact".into();
    let unit = EUInformation { namespace_uri, unit_id: code, ..EUInformation::default() };
    good(ExtensionObject::from_message(unit))
}

/// All nodes with the units that they should have.
fn asked(mapping: &Mapping) -> Vec<Asked> {
    let namespaces = ["http://opcfoundation.org/UA/", "urn:other", "urn:maker"];
    let mut asked = mapping.resolve(&namespaces.map(str::to_owned)).unwrap();
    for one in &mut asked {
        one.unit = one.role.quantity().map(|quantity| match quantity {
            Quantity::Power => Unit::Percent,
            Quantity::Temperature => Unit::Celsius,
            Quantity::Time => Unit::Minute,
        });
    }
    asked
}

/// What is shown when the node of one role says this and the others nothing.
fn shown(role: Role, value: &DataValue) -> Result<Snapshot, SourceError> {
    let mapping = mapping("");
    let asked = asked(&mapping);
    let values: Vec<_> = asked
        .iter()
        .map(|one| if one.role == role { value.clone() } else { DataValue::null() })
        .collect();
    mapping.shown(&asked, &values)
}

#[track_caller]
fn fails(result: Result<impl std::fmt::Debug, SourceError>, role: Role, expected: NodeFault) {
    match result {
        Err(SourceError::Node { role: at, fault }) => {
            assert_eq!((at, fault), (role.name(), expected));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_of_every_numeric_type_are_read_and_scaled() {
    for (value, percent) in [
        (Variant::SByte(10), 20.0),
        (Variant::Byte(10), 20.0),
        (Variant::Int16(10), 20.0),
        (Variant::UInt16(10), 20.0),
        (Variant::Int32(10), 20.0),
        (Variant::UInt32(10), 20.0),
        (Variant::Int64(10), 20.0),
        (Variant::UInt64(10), 20.0),
        (Variant::Float(10.5), 21.0),
        (Variant::Double(12.25), 24.5),
    ] {
        assert_eq!(
            shown(Role::Laser, &good(value.clone())).unwrap().laser,
            Some(percent),
            "{value:?}"
        );
    }
    assert_eq!(shown(Role::Time, &good(3.0)).unwrap().seconds, Some(180.0));
}

#[test]
fn what_is_no_single_number_is_an_error_for_the_owner() {
    let numbers = vec![Variant::Double(1.0), Variant::Double(2.0)];
    let list = Array::new(VariantScalarTypeId::Double, numbers).unwrap();
    for value in [
        Variant::from("200"),
        Variant::Boolean(true),
        Variant::from(LocalizedText::new("en", "200 W")),
        Variant::Array(Box::new(list)),
        Variant::from(ByteString::from(b"secret-part")),
        Variant::ExtensionObject(ExtensionObject::from_message(EUInformation::default())),
        Variant::Int64(i64::MAX),
    ] {
        fails(shown(Role::Laser, &good(value.clone())), Role::Laser, NodeFault::Number);
        if !matches!(value, Variant::Boolean(_) | Variant::Int64(_)) {
            let state = shown(Role::State, &good(value.clone()));
            let text = matches!(value, Variant::String(_) | Variant::LocalizedText(_));
            if text {
                assert_eq!(state.unwrap().activity, Activity::Unknown);
            } else {
                fails(state, Role::State, NodeFault::Word);
            }
        }
    }
    fails(shown(Role::State, &good(1.5)), Role::State, NodeFault::Word);
}

#[test]
fn what_the_machine_does_not_stand_by_is_not_told() {
    for status in [StatusCode::Bad, StatusCode::UncertainInitialValue, StatusCode::BadSensorFailure]
    {
        let value = DataValue { status: Some(status), ..good(10.0) };
        assert_eq!(shown(Role::Laser, &value).unwrap(), Snapshot::default(), "{status}");
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(shown(Role::Laser, &good(number)).unwrap().laser, None);
        assert_eq!(shown(Role::Electronics, &good(number)).unwrap(), Snapshot::default());
    }
    for celsius in [-273.15, 2000.0] {
        assert_eq!(shown(Role::Electronics, &good(celsius)).unwrap(), Snapshot::default());
    }
    assert_eq!(shown(Role::Laser, &good(Variant::Empty)).unwrap().laser, None);
    for status in [StatusCode::BadNodeIdUnknown, StatusCode::BadUserAccessDenied] {
        let value = DataValue { value: None, status: Some(status), ..DataValue::null() };
        fails(shown(Role::Laser, &value), Role::Laser, NodeFault::Absent);
    }
}

#[test]
fn a_state_is_what_its_table_says() {
    let text = "[states]\n1 = \"printing\"\n2 = \"run_out\"\nReady = \"idle\"\nok = \"done\"\n\
                stop = \"stopped\"\nalarm = \"fault\"\ntrue = \"paused\"\ngone = \"ended\"\n";
    // A table goes after the keys of the top.
    let base =
        "url = \"opc.tcp://machine\"\nsecurity = \"none\"\n[nodes]\nstate = \"ns=2;s=State\"\n";
    let mapping = toml::from_str::<OpcUaSettings>(&format!("{base}{text}")).unwrap().mapping;
    let asked = mapping.resolve(&[]).unwrap();
    for (value, expected) in [
        (Variant::Int32(1), Activity::Printing),
        (Variant::Byte(2), Activity::Paused { by_run_out: true }),
        (Variant::from("Ready"), Activity::Idle),
        (Variant::from(LocalizedText::new("de", "ok")), Activity::Ended(Outcome::Done)),
        (Variant::from("stop"), Activity::Ended(Outcome::StoppedByUser)),
        (Variant::from("alarm"), Activity::Ended(Outcome::Fault)),
        (Variant::Boolean(true), Activity::Paused { by_run_out: false }),
        (Variant::from("gone"), Activity::Ended(Outcome::Unspecified)),
        (Variant::from("READY"), Activity::Unknown),
        (Variant::from("x".repeat(WORD_MAX + 1)), Activity::Unknown),
        (Variant::Int32(7), Activity::Unknown),
    ] {
        let shown = mapping.shown(&asked, &[good(value.clone())]).unwrap();
        assert_eq!(shown.activity, expected, "{value:?}");
    }
}

#[test]
fn the_states_of_the_companion_specification_need_no_table() {
    for (name, expected) in [
        ("Running", Activity::Printing),
        ("Interrupted", Activity::Paused { by_run_out: false }),
        ("Ended", Activity::Ended(Outcome::Done)),
        ("Aborted", Activity::Ended(Outcome::Unspecified)),
        ("Initializing", Activity::Unknown),
    ] {
        let value = good(LocalizedText::new("", name));
        assert_eq!(shown(Role::State, &value).unwrap().activity, expected, "{name}");
    }
}

#[test]
fn a_heater_is_told_with_its_set_point_only() {
    let mapping = mapping("");
    let asked = asked(&mapping);
    let shown = |target: DataValue| {
        let value = |one: &Asked| match one.role {
            Role::Process => good(171.5),
            Role::ProcessTarget => target.clone(),
            _ => DataValue::null(),
        };
        let values: Vec<_> = asked.iter().map(value).collect();
        mapping.shown(&asked, &values).unwrap().heaters
    };
    let process = Some(Heater { actual: 171.5, target: 172.0 });
    assert_eq!(shown(good(172.0)), Heaters { process, ..Heaters::default() });
    assert_eq!(shown(DataValue::null()), Heaters::default());
}

#[test]
fn units_are_those_of_the_machine_and_fit_the_role() {
    let (watts, celsius, percent) = (0x0057_5454, 0x0043_454C, 0x5031);
    let take = |role: Role, written: Option<Unit>, said: Option<DataValue>, full: Option<f64>| {
        let node = NodeId::null();
        let mut asked = Asked { role, node, unit: written, scale: 1.0 };
        asked.take_unit(said.as_ref(), full).map(|()| asked.unit)
    };
    let full = Some(500.0);
    assert_eq!(take(Role::Laser, None, Some(units(watts)), full).unwrap(), Some(Unit::Watt));
    let same = take(Role::Laser, Some(Unit::Percent), Some(units(percent)), None);
    assert_eq!(same.unwrap(), Some(Unit::Percent));
    assert_eq!(take(Role::Bed, Some(Unit::Celsius), None, None).unwrap(), Some(Unit::Celsius));
    assert_eq!(take(Role::State, None, Some(units(watts)), None).unwrap(), None);
    for (role, written, said, expected) in [
        (Role::Laser, None, None, NodeFault::NoUnit),
        (Role::Laser, None, Some(units(watts)), NodeFault::FullScale),
        (Role::Laser, None, Some(units(celsius)), NodeFault::Unit),
        (Role::Laser, Some(Unit::Percent), Some(units(watts)), NodeFault::OtherUnit),
        (Role::Laser, None, Some(units(7)), NodeFault::Unit),
        (Role::Laser, None, Some(good("W")), NodeFault::Unit),
        (Role::Process, None, Some(units(watts)), NodeFault::Unit),
    ] {
        fails(take(role, written, said, None), role, expected);
    }
}

#[test]
fn namespaces_are_found_by_their_uris() {
    let mapping = mapping("");
    let asked = asked(&mapping);
    let node = |role| asked.iter().find(|one| one.role == role).unwrap().node.clone();
    assert_eq!(node(Role::State), NodeId::new(2, "State"));
    assert_eq!(node(Role::Time), NodeId::new(2, 7_u32));
    assert_eq!(node(Role::Electronics), NodeId::new(3, "Board"));
    // The first of the mapping's roles that has this namespace.
    fails(mapping.resolve(&["urn:other".to_owned()]), Role::State, NodeFault::Namespace);
    for wrong in ["", "State", "nsu=;s=x", "nsu=urn:maker", "nsu=urn:a;ns=2;s=x", "ns=x;s=y", "i=x"]
    {
        assert_eq!(NodePath::parse(wrong), None, "{wrong}");
    }
    let escaped = NodePath::parse("nsu=urn:a%3bb;s=x;y").unwrap();
    assert_eq!((escaped.uri.as_deref(), escaped.id), (Some("urn:a;b"), NodeId::new(0, "x;y")));
}
