//! Pages: the report and the record of processing as HTML that needs nothing else.
//!
//! No script, no other file, no colour that alone says something. Text is escaped by the templates'
//! compiler; the page forbids its own browser to load anything.

mod record;
mod report;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use record::record_page;
pub use report::report_page;

/// Light and dark, screen and paper.
const STYLE: &str = include_str!("html/page.css");

/// A whole page.
fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

/// A table of names and values.
fn facts(caption: &str, rows: &[(&str, String)]) -> Markup {
    html! {
        table class="facts" {
            caption { (caption) }
            tbody {
                @for (name, value) in rows {
                    tr { th scope="row" { (name) } td { (value) } }
                }
            }
        }
    }
}

/// A table with a head.
fn table(caption: &str, head: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { @for name in head { th scope="col" { (name) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (at, cell) in row.iter().enumerate() {
                            @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}
