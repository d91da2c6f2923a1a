//! From the SDK's errors to [`Fault`]: which code of which service means what.
//!
//! Decided on the code, never on the SDK's enum: services send codes that their models do not list.
//! What follows from a class is the engine's business.

use std::fmt::Debug;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use towpath_engine::fault::{Fault, FaultClass};

/// Turns the SDK's error of `operation` (`dms:CreateEndpoint`) into a fault.
pub fn fault<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    move |error| {
        let Some(answer) = error.as_service_error() else {
            let class = match &error {
                SdkError::ConstructionFailure(_) => FaultClass::Invalid,
                _ => FaultClass::Unavailable,
            };
            return Fault::local(class, operation, DisplayErrorContext(&error).to_string());
        };
        let code = answer.code().unwrap_or("Unknown").to_owned();
        let message = answer.message().unwrap_or_default().to_owned();
        let service = operation.split(':').next().unwrap_or_default();
        Fault {
            class: classify(service, &code, &message),
            operation: operation.to_owned(),
            code,
            message,
            request_id: answer.meta().extra("aws_request_id").map(str::to_owned),
        }
    }
}

/// The class of a code. The message counts only where a service uses one code for two things.
fn classify(service: &str, code: &str, message: &str) -> FaultClass {
    let lower = message.to_lowercase();
    match (service, code) {
        // Throttling in general, but a quota where these two services say it.
        ("iam" | "secretsmanager", "LimitExceeded" | "LimitExceededException") => FaultClass::Quota,
        // DMS cannot use a role of ours yet; the caller's own lack of rights is AccessDeniedException.
        ("dms", "AccessDeniedFault") => FaultClass::NotPropagated,
        ("redshift-serverless", "ConflictException") if lower.contains("already exist") => FaultClass::AlreadyExists,
        ("redshift-serverless", "ConflictException") => FaultClass::Busy,
        // A setting that needs the first snapshot, which comes by itself.
        ("redshift-serverless", "ValidationException") if lower.contains("at least one snapshot") => FaultClass::Busy,
        ("redshift-serverless", "ValidationException") if lower.contains("role") && lower.contains("assume") => {
            FaultClass::NotPropagated
        }
        // An id older than a day.
        ("redshift-data", "ValidationException") if lower.contains("not found") || lower.contains("expired") => {
            FaultClass::NotFound
        }
        ("secretsmanager", "InvalidRequestException") if lower.contains("scheduled for deletion") => FaultClass::Busy,
        ("iam", "MalformedPolicyDocument") if lower.contains("invalid principal") => FaultClass::NotPropagated,
        _ => classify_code(code),
    }
}

fn classify_code(code: &str) -> FaultClass {
    match code {
        "ResourceNotFoundFault" | "ResourceNotFoundException" | "NoSuchEntity" | "NoSuchBucket" | "NotFound" => {
            FaultClass::NotFound
        }
        "ResourceAlreadyExistsFault"
        | "EntityAlreadyExists"
        | "ResourceExistsException"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou" => FaultClass::AlreadyExists,
        "InvalidResourceStateFault"
        | "DependencyViolation"
        | "IncorrectState"
        | "ConcurrentModification"
        | "DeleteConflict"
        | "EntityTemporarilyUnmodifiable"
        | "OperationAborted"
        | "ConflictException" => FaultClass::Busy,
        "ResourceQuotaExceededFault"
        | "StorageQuotaExceededFault"
        | "InsufficientResourceCapacityFault"
        | "ServiceQuotaExceededException"
        | "InsufficientCapacityException"
        | "TooManyTagsException"
        | "RulesPerSecurityGroupLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "TooManyBuckets" => FaultClass::Quota,
        "RequestLimitExceeded"
        | "SlowDown"
        | "TooManyRequestsException"
        | "KMSThrottlingFault"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "PriorRequestNotComplete"
        | "EC2ThrottledException"
        | "LimitExceededException"
        | "ActiveStatementsExceededException"
        | "ActiveSessionsExceededException"
        | "ActiveWaitingRequestsExceededException" => FaultClass::Throttled,
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "SignatureDoesNotMatch" => FaultClass::Denied,
        "InternalError"
        | "InternalFailure"
        | "InternalServerException"
        | "InternalServiceError"
        | "ServiceFailure"
        | "Unavailable"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => FaultClass::Unavailable,
        code if code.ends_with(".NotFound") => FaultClass::NotFound,
        code if code.ends_with(".Duplicate") => FaultClass::AlreadyExists,
        code if code.contains("Throttl") => FaultClass::Throttled,
        code if code.starts_with("Invalid") || code.starts_with("Malformed") || code.starts_with("Validation") => {
            FaultClass::Invalid
        }
        "ReplicationSubnetGroupDoesNotCoverEnoughAZs" | "SubnetAlreadyInUse" | "MissingParameter" => {
            FaultClass::Invalid
        }
        _ => FaultClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_with_two_meanings_is_told_apart_by_its_message() {
        let conflict = |message| classify("redshift-serverless", "ConflictException", message);
        assert_eq!(conflict("Namespace club already exists."), FaultClass::AlreadyExists);
        assert_eq!(conflict("There is an operation running on the namespace."), FaultClass::Busy);
    }

    #[test]
    fn dms_s_own_lack_of_a_role_is_not_the_caller_s() {
        assert_eq!(
            classify("dms", "AccessDeniedFault", "The IAM Role is not configured properly"),
            FaultClass::NotPropagated
        );
        assert_eq!(classify("dms", "AccessDeniedException", ""), FaultClass::Denied);
    }

    #[test]
    fn codes_of_all_services_find_their_class() {
        for (service, code, class) in [
            ("dms", "ResourceNotFoundFault", FaultClass::NotFound),
            ("ec2", "InvalidGroup.NotFound", FaultClass::NotFound),
            ("ec2", "InvalidGroup.Duplicate", FaultClass::AlreadyExists),
            ("dms", "InvalidResourceStateFault", FaultClass::Busy),
            ("dms", "InvalidParameterValueException", FaultClass::Invalid),
            ("iam", "LimitExceeded", FaultClass::Quota),
            ("dms", "ThrottlingException", FaultClass::Throttled),
            ("redshift-serverless", "InternalServerException", FaultClass::Unavailable),
        ] {
            assert_eq!(classify(service, code, ""), class, "{service} {code}");
        }
    }
}
