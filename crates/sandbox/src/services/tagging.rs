//! The Resource Groups Tagging API: one list of everything that bears tags, whatever its service.
//!
//! IAM roles are absent, as they are from the regional lists of AWS.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tags;
use crate::call::{ApiError, Call, Codes};
use crate::paging::page;
use crate::router::{Operation, Protocol, Reach, Service};

pub(crate) const SERVICE: Service = Service {
    name: "tagging",
    protocol: Protocol::Json { target: "ResourceGroupsTaggingAPI_20170126" },
    reach: Reach::Regional,
    codes: &Codes { missing: "InvalidParameterException", invalid: "InvalidParameterException" },
    operations: &[
        ("GetResources", Operation::Call(get_resources)),
        ("GetTagKeys", Operation::Call(get_tag_keys)),
        ("GetTagValues", Operation::Call(get_tag_values)),
    ],
};

/// One page of texts, each once and in order.
fn texts(call: &Call<'_>, member: &str, all: BTreeSet<String>) -> Result<Value, ApiError> {
    let token = call.input.text("PaginationToken")?.filter(|token| !token.is_empty());
    let (items, token) = page(all.into_iter().collect(), token, 50).map_err(|_| no_token())?;
    Ok(json!({member: items, "PaginationToken": token.unwrap_or_default()}))
}

fn no_token() -> ApiError {
    ApiError::new("PaginationTokenExpiredException", "The pagination token is not valid.")
}

fn get_tag_keys(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let all = call.world.tagged(call.place).into_iter().flat_map(|(_, tags)| tags.into_keys()).collect();
    texts(call, "TagKeys", all)
}

fn get_tag_values(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let key = call.input.required("Key")?;
    let all = call.world.tagged(call.place).into_iter().filter_map(|(_, mut tags)| tags.remove(key)).collect();
    texts(call, "TagValues", all)
}

fn get_resources(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let mut filters = Vec::new();
    for filter in input.structures("TagFilters")? {
        filters.push((filter.required("Key")?, filter.texts("Values")?));
    }
    let kinds = input.texts("ResourceTypeFilters")?;
    let arns = input.texts("ResourceARNList")?;
    let filtered = !filters.is_empty() || !kinds.is_empty();
    if filtered && !arns.is_empty() {
        return Err(input.invalid("ResourceARNList cannot be combined with filters."));
    }
    let items = call
        .world
        .tagged(call.place)
        .into_iter()
        .filter(|(arn, _)| arns.is_empty() || arns.contains(&arn.as_str()))
        .filter(|(arn, _)| kinds.is_empty() || kinds.iter().any(|kind| is_kind(arn, kind)))
        .filter(|(_, own)| {
            filters.iter().all(|(key, values)| {
                own.get(*key).is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
            })
        })
        .map(|(arn, own)| json!({"ResourceARN": arn, "Tags": tags::write(&own)}))
        .collect();
    let size = usize::try_from(input.integer("ResourcesPerPage")?.unwrap_or(50).clamp(1, 100)).unwrap_or(50);
    let token = input.text("PaginationToken")?.filter(|token| !token.is_empty());
    let (items, token) = page(items, token, size).map_err(|_| no_token())?;
    Ok(json!({"ResourceTagMappingList": items, "PaginationToken": token.unwrap_or_default()}))
}

/// Whether an ARN is of a kind, written `service` or `service:type`.
fn is_kind(arn: &str, kind: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, object) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    match kind.split_once(':') {
        None => kind == service,
        Some((wanted, kind)) => {
            let own = object.split(['/', ':']).next().unwrap_or_default();
            // A bucket's ARN has no type in it.
            wanted == service && (own == kind || (service == "s3" && kind == "bucket"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_kind;

    #[test]
    fn kinds_are_read_from_arns_of_every_form() {
        assert!(is_kind("arn:aws:ec2:eu-north-1:1:security-group/sg-1", "ec2:security-group"));
        assert!(is_kind("arn:aws:dms:eu-north-1:1:rep:ABC", "dms:rep"));
        assert!(is_kind("arn:aws:s3:::bucket-name", "s3:bucket") && is_kind("arn:aws:s3:::bucket-name", "s3"));
        assert!(!is_kind("arn:aws:dms:eu-north-1:1:rep:ABC", "dms:task"));
    }
}
