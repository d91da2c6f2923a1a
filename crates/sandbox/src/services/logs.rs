//! CloudWatch Logs: the groups that services make on a stack's behalf and that outlive it.
//!
//! Source: Amazon CloudWatch Logs API Reference, the page of each operation. The text of events is
//! measured and thrown away: reading logs back is not played.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::tags;
use crate::arn::Place;
use crate::call::{ApiError, Call, Codes};
use crate::paging::page;
use crate::router::{Operation, Protocol, Reach, Service};
use crate::world::logs::{LogGroup, LogStream};

pub(crate) const SERVICE: Service = Service {
    name: "logs",
    protocol: Protocol::Json { target: "Logs_20140328" },
    reach: Reach::Regional,
    codes: &Codes { missing: "InvalidParameterException", invalid: "InvalidParameterException" },
    operations: &[
        ("CreateLogGroup", Operation::Call(create_group)),
        ("CreateLogStream", Operation::Call(create_stream)),
        ("DeleteLogGroup", Operation::Call(delete_group)),
        ("DeleteLogStream", Operation::Call(delete_stream)),
        ("DeleteRetentionPolicy", Operation::Call(delete_retention)),
        ("DescribeLogGroups", Operation::Call(describe_groups)),
        ("DescribeLogStreams", Operation::Call(describe_streams)),
        ("ListTagsForResource", Operation::Call(list_tags)),
        ("ListTagsLogGroup", Operation::Call(list_tags)),
        ("PutLogEvents", Operation::Call(put_events)),
        ("PutRetentionPolicy", Operation::Call(put_retention)),
        ("TagResource", Operation::Call(tag)),
        ("UntagResource", Operation::Call(untag)),
    ],
};

/// PutLogEvents: "calculated as the sum of all event messages in UTF-8, plus 26 bytes for each log event".
const EVENT_OVERHEAD: u64 = 26;

/// PutRetentionPolicy: "Possible values are:".
const RETENTIONS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// CreateLogGroup: "Log group names can be between 1 and 512 characters long" of these characters.
static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[.\-_/#A-Za-z0-9]{1,512}$").expect("a constant pattern"));

/// The ARN of a log group.
pub(crate) fn arn(place: &Place, name: &str) -> String {
    place.arn("logs", &format!("log-group:{name}"))
}

fn no_group() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn create_group(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("logGroupName")?;
    if !NAME.is_match(name) {
        let message = format!(
            "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        );
        return Err(call.input.invalid(message));
    }
    // "You can't create a log group name that begins with `aws/`."
    if name.starts_with("aws/") {
        return Err(call.input.invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    if call.world.logs.groups.contains_key(name) {
        return Err(ApiError::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    let mut group = LogGroup::new(arn(call.place, name), call.clock.now());
    group.tags = tags::read_map(call.input, "tags")?;
    call.world.logs.groups.insert(name.to_owned(), group);
    Ok(json!({}))
}

fn delete_group(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("logGroupName")?;
    call.world.logs.groups.remove(name).map(|_| json!({})).ok_or_else(no_group)
}

fn describe_groups(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let (prefix, pattern) = (input.text("logGroupNamePrefix")?, input.text("logGroupNamePattern")?);
    // "logGroupNamePrefix and logGroupNamePattern are mutually exclusive."
    if prefix.is_some() && pattern.is_some() {
        return Err(input.invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let pattern = pattern.map(str::to_lowercase);
    let fits = |name: &str| {
        prefix.is_none_or(|prefix| name.starts_with(prefix))
            && pattern.as_ref().is_none_or(|pattern| name.to_lowercase().contains(pattern))
    };
    let found = call.world.logs.groups.iter().filter(|(name, _)| fits(name)).map(|(name, group)| {
        json!({
            "logGroupName": name,
            "creationTime": group.created.0,
            "retentionInDays": group.retention,
            "metricFilterCount": 0,
            "arn": format!("{}:*", group.arn),
            "logGroupArn": group.arn,
            "storedBytes": group.bytes(),
            "logGroupClass": "STANDARD",
        })
    });
    listed(call, "logGroups", found.collect())
}

/// One page: `limit` is 1 to 50 and 50 when absent.
fn listed(call: &Call<'_>, member: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let limit = call.input.integer("limit")?.unwrap_or(50);
    if !(1..=50).contains(&limit) {
        let message = format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have \
             value less than or equal to 50"
        );
        return Err(call.input.invalid(message));
    }
    let size = usize::try_from(limit).unwrap_or(50);
    let (items, token) = page(items, call.input.text("nextToken")?, size)
        .map_err(|_| call.input.invalid("The specified nextToken is invalid."))?;
    Ok(json!({ member: items, "nextToken": token }))
}

fn group<'a>(call: &'a mut Call<'_>) -> Result<&'a mut LogGroup, ApiError> {
    let name = call.input.required("logGroupName")?;
    call.world.logs.groups.get_mut(name).ok_or_else(no_group)
}

/// The group that `resourceArn` or `logGroupName` names.
fn tagged<'a>(call: &'a mut Call<'_>) -> Result<&'a mut LogGroup, ApiError> {
    let input = call.input;
    let name = if let Some(name) = input.text("logGroupName")? {
        name
    } else {
        let arn = input.required("resourceArn")?;
        arn.split_once(":log-group:").map_or("", |(_, name)| name.trim_end_matches(":*"))
    };
    call.world.logs.groups.get_mut(name).ok_or_else(no_group)
}

fn list_tags(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "tags": tagged(call)?.tags }))
}

fn tag(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let new = tags::read_map(call.input, "tags")?;
    let group = tagged(call)?;
    group.tags.extend(new);
    if group.tags.len() > tags::LIMIT {
        return Err(ApiError::new("TooManyTagsException", "A log group can have no more than 50 tags."));
    }
    Ok(json!({}))
}

fn untag(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let keys = call.input.texts("tagKeys")?;
    tagged(call)?.tags.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(json!({}))
}

fn delete_stream(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("logStreamName")?;
    let missing = || ApiError::new("ResourceNotFoundException", "The specified log stream does not exist.");
    group(call)?.streams.remove(name).map(|_| json!({})).ok_or_else(missing)
}

fn create_stream(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (name, now) = (call.input.required("logStreamName")?, call.clock.now());
    let group = group(call)?;
    if group.streams.contains_key(name) {
        return Err(ApiError::new("ResourceAlreadyExistsException", "The specified log stream already exists"));
    }
    group.streams.insert(name.to_owned(), LogStream { created: now, bytes: 0 });
    Ok(json!({}))
}

fn describe_streams(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let prefix = call.input.text("logStreamNamePrefix")?;
    let group = group(call)?;
    let own = group.arn.clone();
    let found = group.streams.iter().filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)));
    let found = found.map(|(name, stream)| {
        // DescribeLogStreams: storedBytes "is reported as zero" for streams since 2019.
        json!({
            "logStreamName": name,
            "creationTime": stream.created.0,
            "arn": format!("{own}:log-stream:{name}"),
            "storedBytes": 0,
        })
    });
    let found = found.collect();
    listed(call, "logStreams", found)
}

fn put_events(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let stream = call.input.required("logStreamName")?;
    let mut bytes = 0;
    for event in call.input.structures("logEvents")? {
        bytes += event.required("message")?.len() as u64 + EVENT_OVERHEAD;
    }
    let group = group(call)?;
    let stream = group.streams.get_mut(stream);
    let missing = || ApiError::new("ResourceNotFoundException", "The specified log stream does not exist.");
    stream.ok_or_else(missing)?.bytes += bytes;
    Ok(json!({ "nextSequenceToken": "49590302094357543154587564890625" }))
}

fn put_retention(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let days = call.input.integer("retentionInDays")?.ok_or_else(|| call.input.missing("retentionInDays"))?;
    if !RETENTIONS.contains(&days) {
        return Err(call.input.invalid(format!("Invalid retentionInDays: {days}")));
    }
    group(call)?.retention = Some(days);
    Ok(json!({}))
}

fn delete_retention(call: &mut Call<'_>) -> Result<Value, ApiError> {
    group(call)?.retention = None;
    Ok(json!({}))
}
