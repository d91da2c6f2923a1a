//! The behaviour of the program, through its command line.
//!
//! One binary, so that the SDK is linked once; one module per command. The tests spawn the built
//! program in an environment of their own (`env`) and start every server they need themselves.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap has failed")]

mod architecture;
mod env;
mod generated;
