//! Every SDK error as a [`Fault`]: one function and one table per service.
//!
//! Branches on the service's code string, never on the SDK's error variants: EC2 models no errors
//! at all, and what a model lacks lands in an unhandled variant elsewhere. Source of the codes:
//! the API references of the services, and the error handling of Terraform's AWS provider.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::secret::redact;

/// Turns the SDK's error of `operation` (`service:Operation`) into a fault.
pub fn fault<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    move |error| {
        let request_id = error.raw_response().and_then(|response| {
            ["x-amzn-requestid", "x-amz-request-id"]
                .iter()
                .find_map(|name| response.headers().get(*name))
                .map(str::to_owned)
        });
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (code, message) = match error.as_service_error() {
            Some(service) => (
                service.code().map_or_else(|| by_status(status), str::to_owned),
                service.message().unwrap_or("no message was given").to_owned(),
            ),
            None => ("NoAnswer".to_owned(), chain(&error)),
        };
        // Servers may quote what they were sent.
        let message = redact(&message);
        let class = classify(operation, &code, &message, status);
        Fault { class, operation: operation.to_owned(), code, message, request_id }
    }
}

/// A fault of a call that completes an object made a moment ago: the object is there, and the engine
/// finishes it.
pub(crate) fn unfinished(fault: Fault) -> Fault {
    Fault { class: FaultClass::Unfinished, ..fault }
}

/// A HEAD request answers with a status alone.
fn by_status(status: Option<u16>) -> String {
    match status {
        Some(404) => "NotFound".to_owned(),
        Some(403) => "AccessDenied".to_owned(),
        Some(status) => format!("Http{status}"),
        None => "NoAnswer".to_owned(),
    }
}

/// An error with its sources, without repeating what a source says already.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        next = error.source();
    }
    text
}

/// The class of a code in its service.
pub fn classify(operation: &str, code: &str, message: &str, status: Option<u16>) -> FaultClass {
    let service = operation.split(':').next().unwrap_or_default();
    if let Some(class) = common(service, code) {
        return class;
    }
    let special = match service {
        "ec2" => ec2(code),
        "iam" => iam(code, message),
        "dms" => dms(code, message),
        "redshift-serverless" => redshift_serverless(code, message),
        "redshift-data" => redshift_data(code, message),
        "secretsmanager" => secretsmanager(code, message),
        "logs" => logs(code),
        "s3" => s3(code),
        _ => None,
    };
    special.unwrap_or_else(|| match status {
        Some(500..=599) => FaultClass::Unavailable,
        // A proxy on the way may throttle without a code of AWS.
        Some(429) => FaultClass::Throttled,
        _ if code.starts_with("Invalid") || code.starts_with("Malformed") || code.starts_with("Validation") => {
            FaultClass::Invalid
        }
        _ => FaultClass::Other,
    })
}

/// Codes that mean the same everywhere.
fn common(service: &str, code: &str) -> Option<FaultClass> {
    match code {
        "NoAnswer"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerException"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "Unavailable"
        | "ServiceFailure"
        | "RequestTimeout"
        | "RequestTimeoutException" => Some(FaultClass::Unavailable),
        // Throttling by the SDKs' lists, but a quota where these two use it.
        "LimitExceeded" | "LimitExceededException" if matches!(service, "iam" | "secretsmanager") => {
            Some(FaultClass::Quota)
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "KMSThrottlingFault"
        | "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "LimitExceededException"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TransactionInProgressException" => Some(FaultClass::Throttled),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "AuthFailure"
        | "OptInRequired" => Some(FaultClass::Denied),
        _ => None,
    }
}

fn ec2(code: &str) -> Option<FaultClass> {
    Some(match code {
        _ if code.ends_with(".NotFound") => FaultClass::NotFound,
        "InvalidGroup.Duplicate" | "InvalidPermission.Duplicate" => FaultClass::AlreadyExists,
        "DependencyViolation" | "IncorrectState" | "InvalidGroup.InUse" | "InvalidNetworkInterface.InUse" => {
            FaultClass::Busy
        }
        // Of the codes that end so only `RequestLimitExceeded` is no quota, and it is known by now.
        _ if code.ends_with("LimitExceeded") => FaultClass::Quota,
        _ if code.starts_with("Invalid") || code.starts_with("Missing") || code == "CannotDelete" => {
            FaultClass::Invalid
        }
        _ => return None,
    })
}

fn iam(code: &str, message: &str) -> Option<FaultClass> {
    Some(match code {
        "NoSuchEntity" => FaultClass::NotFound,
        "EntityAlreadyExists" => FaultClass::AlreadyExists,
        "ConcurrentModification" | "DeleteConflict" | "EntityTemporarilyUnmodifiable" => FaultClass::Busy,
        "MalformedPolicyDocument" if message.to_lowercase().contains("invalid principal") => FaultClass::NotPropagated,
        "InvalidInput" | "MalformedPolicyDocument" | "ValidationError" | "UnmodifiableEntity" => FaultClass::Invalid,
        _ => return None,
    })
}

fn dms(code: &str, message: &str) -> Option<FaultClass> {
    Some(match code {
        "ResourceNotFoundFault" => FaultClass::NotFound,
        "ResourceAlreadyExistsFault" => FaultClass::AlreadyExists,
        // "No modifications were requested": nothing to wait for.
        "InvalidParameterCombinationException" | "InvalidParameterCombination" => FaultClass::Invalid,
        "InvalidResourceStateFault" => FaultClass::Busy,
        // DMS cannot use a role or secret yet; the caller's own rights are AccessDeniedException.
        "AccessDeniedFault" => FaultClass::NotPropagated,
        "ResourceQuotaExceededFault" | "StorageQuotaExceededFault" | "InsufficientResourceCapacityFault" => {
            FaultClass::Quota
        }
        "KMSAccessDeniedFault" | "S3AccessDeniedFault" => FaultClass::Denied,
        "FailedDependencyFault" if message.contains("not") && message.contains("propagat") => FaultClass::NotPropagated,
        _ if code.starts_with("Invalid")
            || code.ends_with("Fault")
            || code == "ReplicationSubnetGroupDoesNotCoverEnoughAZs"
            || code == "SubnetAlreadyInUse"
            || code == "ValidationException" =>
        {
            FaultClass::Invalid
        }
        _ => return None,
    })
}

fn redshift_serverless(code: &str, message: &str) -> Option<FaultClass> {
    let text = message.to_lowercase();
    Some(match code {
        "ResourceNotFoundException" => FaultClass::NotFound,
        // One code for "the name is taken" and "an operation is running".
        "ConflictException" if text.contains("already exist") => FaultClass::AlreadyExists,
        "ConflictException" => FaultClass::Busy,
        "ValidationException" if text.contains("at least one snapshot") || text.contains("try again") => {
            FaultClass::Busy
        }
        "ValidationException" if text.contains("role") && text.contains("assume") => FaultClass::NotPropagated,
        "ValidationException"
        | "TooManyTagsException"
        | "InvalidPaginationException"
        | "Ipv6CidrBlockNotFoundException" => FaultClass::Invalid,
        "ServiceQuotaExceededException" | "InsufficientCapacityException" => FaultClass::Quota,
        _ => return None,
    })
}

fn redshift_data(code: &str, message: &str) -> Option<FaultClass> {
    let text = message.to_lowercase();
    Some(match code {
        // A statement id older than a day.
        "ValidationException" if text.contains("not found") || text.contains("expired") => FaultClass::NotFound,
        "ResourceNotFoundException" => FaultClass::NotFound,
        "ActiveStatementsExceededException"
        | "ActiveSessionsExceededException"
        | "ActiveWaitingRequestsExceededException" => FaultClass::Throttled,
        "DatabaseConnectionException" | "QueryTimeoutException" => FaultClass::Unavailable,
        "ValidationException" | "ExecuteStatementException" | "BatchExecuteStatementException" => FaultClass::Invalid,
        _ => return None,
    })
}

fn secretsmanager(code: &str, message: &str) -> Option<FaultClass> {
    Some(match code {
        "ResourceNotFoundException" => FaultClass::NotFound,
        "ResourceExistsException" => FaultClass::AlreadyExists,
        "InvalidRequestException" if message.contains("delet") => FaultClass::Busy,
        "InvalidRequestException"
        | "InvalidParameterException"
        | "MalformedPolicyDocumentException"
        | "EncryptionFailure" => FaultClass::Invalid,
        _ => return None,
    })
}

fn logs(code: &str) -> Option<FaultClass> {
    Some(match code {
        "ResourceNotFoundException" => FaultClass::NotFound,
        "ResourceAlreadyExistsException" => FaultClass::AlreadyExists,
        // "Multiple concurrent requests to update the same resource were in conflict."
        "OperationAbortedException" => FaultClass::Busy,
        _ => return None,
    })
}

fn s3(code: &str) -> Option<FaultClass> {
    Some(match code {
        "NoSuchBucket"
        | "NoSuchKey"
        | "NotFound"
        | "NoSuchTagSet"
        | "NoSuchBucketPolicy"
        | "NoSuchLifecycleConfiguration"
        | "NoSuchPublicAccessBlockConfiguration"
        | "ServerSideEncryptionConfigurationNotFoundError" => FaultClass::NotFound,
        "BucketAlreadyOwnedByYou" | "BucketAlreadyExists" => FaultClass::AlreadyExists,
        "OperationAborted" | "BucketNotEmpty" | "ConditionalRequestConflict" => FaultClass::Busy,
        "TooManyBuckets" => FaultClass::Quota,
        _ if code.starts_with("Invalid") || code.starts_with("Malformed") || code == "PreconditionFailed" => {
            FaultClass::Invalid
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fall_into_the_classes_that_decide_what_happens_next() {
        let rows = [
            ("ec2:DescribeSecurityGroups", "InvalidGroup.NotFound", "", FaultClass::NotFound),
            ("ec2:DeleteSecurityGroup", "DependencyViolation", "", FaultClass::Busy),
            ("ec2:CreateSecurityGroup", "InvalidGroup.Duplicate", "", FaultClass::AlreadyExists),
            ("iam:CreateRole", "LimitExceeded", "", FaultClass::Quota),
            ("iam:CreateRole", "MalformedPolicyDocument", "Invalid principal in policy", FaultClass::NotPropagated),
            ("dms:CreateReplicationSubnetGroup", "AccessDeniedFault", "role", FaultClass::NotPropagated),
            ("dms:CreateEndpoint", "AccessDeniedException", "caller", FaultClass::Denied),
            ("dms:ModifyEndpoint", "InvalidResourceStateFault", "", FaultClass::Busy),
            (
                "redshift-serverless:CreateNamespace",
                "ConflictException",
                "Namespace already exists",
                FaultClass::AlreadyExists,
            ),
            ("redshift-serverless:DeleteNamespace", "ConflictException", "operation running", FaultClass::Busy),
            ("secretsmanager:CreateSecret", "InvalidRequestException", "scheduled for deletion", FaultClass::Busy),
            ("s3:HeadBucket", "NotFound", "", FaultClass::NotFound),
            ("logs:DeleteLogGroup", "ResourceNotFoundException", "", FaultClass::NotFound),
            ("logs:DeleteLogGroup", "OperationAbortedException", "", FaultClass::Busy),
            ("dms:DescribeEndpoints", "ThrottlingException", "Rate exceeded", FaultClass::Throttled),
            ("ec2:DescribeVpcs", "RequestThrottled", "", FaultClass::Throttled),
        ];
        for (operation, code, message, class) in rows {
            assert_eq!(classify(operation, code, message, Some(400)), class, "{operation} {code}");
        }
        assert_eq!(classify("dms:CreateEndpoint", "Strange", "", Some(503)), FaultClass::Unavailable);
        assert_eq!(classify("s3:HeadBucket", "Http429", "", Some(429)), FaultClass::Throttled);
    }
}
