//! What rustfmt and clippy do not check: headers, file lengths, leftovers and words that tell of a workplace.

mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::TaskError;
use crate::run;

/// Endings of files that people wrote; anything else may hold any bytes.
const TEXT: [&str; 15] = [
    "rs", "toml", "md", "proto", "yaml", "yml", "sh", "py", "conf", "json", "html", "js", "css",
    "txt", "service",
];

/// Checks every file of the workspace and prints what is wrong.
pub(crate) fn check() -> Result<(), TaskError> {
    let mut files = Vec::new();
    collect(run::root(), &mut files)?;
    files.sort();
    let mut count = 0;
    for file in &files {
        let Ok(text) = fs::read_to_string(file) else {
            continue;
        };
        let path = file.strip_prefix(run::root()).unwrap_or(file);
        for finding in rules::findings(path, &text) {
            println!("{}:{}: {}", path.display(), finding.line, finding.text);
            count += usize::from(finding.fails);
        }
    }
    if count == 0 {
        println!("tidy: {} files, nothing to complain about", files.len());
        Ok(())
    } else {
        Err(TaskError::Untidy { count })
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), TaskError> {
    let failed = |source| TaskError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if kind.is_dir() {
            if enters(&entry.file_name().to_string_lossy()) {
                collect(&path, files)?;
            }
        } else if kind.is_file() && is_text(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Not into what is built or fetched, nor into hidden folders but those of the project.
fn enters(name: &str) -> bool {
    match name {
        "target" | "node_modules" => false,
        ".ci" | ".config" | ".github" => true,
        _ => !name.starts_with('.'),
    }
}

/// By its ending; a script without one, such as `.ci/run`, is text, too.
fn is_text(path: &Path) -> bool {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some(ending) => TEXT.contains(&ending),
        None => path.parent().and_then(Path::file_name).is_some_and(|folder| folder == ".ci"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_files_are_collected_and_built_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a.rs", "b/c.md", "target/d.rs", ".git/e.md", ".ci/run", "f.png"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut files = Vec::new();
        collect(root.path(), &mut files).unwrap();
        files.sort();
        let names: Vec<_> =
            files.iter().map(|file| file.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, [Path::new(".ci/run"), Path::new("a.rs"), Path::new("b/c.md")]);
    }
}
