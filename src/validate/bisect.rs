//! Finds the rows that differ without fetching those that do not.
//!
//! Rows are grouped by the first digits of their key's hash, two digits more at a time in the
//! groups that differ, until what is left is small enough to be fetched as keys and hashes. Works
//! for keys of any type and number of columns.

use std::collections::BTreeMap;

use super::{Compared, Comparison, Difference, RowReport, Side, TableReport, canonical};
use crate::database::{DatabaseError, Rows, quote_literal};

/// Rows that may be fetched from each side, as key and hash.
const FETCHED: u64 = 2_000;

/// Groups that are looked into: more means that nearly every row differs, and a sample will do.
const GROUPS: usize = 64;

/// Names up to `options.rows` differing rows in the report.
pub(super) async fn rows(
    comparison: &Comparison<'_>,
    columns: &[Compared],
    report: &mut TableReport,
) -> Result<(), DatabaseError> {
    let mut left = report.source_rows.unwrap_or_default().max(report.target_rows.unwrap_or_default());
    let (mut digits, mut groups): (u32, Vec<String>) = (0, Vec::new());
    while left > FETCHED && digits < 12 {
        let condition = condition(digits, &groups);
        digits += 2;
        let statement = |side| {
            let dialect = comparison.dialect(side);
            let (first, second) = (canonical::lane("h", 1, dialect), canonical::lane("h", 16, dialect));
            let rows = comparison.hashed(side, columns);
            format!(
                "select substring(kh, 1, {digits}), count(*), {first}, {second} from ({rows}) d{condition} group by 1"
            )
        };
        let (source, target) = comparison.both(&statement).await?;
        let (source, target) = (by_group(source), by_group(target));
        let mut differing: Vec<_> = source.keys().chain(target.keys()).collect();
        differing.retain(|group| source.get(*group) != target.get(*group));
        differing.sort();
        differing.dedup();
        let size = |group: &String| {
            let rows = |side: &BTreeMap<String, Vec<Option<String>>>| {
                side.get(group).and_then(|row| row[0].as_ref()?.parse::<u64>().ok()).unwrap_or_default()
            };
            rows(&source).max(rows(&target))
        };
        if differing.len() > GROUPS {
            differing.truncate(GROUPS);
            report.more_rows = true;
        }
        left = differing.iter().map(|group| size(group)).sum();
        groups = differing.into_iter().cloned().collect();
    }
    fetch(comparison, columns, report, &condition(digits, &groups)).await
}

fn condition(digits: u32, groups: &[String]) -> String {
    if digits == 0 {
        return String::new();
    }
    let groups: Vec<_> = groups.iter().map(|group| quote_literal(group)).collect();
    format!(" where substring(kh, 1, {digits}) in ({})", groups.join(", "))
}

fn by_group(rows: Rows) -> BTreeMap<String, Vec<Option<String>>> {
    let group = |mut row: Vec<Option<String>>| (row.remove(0).unwrap_or_default(), row);
    rows.rows.into_iter().map(group).collect()
}

/// What is known of one key on one side.
#[derive(Default, PartialEq, Eq)]
struct Found {
    key: Vec<Option<String>>,
    hashes: Vec<String>,
}

async fn fetch(
    comparison: &Comparison<'_>,
    columns: &[Compared],
    report: &mut TableReport,
    condition: &str,
) -> Result<(), DatabaseError> {
    let key = (0..columns.len()).filter(|index| columns[*index].in_key);
    let key = key.map(|index| format!(", c{index}")).collect::<Vec<_>>().concat();
    let statement = |side| format!("select kh, h{key} from ({}) d{condition}", comparison.hashed(side, columns));
    let (source, target) = comparison.both(&statement).await?;
    let (source, target) = (by_key(source), by_key(target));
    let mut changed = BTreeMap::new();
    let mut keys: Vec<_> = source.keys().chain(target.keys()).collect();
    keys.sort();
    keys.dedup();
    for hash in keys {
        let difference = match (source.get(hash), target.get(hash)) {
            (Some(source), Some(target)) if source == target => continue,
            (Some(_), None) => Difference::OnlyInSource,
            (None, _) => Difference::OnlyInTarget,
            (Some(source), Some(target)) if source.hashes.len() + target.hashes.len() > 2 => Difference::Duplicated,
            (Some(_), Some(_)) => Difference::Changed,
        };
        if report.rows.len() >= comparison.options.rows {
            report.more_rows = true;
            break;
        }
        if difference == Difference::Changed {
            changed.insert(hash.clone(), report.rows.len());
        }
        let key = source.get(hash).or(target.get(hash)).map(|found| found.key.clone()).unwrap_or_default();
        report.rows.push(RowReport { key, difference, values: Vec::new() });
    }
    values(comparison, columns, report, &changed).await?;
    report.rows.sort();
    Ok(())
}

fn by_key(rows: Rows) -> BTreeMap<String, Found> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for mut row in rows.rows {
        let key = row.split_off(2);
        let [hash, row_hash] = [0, 1].map(|index: usize| row[index].take().unwrap_or_default());
        let found = found.entry(hash).or_default();
        found.key = key;
        found.hashes.push(row_hash);
        found.hashes.sort();
    }
    found
}

/// The values of changed rows, where they differ. `changed` says where in the report each key is.
async fn values(
    comparison: &Comparison<'_>,
    columns: &[Compared],
    report: &mut TableReport,
    changed: &BTreeMap<String, usize>,
) -> Result<(), DatabaseError> {
    if changed.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = changed.keys().map(|key| quote_literal(key)).collect();
    // A row of a result through the Data API holds 64 KB.
    let texts = (0..columns.len()).map(|index| format!(", substring(c{index}, 1, 200), md5(c{index})"));
    let texts = texts.collect::<Vec<_>>().concat();
    let statement = |side: Side| {
        format!("select kh{texts} from ({}) d where kh in ({})", comparison.hashed(side, columns), keys.join(", "))
    };
    let (source, target) = comparison.both(&statement).await?;
    let (source, target) = (by_group(source), by_group(target));
    for (key, place) in changed {
        let (Some(source), Some(target)) = (source.get(key), target.get(key)) else { continue };
        let differs = |index: &usize| source[2 * index + 1] != target[2 * index + 1];
        let value = |index: usize| (columns[index].name.clone(), source[2 * index].clone(), target[2 * index].clone());
        report.rows[*place].values = (0..columns.len()).filter(differs).map(value).collect();
    }
    Ok(())
}
