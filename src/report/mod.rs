//! Everything a person or a program reads: text, bars, JSON, Markdown.
//!
//! `report` sees values only (events, plans, diagnostics, summaries), never a kind, a client or
//! the journal. Start at `output` (the streams), then the file named after what is shown.

pub mod data;
pub mod diagnostics;
pub mod leftovers;
pub mod models;
pub mod output;
pub mod plan;
pub mod reference;
pub mod run;
pub mod style;
