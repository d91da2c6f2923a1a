//! The kinds of towpath and everything that speaks to AWS.
//!
//! `connection` says how AWS is reached, `cloud` has the clients, `fault` makes faults of errors, `kinds` is the table of kinds; `dms` and
//! `redshift_data` are what hauling data needs; `lease` keeps a stack to one writer. Nothing here waits, retries or prints.

mod calls;
pub mod cloud;
pub mod connection;
pub mod dms;
pub mod dms_mappings;
pub mod dms_quotas;
pub mod fault;
pub mod kinds;
pub mod lease;
mod pace;
pub mod quotas;
pub mod redshift_data;
mod shared;
pub mod sweep;
mod tag_index;
