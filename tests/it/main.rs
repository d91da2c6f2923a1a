//! The behaviour of the program, through its command line.
//!
//! One binary, so that the SDK is linked once; one module per command. The tests spawn the built
//! program in an environment of their own (`env`) and start every server they need themselves.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap has failed")]

mod adopt;
mod apply;
mod architecture;
mod around;
mod asked;
mod aws;
mod calls;
mod check;
mod down;
mod drift;
mod env;
mod environments;
mod foreign;
mod generated;
mod help;
mod hints;
mod interrupt;
mod kill;
mod known_failures;
mod lease;
mod limits;
mod managed;
mod network;
mod no_state;
mod outside;
mod plan_output;
mod quotas;
mod random_story;
mod readme;
mod reap;
mod saved_plan;
mod schemas;
mod secrets;
mod serverless;
mod surroundings;
mod sweep;
mod unset;
mod up;
mod wire;
