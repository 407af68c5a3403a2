//! Compiles the contract without `protoc`, checks it against its budget, and generates the types.

use std::fmt::Write as _;
use std::path::PathBuf;

#[path = "src/capacity.rs"]
#[expect(unreachable_pub, clippy::struct_field_names, reason = "shared with the library")]
mod capacity;
#[path = "src/category.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the library")]
mod category;
#[path = "src/rules.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the library")]
mod rules;

const FILES: [&str; 5] = [
    "imprimatur/policy/v1/policy.proto",
    "imprimatur/telemetry/v1/telemetry.proto",
    "imprimatur/consent/v1/consent.proto",
    "imprimatur/ingest/v1/ingest.proto",
    "imprimatur/rights/v1/rights.proto",
];

fn main() {
    println!("cargo::rerun-if-changed=imprimatur");
    println!("cargo::rerun-if-changed=src");
    if let Err(error) = generate() {
        println!("cargo::error={error}");
    }
}

fn generate() -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::disallowed_methods, reason = "a build script is told its folder this way")]
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(false).include_imports(true).open_files(FILES)?;

    // The typed descriptor set loses custom options, so the rules travel as raw bytes.
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let rules = rules::Rules::read(&compiler.descriptor_pool())?;
    let capacity = capacity::Capacity::of(&rules);
    capacity.within_budget()?;

    let mut constants = String::new();
    for (index, rule) in rules.fields.iter().enumerate().filter(|(_, rule)| rule.is_value()) {
        writeln!(constants, "/// `{}.{}`: {}.", rule.message, rule.name, rule.necessity)?;
        writeln!(constants, "pub const {}: FieldId = FieldId({index});", rule.constant())?;
    }
    std::fs::write(out.join("fields.rs"), constants)?;

    // A second pass keeps the comments, which become the documentation of the types.
    let mut commented = protox::Compiler::new(["."])?;
    commented.include_source_info(true).include_imports(true).open_files(FILES)?;
    let mut config = prost_build::Config::new();
    config.enable_type_names();
    let builder = tonic_prost_build::configure();
    builder.compile_fds_with_config(commented.file_descriptor_set(), config)?;
    Ok(())
}
