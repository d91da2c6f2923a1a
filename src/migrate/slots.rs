//! The logical replication slots that a change-data-capture task leaves on its source.
//!
//! "Slots stay open after a task is deleted, and hold WAL" (DMS user guide, "Using a PostgreSQL database as an AWS DMS
//! source"): left alone, one fills the source's disk. Only slots that bear a task's own id are taken for the task's;
//! a slot that the endpoint's `SlotName` gives was made by the user and is never dropped here.

use std::time::Duration;

use crate::database::postgres::Postgres;
use crate::database::{Database, DatabaseError, quote_literal};

/// How often a slot that is still held is tried to be dropped, half a second apart: the connection of a deleted task
/// ends a moment after the task.
const TRIES: u32 = 60;

/// SQLSTATE `object_in_use`.
const IN_USE: &str = "55006";

/// A slot of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Bytes of WAL the server keeps because of it.
    pub retained: u64,
}

/// The slots that the task of this ARN has made on the source.
pub async fn of_task(source: &Postgres, arn: &str) -> Result<Vec<Slot>, DatabaseError> {
    let found = source
        .query(
            "select slot_name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint \
             from pg_replication_slots where slot_type = 'logical' and database = current_database() order by 1",
        )
        .await?;
    let slot = |row: Vec<Option<String>>| {
        let mut values = row.into_iter().flatten();
        Some(Slot { name: values.next()?, retained: values.next()?.parse().unwrap_or(0) })
    };
    Ok(found.rows.into_iter().filter_map(slot).filter(|slot| is_of_task(&slot.name, arn)).collect())
}

/// Drops a slot. One that is gone already is no error.
pub async fn drop(source: &Postgres, slot: &str) -> Result<(), DatabaseError> {
    let name = quote_literal(slot);
    let sql = format!("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = {name}");
    let mut tries = 0;
    loop {
        match source.query(&sql).await {
            Err(DatabaseError::Refused { code, .. }) if code.as_deref() == Some(IN_USE) && tries < TRIES => tries += 1,
            other => return other.map(|_| ()),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Whether a slot's name is a task's id, in small letters with `_` for `-`, followed by what DMS puts behind it: a number,
/// or the number of a database and a UUID. The id of another task that begins alike goes on with something else.
fn is_of_task(slot: &str, arn: &str) -> bool {
    let own = arn.rsplit(':').next().unwrap_or_default().to_lowercase().replace('-', "_");
    let Some(rest) = slot.strip_prefix(&own).and_then(|rest| rest.strip_prefix('_')) else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
    match rest.split_once('_') {
        None => is_number(rest),
        Some((database, id)) => {
            let hexadecimal = |letter: u8| letter.is_ascii_hexdigit() || letter == b'_';
            database.len() == 8 && is_number(database) && id.len() >= 8 && id.bytes().all(hexadecimal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_told_from_tasks_whose_ids_begin_alike() {
        let arn = "arn:aws:dms:eu-north-1:111122223333:task:Club-Load";
        assert!(is_of_task("club_load_1767225600000", arn));
        assert!(is_of_task("club_load_00016402_9e6d7f5a_1b2c_4d5e_8f90_a1b2c3d4e5f6", arn));
        for other in ["club_load", "club_load_", "club_load_two_1767225600000", "club_load_2_1767225600000", "club_1"] {
            assert!(!is_of_task(other, arn), "{other}");
        }
    }
}
