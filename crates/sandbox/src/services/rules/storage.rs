//! Refusals of S3, and the buckets they are shown on.

use super::Proof::{Call, Never, Test};
use super::Rule;

/// What is put there first.
pub(super) const SCENE: &[(&str, &str)] =
    &[("PUT /full", LOCATION), ("PUT /full/key", "value"), ("PUT /plain", LOCATION), ("POST /full/parts?uploads", "")];

const LOCATION: &str =
    "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
const SOURCE: &str = "S3 API reference, \"Error responses\"";

const fn s3(code: &'static str, when: &'static str, proof: super::Proof) -> Rule {
    Rule { service: "s3", code, when, source: SOURCE, proof }
}

pub(super) const RULES: &[Rule] = &[
    s3(
        "InvalidRequest",
        "a member is absent",
        Never("no operation of the sandbox has a member that S3 requires outside its address"),
    ),
    s3("InvalidArgument", "a parameter of the address does not read", Call("GET /full?list-type=2&max-keys=many", "")),
    s3("MalformedXML", "a document does not read", Call("PUT /plain?tagging", "nonsense")),
    s3(
        "AccessDenied",
        "`x-amz-expected-bucket-owner` is another account (403)",
        Call("GET /full?location | x-amz-expected-bucket-owner: 999999999999", ""),
    ),
    s3(
        "TooManyBuckets",
        "the account has as many buckets as it may have",
        Test("iam_and_s3_refuse_what_goes_beyond_their_quotas"),
    ),
    s3("InvalidBucketName", "a name breaks the naming rules", Call("PUT /Not_A_Bucket", LOCATION)),
    s3(
        "IllegalLocationConstraintException",
        "the location is not the endpoint's region",
        Call(
            "PUT /elsewhere",
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>",
        ),
    ),
    s3(
        "BucketAlreadyOwnedByYou",
        "one has the bucket already (409; in us-east-1 that is no error)",
        Call("PUT /full", LOCATION),
    ),
    s3(
        "BucketNotEmpty",
        "a bucket with objects, versions or unfinished uploads is to be deleted (409)",
        Call("DELETE /full", ""),
    ),
    s3("NoSuchBucket", "there is no such bucket (404)", Call("GET /nobody-s-bucket?location", "")),
    s3("NoSuchKey", "there is no such object (404)", Call("GET /full/nothing", "")),
    s3("NoSuchVersion", "there is no such version (404)", Call("GET /full/key?versionId=nonsense", "")),
    s3("NoSuchUpload", "there is no such multipart upload (404)", Call("GET /full/parts?uploadId=nonsense", "")),
    s3(
        "InvalidPart",
        "a listed part was not uploaded",
        Call(
            "POST /full/parts?uploadId={upload}",
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        ),
    ),
    s3(
        "InvalidPartOrder",
        "parts are not listed in ascending order",
        Never("needs parts that were uploaded; held by the contract of the client's S3 lease"),
    ),
    s3(
        "EntityTooSmall",
        "a part other than the last has less than 5 MiB",
        Never("needs parts that were uploaded; held by the contract of the client's S3 lease"),
    ),
    s3("InvalidRange", "the range lies behind the object (416)", Call("GET /full/key | range: bytes=100-200", "")),
    s3("KeyTooLongError", "a key has more than 1,024 bytes", Call("PUT /full/{long-key}", "x")),
    s3(
        "PreconditionFailed",
        "`If-None-Match: *` on an object that exists, or another `If-Match` (412)",
        Call("PUT /full/key | if-none-match: *", "x"),
    ),
    s3(
        "InvalidTag",
        "a tag's key is too long or comes twice",
        Call(
            "PUT /plain?tagging",
            "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
        ),
    ),
    s3(
        "BadRequest",
        "a bucket gets more than 50 tags",
        Call("PUT /plain?tagging", "<Tagging><TagSet>{xml-tags}</TagSet></Tagging>"),
    ),
    s3("NoSuchTagSet", "a bucket has no tags (404)", Call("GET /plain?tagging", "")),
    s3("MalformedPolicy", "a bucket policy is no JSON or has no statement", Call("PUT /plain?policy", "nonsense")),
    s3("NoSuchBucketPolicy", "a bucket has no policy (404)", Call("GET /plain?policy", "")),
    s3(
        "IllegalVersioningConfigurationException",
        "the status is neither Enabled nor Suspended",
        Call("PUT /plain?versioning", "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"),
    ),
    s3("NoSuchLifecycleConfiguration", "a bucket has no lifecycle (404)", Call("GET /plain?lifecycle", "")),
    s3(
        "NoSuchPublicAccessBlockConfiguration",
        "a bucket's public access block was deleted (404)",
        Never("a new bucket has one"),
    ),
    s3(
        "OwnershipControlsNotFoundError",
        "a bucket's ownership controls were deleted (404)",
        Never("a new bucket has them"),
    ),
    s3(
        "ServerSideEncryptionConfigurationNotFoundError",
        "a bucket has no encryption (404)",
        Never("every bucket is encrypted"),
    ),
    s3("NoSuchCORSConfiguration", "a bucket has no CORS rules (404)", Call("GET /plain?cors", "")),
    s3("NoSuchWebsiteConfiguration", "a bucket is no website (404)", Call("GET /plain?website", "")),
    s3("ReplicationConfigurationNotFoundError", "a bucket is not replicated (404)", Call("GET /plain?replication", "")),
    s3("ObjectLockConfigurationNotFoundError", "a bucket has no object lock (404)", Call("GET /plain?object-lock", "")),
    s3(
        "AccessControlListNotSupported",
        "the owner of a bucket enforces that there are no ACLs",
        Call("PUT /plain?acl", ""),
    ),
    s3(
        "NotImplemented",
        "a setting that the sandbox does not keep, and any operation it does not play (501)",
        Call("PUT /plain?logging", "<BucketLoggingStatus/>"),
    ),
    s3("InternalError", "the sandbox's own files fail (500)", Never("the disk must fail")),
];
