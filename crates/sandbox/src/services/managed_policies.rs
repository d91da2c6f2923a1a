//! The AWS managed policies a pipeline attaches. The documents of the three DMS policies are AWS's; those
//! of the general ones are cut to what a pipeline uses. Policies not listed do not exist here.
//!
//! Source: AWS managed policy reference.

/// A policy that AWS manages.
pub(crate) struct ManagedPolicy {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) path: &'static str,
    pub(crate) version: &'static str,
    pub(crate) created: &'static str,
    pub(crate) document: &'static str,
}

/// The policy with this ARN.
pub(crate) fn find(arn: &str) -> Option<&'static ManagedPolicy> {
    let (_, name) = arn.split_once(":iam::aws:policy")?;
    POLICIES.iter().find(|policy| name.strip_prefix(policy.path) == Some(policy.name))
}

/// Every policy that is played.
pub(crate) fn all() -> impl Iterator<Item = &'static ManagedPolicy> {
    POLICIES.iter()
}

const POLICIES: &[ManagedPolicy] = &[
    ManagedPolicy {
        name: "AmazonDMSVPCManagementRole",
        id: "ANPAJHKIGMBQI4AEFFSYO",
        path: "/service-role/",
        version: "v4",
        created: "2015-11-18T16:33:19Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:CreateNetworkInterface","ec2:DescribeAvailabilityZones","ec2:DescribeDhcpOptions","ec2:DescribeInternetGateways","ec2:DescribeSecurityGroups","ec2:DescribeSubnets","ec2:DescribeVpcs","ec2:DeleteNetworkInterface","ec2:ModifyNetworkInterfaceAttribute"],"Resource":"*"}]}"#,
    },
    ManagedPolicy {
        name: "AmazonDMSCloudWatchLogsRole",
        id: "ANPAJBG7UXZZXUJD3TDJE",
        path: "/service-role/",
        version: "v1",
        created: "2016-01-07T23:44:53Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"AllowDescribeOnAllLogGroups","Effect":"Allow","Action":["logs:DescribeLogGroups"],"Resource":["*"]},{"Sid":"AllowDescribeOfAllLogStreamsOnDmsTasksLogGroup","Effect":"Allow","Action":["logs:DescribeLogStreams"],"Resource":["arn:aws:logs:*:*:log-group:dms-tasks-*","arn:aws:logs:*:*:log-group:dms-serverless-replication-*"]},{"Sid":"AllowCreationOfDmsLogGroups","Effect":"Allow","Action":["logs:CreateLogGroup"],"Resource":["arn:aws:logs:*:*:log-group:dms-tasks-*","arn:aws:logs:*:*:log-group:dms-serverless-replication-*:log-stream:"]},{"Sid":"AllowCreationOfDmsLogStream","Effect":"Allow","Action":["logs:CreateLogStream"],"Resource":["arn:aws:logs:*:*:log-group:dms-tasks-*:log-stream:dms-task-*","arn:aws:logs:*:*:log-group:dms-serverless-replication-*:log-stream:dms-serverless-*"]},{"Sid":"AllowUploadOfLogEventsToDmsLogStream","Effect":"Allow","Action":["logs:PutLogEvents"],"Resource":["arn:aws:logs:*:*:log-group:dms-tasks-*:log-stream:dms-task-*","arn:aws:logs:*:*:log-group:dms-serverless-replication-*:log-stream:dms-serverless-*"]}]}"#,
    },
    ManagedPolicy {
        name: "AmazonDMSRedshiftS3Role",
        id: "ANPAI3CCUQ4U5WNC5F6B6",
        path: "/service-role/",
        version: "v3",
        created: "2016-04-20T17:05:56Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:CreateBucket","s3:ListBucket","s3:DeleteBucket","s3:GetBucketLocation","s3:GetObject","s3:PutObject","s3:DeleteObject","s3:GetObjectVersion","s3:GetBucketPolicy","s3:PutBucketPolicy","s3:GetBucketAcl","s3:PutBucketVersioning","s3:GetBucketVersioning","s3:PutLifecycleConfiguration","s3:GetLifecycleConfiguration","s3:DeleteBucketPolicy"],"Resource":"arn:aws:s3:::dms-*"}]}"#,
    },
    ManagedPolicy {
        name: "AmazonS3FullAccess",
        id: "ANPAIFIR6V6BVTRAHWINE",
        path: "/",
        version: "v2",
        created: "2015-02-06T18:40:58Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}"#,
    },
    ManagedPolicy {
        name: "AmazonS3ReadOnlyAccess",
        id: "ANPAIZTJ4DXE7G6AGAE6M",
        path: "/",
        version: "v3",
        created: "2015-02-06T18:40:59Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}"#,
    },
    ManagedPolicy {
        name: "SecretsManagerReadWrite",
        id: "ANPAI3VG7CI5BIQZQ6G2E",
        path: "/",
        version: "v5",
        created: "2018-04-04T18:05:29Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"BasePermissions","Effect":"Allow","Action":["secretsmanager:*","kms:DescribeKey","kms:ListAliases","kms:ListKeys","tag:GetResources"],"Resource":"*"}]}"#,
    },
    ManagedPolicy {
        name: "AmazonRedshiftAllCommandsFullAccess",
        id: "ANPAZKAPJZG4MXBMUPK4E",
        path: "/",
        version: "v1",
        created: "2021-11-04T00:48:37Z",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:GetBucketAcl","s3:GetBucketCors","s3:GetEncryptionConfiguration","s3:GetBucketLocation","s3:ListBucket","s3:ListAllMyBuckets","s3:ListMultipartUploadParts","s3:ListBucketMultipartUploads","s3:PutObject","s3:PutBucketAcl","s3:PutBucketCors","s3:DeleteObject","s3:AbortMultipartUpload","s3:CreateBucket"],"Resource":["arn:aws:s3:::*redshift*","arn:aws:s3:::*redshift*/*"]}]}"#,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_json_and_every_policy_is_found_by_its_arn() {
        for policy in POLICIES {
            serde_json::from_str::<serde_json::Value>(policy.document).unwrap();
            let arn = format!("arn:aws:iam::aws:policy{}{}", policy.path, policy.name);
            assert_eq!(find(&arn).unwrap().id, policy.id);
        }
        assert!(find("arn:aws:iam::aws:policy/AmazonDMSRedshiftS3Role").is_none());
        assert!(find("arn:aws:iam::111122223333:policy/mine").is_none());
    }
}
