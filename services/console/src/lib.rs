//! The console: a page for engineers and compliance, as files that are built into the program.
//!
//! The page is plain modules without a build step; the chart library in `web/vendor` is byte for byte what
//! npm's lock file names (`cargo xtask console --check`). Keeps true: no file asks a foreign host for anything, and
//! none needs a script or style inside a page, so that [`CONTENT_SECURITY_POLICY`] can forbid both. No file holds
//! data; the page asks `/v1` for it, with the reader's token.

#[cfg(test)]
mod tests;

/// What the page may do: its own scripts, styles and pictures, and questions to its own server.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its type, as the header `Content-Type` has it.
    pub content_type: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! files {
    ($($path:literal: $content_type:expr,)*) => {
        &[$(($path, Asset { content_type: $content_type, bytes: include_bytes!(concat!("../web/", $path)) }),)*]
    };
}

/// Every file under `web`, by its path there. A test holds the list against the folder.
const FILES: &[(&str, Asset)] = files! {
    "index.html": HTML,
    "style.css": STYLE,
    "icon.svg": PICTURE,
    "answer.js": SCRIPT,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "chart.js": SCRIPT,
    "compliance.js": SCRIPT,
    "dom.js": SCRIPT,
    "explore.js": SCRIPT,
    "marks.js": SCRIPT,
    "overview.js": SCRIPT,
    "problem.js": SCRIPT,
    "question.js": SCRIPT,
    "result.js": SCRIPT,
    "session.js": SCRIPT,
    "sign-in.js": SCRIPT,
    "table.js": SCRIPT,
    "theme.js": SCRIPT,
    "words.js": SCRIPT,
    "vendor/chart.js-4.6.1/LICENSE.md": TEXT,
    "vendor/chart.js-4.6.1/chart.umd.min.js": SCRIPT,
    "vendor/chart.js-4.6.1/color-LICENSE.md": TEXT,
};

/// The file at `path`, which counts from `web`: `index.html` is the page, served as `/`; the others are served
/// under `/assets/`. `None` where there is none; nothing is looked up on a disk.
pub fn asset(path: &str) -> Option<Asset> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, asset)| *asset)
}
