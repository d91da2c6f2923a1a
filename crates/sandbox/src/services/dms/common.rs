//! What all DMS operations share: names, ARNs, faults, filters and pages.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::arn::random_text;
use crate::call::{ApiError, Call, Input};

const SUFFIX: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SUFFIX_LENGTH: usize = 26;

/// `ResourceNotFoundFault`.
pub(super) fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundFault", message)
}

/// `ResourceAlreadyExistsFault`.
pub(super) fn exists(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceAlreadyExistsFault", message)
}

/// `InvalidResourceStateFault`.
pub(super) fn wrong_state(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidResourceStateFault", message)
}

/// Refuses to touch what a zero-ETL integration manages: "You can only modify or delete read-only endpoints through their
/// associated zero-ETL integration" (DMS API reference, `Endpoint`). The code is not documented.
pub(super) fn require_writable(read_only: bool, what: &str) -> Result<(), ApiError> {
    if read_only {
        return Err(wrong_state(format!("{what} is read-only: it is managed by a zero-ETL integration")));
    }
    Ok(())
}

/// A required identifier by DMS's rules for names, in lower case as DMS keeps it.
pub(super) fn identifier(input: Input<'_>, member: &str, longest: usize) -> Result<String, ApiError> {
    let name = input.required(member)?;
    check_name(input, member, name, longest)?;
    Ok(name.to_lowercase())
}

/// First a letter, then letters, digits and hyphens; no hyphen twice or at the end.
pub(super) fn check_name(input: Input<'_>, member: &str, name: &str, longest: usize) -> Result<(), ApiError> {
    let shape = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.contains("--")
        && !name.ends_with('-')
        && name.len() <= longest;
    if shape {
        Ok(())
    } else {
        Err(input.invalid(format!(
            "The parameter {member} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; \
             must not end with a hyphen or contain two consecutive hyphens; and must be at most {longest} characters long."
        )))
    }
}

/// The ARN of a new object: with the asked `ResourceIdentifier`, or 26 random characters.
pub(super) fn new_arn(call: &Call<'_>, kind: &str) -> Result<String, ApiError> {
    let suffix = match call.input.text("ResourceIdentifier")? {
        Some(asked) => {
            check_name(call.input, "ResourceIdentifier", asked, 31)?;
            asked.to_owned()
        }
        None => random_text(SUFFIX_LENGTH, SUFFIX),
    };
    Ok(call.place.arn("dms", &format!("{kind}:{suffix}")))
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A maintenance window of the request, in small letters as DMS tells it: "Format: ddd:hh24:mi-ddd:hh24:mi", "Minimum 30-minute
/// window" (DMS API reference, `CreateReplicationInstance`).
pub(super) fn window(input: Input<'_>) -> Result<Option<String>, ApiError> {
    static WINDOW: LazyLock<Regex> = LazyLock::new(|| {
        let moment = "(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):([0-5][0-9])";
        Regex::new(&format!("^{moment}-{moment}$")).expect("a constant pattern")
    });
    let Some(text) = input.text("PreferredMaintenanceWindow")?.map(str::to_lowercase) else { return Ok(None) };
    let Some(parts) = WINDOW.captures(&text) else {
        return Err(
            input.invalid(format!("Invalid maintenance window format: {text}. Specify ddd:hh24:mi-ddd:hh24:mi."))
        );
    };
    let number = |at: usize| parts[at].parse::<i32>().unwrap_or(0);
    let day = |at: usize| DAYS.iter().zip(0..).find(|(day, _)| **day == &parts[at]).map_or(0, |(_, number)| number);
    let minute = |at: usize| (day(at) * 24 + number(at + 1)) * 60 + number(at + 2);
    if (minute(4) - minute(1)).rem_euclid(7 * 24 * 60) < 30 {
        return Err(input.invalid(format!("The maintenance window {text} must be at least 30 minutes long.")));
    }
    Ok(Some(text))
}

/// Name servers of the request: "a comma-separated list of internet addresses for up to four on-premise DNS name servers" (DMS
/// API reference, `CreateReplicationInstance`).
pub(super) fn name_servers(input: Input<'_>) -> Result<Option<&str>, ApiError> {
    let Some(text) = input.text("DnsNameServers")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let servers: Vec<&str> = text.split(',').map(str::trim).collect();
    if servers.len() > 4 || servers.iter().any(|server| server.parse::<std::net::IpAddr>().is_err()) {
        return Err(input.invalid(format!("Invalid DnsNameServers: {text}. Up to four addresses are allowed.")));
    }
    Ok(Some(text))
}

/// The request's filters: name and accepted values.
pub(super) fn filters(input: Input<'_>, known: &[&str]) -> Result<Vec<(String, Vec<String>)>, ApiError> {
    let mut found = Vec::new();
    for filter in input.structures("Filters")? {
        let name = filter.required("Name")?;
        if !known.contains(&name) {
            return Err(input.invalid(format!("Unrecognized filter name: {name}")));
        }
        found.push((name.to_owned(), filter.texts("Values")?.into_iter().map(str::to_owned).collect()));
    }
    Ok(found)
}

/// Whether an object passes all filters; `of` gives its value for a filter. Case is ignored, as DMS keeps names in lower case.
pub(super) fn passes(filters: &[(String, Vec<String>)], of: impl Fn(&str) -> Vec<String>) -> bool {
    filters
        .iter()
        .all(|(name, wanted)| of(name).iter().any(|have| wanted.iter().any(|want| want.eq_ignore_ascii_case(have))))
}

/// One page of `items` under `member`, with the marker of the next.
pub(super) fn page(input: Input<'_>, member: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    // "Constraints: Minimum 20, maximum 100"; "maximum 500" for the table statistics of a task.
    let most = if member == "TableStatistics" { 500 } else { 100 };
    let size = usize::try_from(input.integer("MaxRecords")?.unwrap_or(100)).unwrap_or(0);
    if !(20..=most).contains(&size) {
        return Err(input.invalid(format!("Invalid MaxRecords: it must be between 20 and {most}")));
    }
    let start = match input.text("Marker")?.filter(|marker| !marker.is_empty()) {
        Some(marker) => marker.parse::<usize>().map_err(|_| input.invalid("Invalid marker"))?,
        None => 0,
    };
    let total = items.len();
    let page: Vec<Value> = items.into_iter().skip(start).take(size).collect();
    let next = start + page.len();
    Ok(json!({ member: page, "Marker": (next < total).then(|| next.to_string()) }))
}

/// Keeps the request's `Tags` for a new object.
///
/// # Errors
/// A tag breaks the rules of "Tagging resources in AWS Database Migration Service".
pub(super) fn keep_tags(call: &mut Call<'_>, arn: &str) -> Result<(), ApiError> {
    let input = call.input;
    let tags = super::tags::read(input)?;
    if !tags.is_empty() {
        call.world.dms.tags.entry(arn.to_owned()).or_default().extend(tags);
    }
    Ok(())
}
