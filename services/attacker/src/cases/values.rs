//! Cases 40, 41, 45, 46, 52 and 55: values that are none of the contract's.

use imprimatur_proto::field;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::Shape;
use imprimatur_proto::{FieldId, contract};

use crate::attack::Attack;
use crate::error::AttackError;
use crate::layout;
use crate::wire;

/// Numbers that no domain of the contract has; the last is -1 in 64 bits.
const HUGE: [u64; 4] = [1_000_000, 1 << 31, 1 << 32, u64::MAX];

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    domains(attack).await?;
    no_floats(attack).await?;
    contradictions(attack).await?;
    raw(attack).await?;
    series(attack).await
}

/// Every value above its domain.
async fn domains(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let (mut enums, mut numbers) = (Vec::new(), Vec::new());
    for section in layout::sections() {
        for rule in &section.values {
            for value in HUGE.into_iter().chain([u64::from(rule.domain())]) {
                let inside = wire::number(u64::from(rule.number), value);
                let frame = attack.honest.frame(section.batch(&header, today, inside));
                let of =
                    if matches!(rule.shape, Shape::Enum(_)) { &mut enums } else { &mut numbers };
                of.push(frame);
            }
        }
    }
    attack.frames(40, "numbers that no enum has", "unknown_enum", enums).await?;
    attack
        .frames(41, "numbers beyond each domain, negative ones among them", "out_of_range", numbers)
        .await
}

/// A float, a double or a text where a number belongs: no value of the contract can hold one.
async fn no_floats(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let mut frames = Vec::new();
    for section in layout::sections() {
        for rule in &section.values {
            let number = u64::from(rule.number);
            let told = [
                wire::double(number, f64::NAN),
                wire::double(number, -0.0),
                wire::float(number, f32::INFINITY),
                wire::bytes(number, b"215"),
            ];
            for inside in told {
                frames.push(attack.honest.frame(section.batch(&header, today, inside)));
            }
        }
    }
    attack.frames(41, "NaN, -0.0, infinity and text for every value", "malformed", frames).await
}

/// Both alternatives of an axis.
async fn contradictions(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let pairs = [
        [field::PRINT_TIME_COMPLETED_DURATION, field::PRINT_TIME_STOPPED_DURATION],
        [field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, field::PRINT_TEMPERATURE_PROCESS_SET_POINT],
    ];
    let frames: Vec<_> = pairs
        .into_iter()
        .map(|pair| {
            let inside: Vec<u8> = pair.into_iter().flat_map(|one| told(one, 2)).collect();
            of_print(attack, &header, today, pair.first().copied(), inside)
        })
        .collect();
    attack.frames(41, "both alternatives of an axis", "contradiction", frames).await
}

/// Values as they were measured.
async fn raw(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let values = [
        (55, "exact seconds", field::PRINT_TIME_COMPLETED_DURATION, 5_025),
        (55, "exact millimetres of filament", field::PRINT_MATERIAL_AMOUNT, 12_345),
        (46, "a set-point to the degree", field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, 213),
        (
            52,
            "laser power to the percent, beyond its steps",
            field::PRINT_LASER_NOMINAL_SET_POINT,
            57,
        ),
    ];
    for (case, what, place, value) in values {
        let frame = of_print(attack, &header, today, Some(place), told(place, value));
        attack.frames(case, what, "out_of_range", [frame]).await?;
    }
    Ok(())
}

/// A list in the place of one value.
async fn series(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let packed: Vec<u8> = (0..40).flat_map(|at| wire::varint(at % 5 + 1)).collect();
    let places = [
        (45, "a sequence of error codes", field::PRINT_FAULTS_FAMILY),
        (46, "a sequence of set-points", field::PRINT_TEMPERATURE_NOZZLE_SET_POINT),
        (52, "laser power by layer", field::PRINT_LASER_NOMINAL_SET_POINT),
    ];
    for (case, what, place) in places {
        let number = u64::from(contract().rule(place).number);
        let list = wire::bytes(number, &packed);
        let list = of_print(attack, &header, today, Some(place), list);
        attack.frames(case, what, "malformed", [list]).await?;
        let again = [told(place, 1), told(place, 2)].concat();
        let again = of_print(attack, &header, today, Some(place), again);
        attack.frames(case, "the same as repeated fields", "duplicate_field", [again]).await?;
    }
    Ok(())
}

fn told(place: FieldId, value: u64) -> Vec<u8> {
    wire::number(u64::from(contract().rule(place).number), value)
}

/// A frame of one print whose section that has this value holds these bytes.
fn of_print(
    attack: &Attack,
    header: &[u8],
    today: u32,
    place: Option<FieldId>,
    inside: Vec<u8>,
) -> Vec<u8> {
    let message = place.map(|place| contract().rule(place).message.as_str());
    let sections = layout::of_kind(RecordKind::Print);
    let has = |section: &&layout::Section| {
        section.values.first().map(|rule| rule.message.as_str()) == message
    };
    let section = sections.iter().find(has);
    attack.honest.frame(section.map_or_else(Vec::new, |one| one.batch(header, today, inside)))
}
