//! Compiles the service's own contract. It is no part of the telemetry contract, whose hash stays what it is.

const FOLDER: &str = "../../proto";
const FILE: &str = "imprimatur/query/v1/query.proto";

fn main() {
    println!("cargo::rerun-if-changed={FOLDER}/{FILE}");
    if let Err(error) = generate() {
        println!("cargo::error={error}");
    }
}

fn generate() -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = protox::Compiler::new([FOLDER])?;
    compiler.include_source_info(true).include_imports(true).open_file(FILE)?;
    #[expect(clippy::disallowed_methods, reason = "a build script is told its folder this way")]
    let folder = std::env::var("OUT_DIR")?;
    let path = std::path::Path::new(&folder).join("query.bin");
    std::fs::write(path, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
