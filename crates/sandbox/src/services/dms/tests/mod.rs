//! DMS as a client sees it over HTTP. Each rule is quoted where it is tested.

mod network;
mod rules;
mod runs;
mod scenes;
mod serverless;
