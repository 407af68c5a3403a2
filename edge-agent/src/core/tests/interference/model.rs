//! Plans that say what bins and settings a print has, and models that fill them with everything else.

use imprimatur_proto::{contract, field};
use imprimatur_testkit::chance::Chance;
use serde_json::{Value, json};
use std::fmt::Write as _;

use super::{HEATING_SECONDS, LOOKS};

/// Grams of a cubic centimetre of PLA.
const DENSITY: f64 = 1.24;

/// Names that owners give, and worse.
const NAMES: [&str; 12] = [
    "Acme Corp — bracket_v3 FINAL",
    "gun_part; layer_height = 9",
    "プロトタイプ 7",
    "x\u{202e}edocg",
    "a'b\"c\\d`$(id)",
    "%00%2e%2e%2f",
    "G1 X10.125 Y20.250 E3.5",
    "solid acme",
    "TIME_ELAPSED",
    "{\"event\":{\"type\":\"PrintDone\"}}",
    "<svg><path d='M0 0L1 1'>",
    "00:1B:44:11:3A:B7 SN-48151623",
];

/// Who wrote the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slicer {
    Prusa,
    Cura,
    Orca,
}

/// How the print ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Done,
    Cancelled,
    Failed,
}

/// Bins and settings of a print: what may be told.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    slicer: Slicer,
    ending: Ending,
    seconds: (f64, f64),
    grams: (f64, f64),
    layer_height: f64,
    infill: u64,
    family: &'static str,
    supports: u64,
    brim: u64,
    nozzle: f64,
    bed: f64,
    wobble: Wobble,
    /// Share of the plan after which a stopped print ends.
    share: f64,
}

/// How the heaters keep their set-points.
#[derive(Clone, Copy, Debug)]
enum Wobble {
    No,
    /// Off and back again, each time for less than the five minutes that make an excursion.
    Short,
    /// Off for the rest of the print.
    Lasting,
}

impl Wobble {
    /// Whether the heaters are off at a look at a print of at most so many seconds.
    fn is_off(self, longest: f64, look: u32) -> bool {
        match self {
            Self::No => false,
            Self::Short => longest < 300.0 * f64::from(LOOKS - 2) && look.is_multiple_of(2),
            Self::Lasting => look > 2,
        }
    }
}

/// Values of one print inside the bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub(super) seconds: f64,
    grams: f64,
}

/// A model: what must not be told.
#[derive(Clone, Debug)]
pub(super) struct Model {
    chance: Chance,
    seed: u64,
    name: String,
    extent: f64,
}

fn pick<T: Copy>(chance: &mut Chance, of: &[T]) -> T {
    of[usize::try_from(chance.below(u64::try_from(of.len()).unwrap())).unwrap()]
}

/// A number between the two, of a million.
fn between(chance: &mut Chance, low: f64, high: f64) -> f64 {
    low + (high - low) * f64::from(u32::try_from(chance.below(1_000_000)).unwrap()) / 1e6
}

impl Plan {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        use Ending::{Cancelled, Done, Failed};
        let ending = pick(chance, &[Done, Done, Done, Done, Cancelled, Failed]);
        let duration = match ending {
            Done => field::PRINT_TIME_COMPLETED_DURATION,
            Cancelled | Failed => field::PRINT_TIME_STOPPED_DURATION,
        };
        let bins = |field, low: f64, high: f64| -> Vec<(f64, f64)> {
            let rule = contract().rule(field);
            let bounds = (1..rule.domain()).filter_map(|index| contract().bounds(field, index));
            bounds.filter(|bin| bin.1 > low * 1.1 && bin.1 <= high).collect()
        };
        Self {
            slicer: pick(chance, &[Slicer::Prusa, Slicer::Cura, Slicer::Orca]),
            ending,
            seconds: pick(chance, &bins(duration, 400.0, 7_700.0)),
            grams: pick(chance, &bins(field::PRINT_MATERIAL_AMOUNT, 1.0, 300.0)),
            layer_height: pick(chance, &[0.1, 0.2, 0.3]),
            infill: pick(chance, &[0, 15, 40, 100]),
            family: pick(chance, &["PLA", "PETG", "ABS", "TPU"]),
            supports: chance.below(2),
            brim: pick(chance, &[0, 5]),
            nozzle: pick(chance, &[200.0, 215.0, 240.0]),
            bed: pick(chance, &[55.0, 60.0, 85.0]),
            wobble: pick(
                chance,
                &[Wobble::No, Wobble::No, Wobble::No, Wobble::Short, Wobble::Lasting],
            ),
            share: pick(chance, &[0.2, 0.7]),
        }
    }

    /// Values that fall into the bins; not on their edges, where a printed digit decides.
    pub(super) fn exact(&self, chance: &mut Chance) -> Exact {
        let within = |chance: &mut Chance, (low, high): (f64, f64)| {
            let low = low.max(high / 4.0);
            between(chance, low * 1.02, high * 0.98)
        };
        Exact {
            seconds: within(chance, self.seconds).max(400.0),
            grams: within(chance, self.grams),
        }
    }

    /// What was planned for a print that takes so long.
    fn planned(&self, exact: Exact) -> f64 {
        if self.ending == Ending::Done { exact.seconds } else { exact.seconds / self.share }
    }
}

impl Model {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        let seed = chance.draw();
        let mut own = Chance::of(seed);
        let name = format!("{} {:x}", pick(&mut own, &NAMES), own.below(1 << 20));
        let extent = between(&mut own, 5.0, 200.0);
        Self { chance: own, seed, name, extent }
    }

    /// Longest edge, millimetres.
    pub(super) fn extent(&self) -> f64 {
        self.extent
    }

    /// Its name, as far as a file system takes it.
    pub(super) fn file_name(&self) -> String {
        format!("{}.gcode", self.name.replace(['/', '\0'], "_"))
    }

    /// What a slicer writes for it.
    pub(super) fn file(&self, plan: &Plan, exact: Exact) -> Vec<u8> {
        let mut chance = Chance::of(self.seed ^ 1);
        let mut text = String::new();
        self.head(plan, exact, &mut text);
        self.remarks(&mut chance, &mut text);
        // Some are longer than what is read of them.
        let layers = 3 + u32::try_from(chance.below(12)).unwrap();
        let moves = pick(&mut chance, &[4_u32, 8, 16, 400]);
        let planned = plan.planned(exact);
        for layer in 1..=layers {
            self.layer(&mut chance, layer, moves, &mut text);
            if plan.slicer == Slicer::Cura {
                let so_far = planned * f64::from(layer) / f64::from(layers);
                writeln!(text, ";TIME_ELAPSED:{so_far:.6}").unwrap();
            }
        }
        self.remarks(&mut chance, &mut text);
        self.foot(plan, exact, &mut text);
        text.into_bytes()
    }

    fn head(&self, plan: &Plan, exact: Exact, text: &mut String) {
        let (name, extent) = (&self.name, self.extent);
        match plan.slicer {
            Slicer::Prusa => writeln!(
                text,
                "; generated by PrusaSlicer 2.7.4 on 2026-11-22 at {:02}:11:09 UTC\n\
                 ; objects_info = {{\"objects\":[{{\"name\":\"{name}\",\"polygon\":[[0,0],[{extent:.3},0]]}}]}}\n\
                 EXCLUDE_OBJECT_DEFINE NAME='{name}' CENTER={extent:.2},3 POLYGON=[[0,0],[{extent:.2},1]]",
                self.seed % 24
            ),
            Slicer::Cura => writeln!(
                text,
                ";FLAVOR:Marlin\n;TIME:6666\n;Filament used: {:.5}m\n;Layer height: {}\n\
                 ;MINX:{:.3}\n;MAXX:{extent:.3}\n;MAXZ:{:.2}\n;Generated with Cura_SteamEngine 5.4.0\n\
                 ;MESH:{name}.stl\n;LAYER_COUNT:{}",
                extent / 7.0,
                plan.layer_height,
                extent / 3.0,
                extent / 2.0,
                self.seed % 500
            ),
            Slicer::Orca => writeln!(
                text,
                "; HEADER_BLOCK_START\n; generated by OrcaSlicer 2.1.1 on 2026-11-22\n\
                 ; total layer number: {}\n; max_z_height: {extent:.2}\n; model label id: {}\n\
                 ; model printing time: 3m 1s; total estimated time: {}\n; HEADER_BLOCK_END",
                self.seed % 900,
                self.seed,
                span(plan.planned(exact))
            ),
        }
        .unwrap();
    }

    /// Pictures, notes, macros, messages: free text wherever a file has room for it.
    fn remarks(&self, chance: &mut Chance, text: &mut String) {
        let name = &self.name;
        writeln!(text, "; thumbnail begin 16x16 {}", chance.below(4_000)).unwrap();
        for _ in 0..=chance.below(6) {
            let line: Vec<_> = (0..8).map(|_| format!("{:016x}", chance.draw())).collect();
            let line = line.concat();
            writeln!(text, "; {line}").unwrap();
        }
        writeln!(
            text,
            "; thumbnail end\nM117 printing {name}\n;{name}\n; notes = {name}\n; printing object {name} id:{} copy 0\n\
             SET_GCODE_VARIABLE MACRO=START VARIABLE=who VALUE='{name}'\nM486 A{name}\n; {}",
            chance.below(9),
            "x".repeat(usize::try_from(chance.below(600)).unwrap())
        )
        .unwrap();
    }

    fn layer(&self, chance: &mut Chance, layer: u32, moves: u32, text: &mut String) {
        writeln!(text, ";LAYER:{layer}\nG1 Z{:.3} F600", f64::from(layer) * self.extent / 300.0)
            .unwrap();
        for _ in 0..moves {
            let (x, y) = (between(chance, 0.0, self.extent), between(chance, 0.0, self.extent));
            writeln!(text, "G1 X{x:.3} Y{y:.3} E{:.5}", between(chance, 0.0, 2.0)).unwrap();
        }
    }

    fn foot(&self, plan: &Plan, exact: Exact, text: &mut String) {
        if plan.slicer == Slicer::Cura {
            writeln!(text, ";End of Gcode\n;SETTING_3 {{\"global\": \"{}\"}}", self.name).unwrap();
            return;
        }
        let infill =
            if plan.slicer == Slicer::Prusa { "fill_density" } else { "sparse_infill_density" };
        let supports =
            if plan.slicer == Slicer::Prusa { "support_material" } else { "enable_support" };
        writeln!(
            text,
            "; filament used [mm] = {:.2}\n; filament used [g] = {:.3}\n\
             ; estimated printing time (normal mode) = {}\n; filament_type = {}\n; layer_height = {}\n\
             ; {infill} = {}%\n; {supports} = {}\n; brim_width = {}\n; brim_type = outer_only\n; nozzle_diameter = 0.4\n\
             ; printer_notes = {}\n; filament_settings_id = \"{}\"\n; bed_shape = 0x0,{:.1}x0",
            self.extent * 31.0,
            exact.grams,
            span(plan.planned(exact)),
            plan.family,
            plan.layer_height,
            plan.infill,
            plan.supports,
            plan.brim,
            self.name,
            self.name,
            self.extent
        )
        .unwrap();
    }

    /// The payload that comes with each event.
    fn payload(&self, more: &Value) -> Value {
        let mut payload = json!({
            "name": self.name, "path": format!("acme/{}", self.name), "display": self.name,
            "origin": "local", "size": self.seed % 9_000_000, "owner": self.name, "user": "j.doe",
            "position": { "x": self.extent, "y": self.extent / 2.0, "z": 0.3 },
        });
        for (key, value) in more.as_object().unwrap() {
            payload[key.as_str()] = value.clone();
        }
        payload
    }

    pub(super) fn started(&self) -> String {
        json!({ "event": { "type": "PrintStarted", "payload": self.payload(&json!({})) } })
            .to_string()
    }

    /// A message that nobody asked for.
    pub(super) fn noise(&mut self) -> String {
        let z = between(&mut self.chance, 0.0, self.extent);
        match self.chance.below(4) {
            0 => json!({ "event": { "type": "ZChange", "payload": { "new": z, "old": 0.2 } } }),
            1 => json!({ "current": { "logs": [format!("Send: G1 X{z:.3} Y3"), self.name], "currentZ": z,
                                      "progress": { "filepos": self.chance.below(90_000) } } }),
            2 => json!({ "plugin": { "plugin": "DisplayLayerProgress", "data": { "layer": z, "name": self.name } } }),
            _ => json!({ "event": { "type": "plugin_x_named", "payload": self.payload(&json!({ "height": z })) } }),
        }
        .to_string()
    }

    /// What the printer program answers at one look: `/api/printer` and `/api/job`.
    pub(super) fn state(&mut self, plan: &Plan, exact: Exact, look: u32) -> (String, String) {
        // Cold, warmer, then at the set-point with the noise of a sensor, and off at last.
        let over = look == LOOKS;
        let wobble = if plan.wobble.is_off(plan.seconds.1, look) { 6.0 } else { 0.0 };
        let mut heater = |target: f64| {
            let target = if over { 0.0 } else { target };
            let actual = match look {
                0 | LOOKS => 25.0,
                1 => target / 2.0,
                _ => target - wobble + between(&mut self.chance, -1.5, 1.5),
            };
            json!({ "actual": actual, "target": target, "offset": 0 })
        };
        let (nozzle, bed) = (heater(plan.nozzle), heater(plan.bed));
        let share = f64::from(look) / f64::from(LOOKS);
        let printer = json!({
            "temperature": { "tool0": nozzle, "bed": bed, "history": [{ "time": self.seed % 99 }] },
            "state": { "text": self.name, "flags": { "printing": !over, "operational": true } },
            "currentZ": self.extent * share,
        });
        let volume = exact.grams / DENSITY;
        let job = json!({
            "job": { "file": self.payload(&json!({ "date": self.seed % 1_000_000 })), "user": self.name,
                     "estimatedPrintTime": plan.planned(exact),
                     "filament": { "tool0": { "length": volume * 415.0, "volume": volume } } },
            "progress": { "completion": share * 100.0, "filepos": self.seed % 4_000,
                          "printTime": exact.seconds * share, "printTimeLeft": HEATING_SECONDS },
            "state": format!("Printing {}", self.name),
        });
        (printer.to_string(), job.to_string())
    }

    pub(super) fn ended(&self, plan: &Plan, exact: Exact) -> Vec<String> {
        let event = |kind: &str, more: Value| {
            json!({ "event": { "type": kind, "payload": self.payload(&more) } }).to_string()
        };
        let time = exact.seconds;
        match plan.ending {
            Ending::Done => vec![event("PrintDone", json!({ "time": time }))],
            Ending::Cancelled => vec![
                event("PrintCancelled", json!({ "time": time })),
                event("PrintFailed", json!({ "time": time, "reason": "cancelled" })),
            ],
            Ending::Failed => vec![
                event(
                    "Error",
                    json!({ "error": self.name, "reason": "firmware", "logs": [self.name] }),
                ),
                event(
                    "PrintFailed",
                    json!({ "time": time, "reason": "error", "error": self.name }),
                ),
            ],
        }
    }
}

/// Seconds as slicers write them.
fn span(seconds: f64) -> String {
    let whole = std::time::Duration::from_secs_f64(seconds).as_secs();
    format!("{}h {}m {}s", whole / 3600, whole / 60 % 60, whole % 60)
}
