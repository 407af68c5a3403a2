//! The console in headless Chromium, before the real query server on a synthetic lake; nothing leaves the machine.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod browser;
mod driver;
mod explore;
mod fleet;
mod looks;
mod published;
mod rooms;
mod server;
mod session;
