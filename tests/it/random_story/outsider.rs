//! Somebody else in the same account, with a client of his own: he deletes, changes and untags what is
//! ours, and makes things of his own, some under the very names that we would use.
//!
//! What a service refuses him he leaves.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::account::Object;
use crate::aws::Aws;

type Answer = Result<(), String>;

fn done<T>(answer: Result<T, String>) -> Answer {
    answer.map(drop)
}

fn secrets(aws: &Aws, operation: &str, input: &Value) -> Answer {
    done(aws.json("secretsmanager", &format!("secretsmanager.{operation}"), input))
}

/// Deletes an object.
pub(super) fn delete(aws: &Aws, object: &Object) -> Answer {
    let (name, id, arn) = (object.name.as_str(), object.id.as_str(), object.arn.as_str());
    let dms = |operation: &str, member: &str, value: &str| done(aws.dms(operation, &json!({ member: value })));
    match object.kind {
        "ec2/vpc" => done(aws.query("ec2", &format!("Action=DeleteVpc&VpcId={id}"))),
        "ec2/subnet" => done(aws.query("ec2", &format!("Action=DeleteSubnet&SubnetId={id}"))),
        "ec2/security_group" => done(aws.query("ec2", &format!("Action=DeleteSecurityGroup&GroupId={id}"))),
        "ec2/vpc_endpoint" => done(aws.query("ec2", &format!("Action=DeleteVpcEndpoints&VpcEndpointId.1={id}"))),
        "dms/subnet_group" => dms("DeleteReplicationSubnetGroup", "ReplicationSubnetGroupIdentifier", name),
        "dms/replication_instance" => dms("DeleteReplicationInstance", "ReplicationInstanceArn", arn),
        "dms/endpoint" => dms("DeleteEndpoint", "EndpointArn", arn),
        "dms/replication_task" => dms("DeleteReplicationTask", "ReplicationTaskArn", arn),
        "dms/data_provider" => dms("DeleteDataProvider", "DataProviderIdentifier", arn),
        "dms/instance_profile" => dms("DeleteInstanceProfile", "InstanceProfileIdentifier", arn),
        "dms/migration_project" => dms("DeleteMigrationProject", "MigrationProjectIdentifier", arn),
        "iam/role" => delete_role(aws, object),
        "redshift/namespace" => done(aws.redshift("DeleteNamespace", &json!({ "namespaceName": name }))),
        "redshift/workgroup" => done(aws.redshift("DeleteWorkgroup", &json!({ "workgroupName": name }))),
        "redshift/usage_limit" => done(aws.redshift("DeleteUsageLimit", &json!({ "usageLimitId": id }))),
        "s3/bucket" => done(aws.bucket("DELETE", name, "")),
        "secretsmanager/secret" => {
            secrets(aws, "DeleteSecret", &json!({ "SecretId": id, "ForceDeleteWithoutRecovery": true }))
        }
        other => panic!("nobody knows how to delete a {other}"),
    }
}

/// IAM deletes no role that has policies.
fn delete_role(aws: &Aws, role: &Object) -> Answer {
    let name = &role.name;
    for policy in role.fields["policies"].as_array().unwrap() {
        let arn = policy.as_str().unwrap();
        aws.query("iam", &format!("Action=DetachRolePolicy&RoleName={name}&PolicyArn={arn}"))?;
    }
    for policy in role.fields["inline"].as_array().unwrap() {
        let policy = policy.as_str().unwrap();
        aws.query("iam", &format!("Action=DeleteRolePolicy&RoleName={name}&PolicyName={policy}"))?;
    }
    done(aws.query("iam", &format!("Action=DeleteRole&RoleName={name}")))
}

/// Changes something about an object.
pub(super) fn change(aws: &Aws, object: &Object) -> Answer {
    let (name, id, arn) = (object.name.as_str(), object.id.as_str(), object.arn.as_str());
    match object.kind {
        "ec2/vpc" => done(aws.query(
            "ec2",
            &format!("Action=ModifyVpcAttribute&VpcId={id}&EnableDnsHostnames.Value={}", object.fields["dns_hostnames"] != json!(true)),
        )),
        "ec2/security_group" => done(aws.query(
            "ec2",
            &format!(
                "Action=AuthorizeSecurityGroupIngress&GroupId={id}&IpPermissions.1.IpProtocol=tcp&\
                 IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"
            ),
        )),
        "ec2/vpc_endpoint" => done(aws.query("ec2", &format!("Action=ModifyVpcEndpoint&VpcEndpointId={id}&ResetPolicy=true"))),
        "ec2/subnet" | "dms/subnet_group" => Err("nothing to change".to_owned()),
        "dms/replication_instance" => done(aws.dms(
            "ModifyReplicationInstance",
            &json!({ "ReplicationInstanceArn": arn, "ReplicationInstanceClass": "dms.r5.large", "ApplyImmediately": true }),
        )),
        "dms/endpoint" => done(aws.dms("ModifyEndpoint", &json!({ "EndpointArn": arn, "ServerName": "odd.example.com" }))),
        "dms/replication_task" => {
            done(aws.dms("ModifyReplicationTask", &json!({ "ReplicationTaskArn": arn, "MigrationType": "cdc" })))
        }
        "dms/data_provider" => {
            done(aws.dms("ModifyDataProvider", &json!({ "DataProviderIdentifier": arn, "Description": "odd" })))
        }
        "dms/instance_profile" => {
            done(aws.dms("ModifyInstanceProfile", &json!({ "InstanceProfileIdentifier": arn, "Description": "odd" })))
        }
        "dms/migration_project" => {
            done(aws.dms("ModifyMigrationProject", &json!({ "MigrationProjectIdentifier": arn, "Description": "odd" })))
        }
        "iam/role" => {
            let arn = object.fields["policies"].as_array().unwrap().first().cloned().unwrap_or_default();
            match arn.as_str() {
                Some(arn) => done(aws.query("iam", &format!("Action=DetachRolePolicy&RoleName={name}&PolicyArn={arn}"))),
                None => done(aws.query("iam", &format!("Action=UpdateRole&RoleName={name}&Description=odd"))),
            }
        }
        "redshift/namespace" => {
            done(aws.redshift("UpdateNamespace", &json!({ "namespaceName": name, "logExports": ["useractivitylog"] })))
        }
        "redshift/workgroup" => {
            done(aws.redshift("UpdateWorkgroup", &json!({ "workgroupName": name, "baseCapacity": 32 })))
        }
        "redshift/usage_limit" => done(aws.redshift("UpdateUsageLimit", &json!({ "usageLimitId": id, "amount": 99 }))),
        "s3/bucket" => {
            let body = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
            aws.bucket("PUT", &format!("{name}?versioning"), body)?;
            done(aws.bucket("DELETE", &format!("{name}?lifecycle"), ""))
        }
        "secretsmanager/secret" => secrets(aws, "UpdateSecret", &json!({ "SecretId": id, "Description": "odd" })),
        other => panic!("nobody knows how to change a {other}"),
    }
}

/// Writes a tag, or takes it away where no value is given.
pub(super) fn tag(aws: &Aws, object: &Object, key: &str, value: Option<&str>) -> Answer {
    let (name, id, arn) = (object.name.as_str(), object.id.as_str(), object.arn.as_str());
    let pair = json!([{ "Key": key, "Value": value }]);
    let small = json!([{ "key": key, "value": value }]);
    let service = object.kind.split_once('/').map_or("", |(service, _)| service);
    match (service, value) {
        ("ec2", Some(value)) => {
            done(aws.query("ec2", &format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key={key}&Tag.1.Value={value}")))
        }
        ("ec2", None) => done(aws.query("ec2", &format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key={key}"))),
        ("dms", Some(_)) => done(aws.dms("AddTagsToResource", &json!({ "ResourceArn": arn, "Tags": pair }))),
        ("dms", None) => done(aws.dms("RemoveTagsFromResource", &json!({ "ResourceArn": arn, "TagKeys": [key] }))),
        ("iam", Some(value)) => done(aws.query(
            "iam",
            &format!("Action=TagRole&RoleName={name}&Tags.member.1.Key={key}&Tags.member.1.Value={value}"),
        )),
        ("iam", None) => done(aws.query("iam", &format!("Action=UntagRole&RoleName={name}&TagKeys.member.1={key}"))),
        ("redshift", _) if arn.is_empty() => Err("limits have no tags".to_owned()),
        ("redshift", Some(_)) => done(aws.redshift("TagResource", &json!({ "resourceArn": arn, "tags": small }))),
        ("redshift", None) => done(aws.redshift("UntagResource", &json!({ "resourceArn": arn, "tagKeys": [key] }))),
        ("secretsmanager", Some(_)) => secrets(aws, "TagResource", &json!({ "SecretId": id, "Tags": pair })),
        ("secretsmanager", None) => secrets(aws, "UntagResource", &json!({ "SecretId": id, "TagKeys": [key] })),
        ("s3", _) => {
            let mut tags = object.tags.clone();
            match value {
                Some(value) => drop(tags.insert(key.to_owned(), value.to_owned())),
                None => drop(tags.remove(key)),
            }
            let tags = tags.iter().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
            let body = format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.collect::<String>());
            done(aws.bucket("PUT", &format!("{name}?tagging"), &body))
        }
        _ => Err(format!("nobody knows how to tag a {}", object.kind)),
    }
}

/// Makes an object of a kind under a name, where he knows how.
pub(super) fn make(aws: &Aws, random: &mut ChaCha8Rng, kind: &str, name: &str) -> Answer {
    let number = random.random_range(1..9);
    match kind {
        "ec2/security_group" => {
            let query = format!("Action=CreateSecurityGroup&GroupName={name}&GroupDescription=theirs{number}");
            done(aws.query("ec2", &query))
        }
        "dms/data_provider" => {
            let settings = json!({ "PostgreSqlSettings": { "ServerName": "theirs.example.com", "Port": 5432, "DatabaseName": "theirs" } });
            let input = json!({ "DataProviderName": name, "Engine": "postgres", "Settings": settings });
            done(aws.dms("CreateDataProvider", &input))
        }
        "dms/endpoint" => {
            let input = json!({ "EndpointIdentifier": name, "EndpointType": "source", "EngineName": "postgres",
                "ServerName": "theirs.example.com", "Port": 5432, "DatabaseName": "theirs", "Username": "eve",
                "Password": "theirs" });
            done(aws.dms("CreateEndpoint", &input))
        }
        "iam/role" => {
            let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
            let trust = url::form_urlencoded::byte_serialize(trust.as_bytes()).collect::<String>();
            done(aws.query("iam", &format!("Action=CreateRole&RoleName={name}&AssumeRolePolicyDocument={trust}")))
        }
        "redshift/namespace" => done(aws.redshift("CreateNamespace", &json!({ "namespaceName": name }))),
        "s3/bucket" => {
            let body = "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
            done(aws.bucket("PUT", name, body))
        }
        "secretsmanager/secret" => secrets(
            aws,
            "CreateSecret",
            &json!({ "Name": name, "SecretString": "theirs", "ClientRequestToken": format!("{number:0>32}") }),
        ),
        _ => Err(format!("he has no use for a {kind}")),
    }
}
