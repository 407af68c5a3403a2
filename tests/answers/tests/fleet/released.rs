//! What leaves the operator's team: a release, its withdrawal when somebody of its population leaves, and the one
//! that takes its place.

use std::collections::BTreeMap;

use imprimatur_lake::Catalogue;
use serde_json::Value;

use crate::owner::Owner;
use crate::told::Told;
use crate::world::{DATES, World, date, imprimatur};

/// The month that is released: the first of the two dates.
const MONTH: &str = "2026-08";

/// A release of all prints of the month.
pub(crate) struct Released {
    told: Value,
    /// Rows that count of a principal.
    bound: usize,
}

impl Released {
    /// Made before anybody left, and right within its noise.
    pub(crate) fn before(world: &World) -> Self {
        let made = release(world, &["make", "print_count", "--month", MONTH]);
        assert_eq!(made.code, 0, "{}", made.text);
        let bound = made.json["question"]["rows_per_principal_and_epoch"].as_u64().unwrap();
        let own = Self { told: made.json, bound: usize::try_from(bound).unwrap() };
        own.is_right(world, &own.told, None);
        // A repeat is the same bytes and costs nothing.
        let again = release(world, &["make", "print_count", "--month", MONTH]);
        assert_eq!(again.json, own.told);
        is_spent(world, 100_000);
        own
    }

    fn id(&self) -> &str {
        self.told["id"].as_str().unwrap()
    }

    /// Prints of the month that count, without those of an owner who left.
    fn exact(&self, world: &World, gone: Option<&Owner>) -> f64 {
        let mut rows: BTreeMap<[u8; 16], usize> = BTreeMap::new();
        let stays = |owner: &&Owner| {
            owner.is_enrolled() && gone.is_none_or(|gone| gone.key.subject() != owner.key.subject())
        };
        for owner in world.owners.iter().filter(stays) {
            let first = owner.prints.iter().filter(|print| print.start_date == date(DATES[0]).0);
            *rows.entry(owner.principal.0).or_default() += first.count();
        }
        let bounded = rows.into_values().map(|rows| rows.min(self.bound)).sum::<usize>();
        f64::from(u32::try_from(bounded).unwrap())
    }

    /// Within what the noise can do: beyond twenty scales once in some hundred million releases.
    fn is_right(&self, world: &World, told: &Value, gone: Option<&Owner>) {
        let value = told["groups"][0]["number"]["rows"]["value"].as_f64();
        let value = value.or_else(|| told["groups"][0]["number"]["value"].as_f64());
        let value = value.unwrap_or_else(|| panic!("{told:#}"));
        let off = (value - self.exact(world, gone)).abs();
        assert!(off <= 20.0 * scale(told), "{off} off: {told:#}");
    }

    /// The old one is told no more, the new one costs, and of the two nobody learns who it was: what the owner adds is a
    /// hundredth of what the noise moves each.
    pub(crate) async fn tells_nobody_who_left(&self, world: &World, gone: &Owner) {
        let refused = release(world, &["show", self.id()]);
        assert_eq!(refused.code, 1, "{}", refused.text);
        assert!(refused.text.contains("is excluded"), "{}", refused.text);
        let make = ["make", "print_count", "--month", MONTH];
        assert_eq!(release(world, &make).code, 1, "not again of the same rows");
        // The next edition begins a day after the last.
        let before = world.now();
        world.a_day_later();
        world.until(|catalogue| catalogue.published.0 >= before.0 + 86_400).await;
        let with = [&make[..], &["--replaces", self.id()]].concat();
        let new = release(world, &with);
        assert_eq!(new.code, 0, "{}", new.text);
        assert_eq!(new.json["replaces"], self.told["id"]);
        assert_eq!(new.json["question"], self.told["question"]);
        self.is_right(world, &new.json, Some(gone));
        is_spent(world, 200_000);
        // The control: without noise the two differ by exactly what the owner told.
        let differ = self.exact(world, None) - self.exact(world, Some(gone));
        assert!((differ - 5.0).abs() < f64::EPSILON, "{differ}");
        assert!(100.0 * differ <= scale(&self.told), "{differ}: {:#}", self.told);
        let list = release(world, &["list"]).json;
        let reason = |at: usize| list[at]["withdrawn"]["reason"].clone();
        let mut reasons = [reason(0), reason(1)];
        reasons.sort_by_key(Value::is_null);
        assert_eq!(reasons, [Value::from("excluded"), Value::Null], "{list:#}");
        names_nobody(world);
    }
}

/// No file of releases holds a pseudonym; a control finds them in the catalogue.
fn names_nobody(world: &World) {
    let catalogue = Catalogue::load(&world.lake()).unwrap();
    let subjects = catalogue.excluded.iter().map(|one| one.subject);
    let all: Vec<String> =
        catalogue.enrolled.iter().copied().chain(subjects).map(|one| one.to_string()).collect();
    let named = |text: &str| all.iter().filter(|one| text.contains(one.as_str())).count();
    let control = std::fs::read_to_string(world.lake().join("catalogue.json")).unwrap();
    assert!(named(&control) >= all.len() && all.len() > 2_500);
    let mut folders = vec![world.data().join("query")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(named(&text), 0, "{}", path.display());
            }
        }
    }
    // Two releases, their marks, a tombstone, the budget, two locks and the edition.
    assert!(files >= 8, "{files}");
}

/// In millionths of epsilon.
fn is_spent(world: &World, micro: u64) {
    let budget = release(world, &["budget"]);
    assert_eq!(budget.json["month_spent_micro"], micro, "{}", budget.text);
}

/// Scale of the noise of a release's rows.
fn scale(told: &Value) -> f64 {
    let noise = told["privacy"]["noise"].as_array().unwrap();
    let of_rows = noise.iter().find(|one| one["of"] == "rows").unwrap();
    of_rows["scale"].as_str().unwrap().parse().unwrap()
}

/// Runs a command of releases.
fn release(world: &World, arguments: &[&str]) -> Told {
    let data = world.data();
    let output = imprimatur(
        &[&["release"], arguments, &["--data", data.to_str().unwrap(), "--json"]].concat(),
    );
    Told::of(&output)
}
