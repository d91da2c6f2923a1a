//! Every quota, made small: what fits is made, and what goes beyond is refused and has no effect.

use serde_json::{Value, json};

use super::{code, permit, security_group};
use crate::testing::{Aws, Pipeline, pipeline, sandbox_with_quotas, within};

/// What DMS says that is used of a quota, and how much there is.
async fn told(aws: &Aws, name: &str) -> (i64, i64) {
    let answer = aws.json("dms:DescribeAccountAttributes", json!({})).await.unwrap();
    let quotas = answer["AccountQuotas"].as_array().unwrap();
    let quota = quotas.iter().find(|quota| quota["AccountQuotaName"] == name).unwrap();
    (quota["Used"].as_i64().unwrap(), quota["Max"].as_i64().unwrap())
}

fn named(input: &Value, member: &str, name: &str) -> Value {
    let mut input = input.clone();
    input[member] = json!(name);
    input
}

/// "After a quota for a resource has been reached, additional calls to create that resource fail with an exception" (DMS user
/// guide, "Quotas for AWS Database Migration Service"). The faults are those of the operations in the API reference.
#[tokio::test]
async fn dms_refuses_what_goes_beyond_its_quotas() {
    let directory = tempfile::tempdir().unwrap();
    let quotas = [
        "dms:ReplicationInstances=2",
        "dms:AllocatedStorage=150",
        "dms:ReplicationSubnetGroups=1",
        "dms:SubnetsPerReplicationSubnetGroup=2",
        "dms:Endpoints=1",
        "dms:DataProviders=2",
        "dms:InstanceProfiles=1",
        "dms:MigrationProjects=1",
    ];
    let (sandbox, aws) = sandbox_with_quotas(directory.path(), &quotas).await;
    aws.make_vpc_role().await;
    let subnets = aws.subnets().await;
    let group = |name: &str, subnets: &[String]| json!({"ReplicationSubnetGroupIdentifier": name, "ReplicationSubnetGroupDescription": "d", "SubnetIds": subnets});
    let exceeded = "ResourceQuotaExceededFault";
    let create = async |call: &str, input: Value| code(aws.json(&format!("dms:{call}"), input).await).0;
    assert_eq!(create("CreateReplicationSubnetGroup", group("group", &subnets[..3])).await, exceeded);
    assert_eq!(create("CreateReplicationSubnetGroup", group("group", &subnets[..2])).await, "");
    assert_eq!(create("ModifyReplicationSubnetGroup", group("group", &subnets[..3])).await, exceeded);
    assert_eq!(create("CreateReplicationSubnetGroup", group("other", &subnets[..2])).await, exceeded);
    assert_eq!(told(&aws, "SubnetsPerReplicationSubnetGroup").await, (2, 2));

    let instance = json!({"ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group", "AllocatedStorage": 100});
    let instance = |name: &str, storage: i64| {
        let mut input = named(&instance, "ReplicationInstanceIdentifier", name);
        input["AllocatedStorage"] = json!(storage);
        input
    };
    let one = aws.json("dms:CreateReplicationInstance", instance("one", 100)).await.unwrap();
    let one = one["ReplicationInstance"]["ReplicationInstanceArn"].clone();
    assert_eq!(create("CreateReplicationInstance", instance("two", 51)).await, "StorageQuotaExceededFault");
    assert_eq!(create("CreateReplicationInstance", instance("two", 40)).await, "");
    assert_eq!(create("CreateReplicationInstance", instance("three", 5)).await, exceeded);
    let grow = |storage: i64| json!({"ReplicationInstanceArn": one, "AllocatedStorage": storage});
    assert_eq!(create("ModifyReplicationInstance", grow(111)).await, "StorageQuotaExceededFault");
    assert_eq!(create("ModifyReplicationInstance", grow(110)).await, "");
    // What waits for the maintenance window counts.
    assert_eq!(told(&aws, "AllocatedStorage").await, (150, 150));
    assert_eq!(told(&aws, "ReplicationInstances").await, (2, 2));
    assert_eq!(create("DeleteReplicationInstance", json!({"ReplicationInstanceArn": one})).await, "");
    assert_eq!(create("CreateReplicationInstance", instance("three", 5)).await, "");

    let endpoint = json!({"EndpointType": "source", "EngineName": "postgres", "ServerName": "h", "DatabaseName": "d"});
    let provider = json!({"Engine": "postgres", "Settings": {"PostgreSqlSettings": {"ServerName": "h"}}});
    let project = json!({"InstanceProfileIdentifier": "one", "SourceDataProviderDescriptors": [{"DataProviderIdentifier": "one"}],
        "TargetDataProviderDescriptors": [{"DataProviderIdentifier": "two"}]});
    for (call, member, input, most) in [
        ("CreateEndpoint", "EndpointIdentifier", endpoint, 1),
        ("CreateDataProvider", "DataProviderName", provider, 2),
        ("CreateInstanceProfile", "InstanceProfileName", json!({"SubnetGroupIdentifier": "group"}), 1),
        ("CreateMigrationProject", "MigrationProjectName", project, 1),
    ] {
        for name in ["one", "two"].into_iter().take(most) {
            assert_eq!(create(call, named(&input, member, name)).await, "", "{call}");
        }
        assert_eq!(create(call, named(&input, member, "more")).await, exceeded, "{call}");
    }
    for (quota, most) in [("Endpoints", 1), ("DataProviders", 2), ("InstanceProfiles", 1), ("MigrationProjects", 1)] {
        assert_eq!(told(&aws, quota).await, (most, most), "{quota}");
    }
    sandbox.shutdown().await;
}

/// The task between the ends of a pipeline.
fn task(pipeline: &Pipeline, name: &str) -> Value {
    let mappings = json!({"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
        "object-locator": {"schema-name": "public", "table-name": "%", "table-type": "all"}}]});
    json!({"ReplicationTaskIdentifier": name, "SourceEndpointArn": pipeline.source, "TargetEndpointArn": pipeline.target,
        "ReplicationInstanceArn": pipeline.instance, "MigrationType": "full-load", "TableMappings": mappings.to_string()})
}

/// "Endpoints per replication instance", "Tasks per replication instance", "Tasks per user account" (DMS user guide, "Quotas
/// for AWS Database Migration Service"). `CreateReplicationTask`, `MoveReplicationTask` and `TestConnection` have the fault.
#[tokio::test]
async fn an_instance_of_dms_takes_so_many_endpoints_and_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let quotas = ["dms:EndpointsPerInstance=2", "dms:TasksPerInstance=1", "dms:ReplicationTasks=2"];
    let (sandbox, aws) = sandbox_with_quotas(directory.path(), &quotas).await;
    let exceeded = "ResourceQuotaExceededFault";
    let line = pipeline(&sandbox, &aws).await;
    let third = json!({"EndpointIdentifier": "third", "EndpointType": "source", "EngineName": "postgres", "ServerName": "h", "DatabaseName": "d"});
    let third = aws.json("dms:CreateEndpoint", third).await.unwrap()["Endpoint"]["EndpointArn"].clone();
    let test = |endpoint: &Value| json!({"ReplicationInstanceArn": line.instance, "EndpointArn": endpoint});
    assert_eq!(code(aws.json("dms:TestConnection", test(&third)).await).0, exceeded);
    aws.json("dms:TestConnection", test(&json!(line.source))).await.unwrap();
    assert_eq!(told(&aws, "EndpointsPerInstance").await, (2, 2));
    let mut foreign = task(&line, "foreign");
    foreign["SourceEndpointArn"] = third;
    assert_eq!(code(aws.json("dms:CreateReplicationTask", foreign).await).0, exceeded);
    aws.json("dms:CreateReplicationTask", task(&line, "first")).await.unwrap();
    assert_eq!(code(aws.json("dms:CreateReplicationTask", task(&line, "second")).await).0, exceeded);

    let other = json!({"ReplicationInstanceIdentifier": "other", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group"});
    let other = aws.json("dms:CreateReplicationInstance", other).await.unwrap();
    let other = other["ReplicationInstance"]["ReplicationInstanceArn"].clone();
    let mut second = task(&line, "second");
    second["ReplicationInstanceArn"] = other.clone();
    let second = aws.json("dms:CreateReplicationTask", second).await.unwrap()["ReplicationTask"].clone();
    let back =
        json!({"ReplicationTaskArn": second["ReplicationTaskArn"], "TargetReplicationInstanceArn": line.instance});
    assert_eq!(code(aws.json("dms:MoveReplicationTask", back).await).0, exceeded);
    assert_eq!(told(&aws, "ReplicationTasks").await, (2, 2));
    let mut most = task(&line, "most");
    most["ReplicationInstanceArn"] = other;
    assert_eq!(code(aws.json("dms:CreateReplicationTask", most).await).0, exceeded);
    drop(line);
    sandbox.shutdown().await;
}

/// "Quotas and limits in Amazon Redshift": so many namespaces and workgroups in a region.
#[tokio::test]
async fn redshift_serverless_refuses_what_goes_beyond_its_quotas() {
    let directory = tempfile::tempdir().unwrap();
    let quotas = ["redshift-serverless:Namespaces=3", "redshift-serverless:Workgroups=2"];
    let (sandbox, aws) = sandbox_with_quotas(directory.path(), &quotas).await;
    let namespace = async |name: &str| {
        code(aws.json("redshift-serverless:CreateNamespace", json!({"namespaceName": name})).await).0
    };
    let workgroup = async |name: &str| {
        let input = json!({"namespaceName": name, "workgroupName": name});
        code(aws.json("redshift-serverless:CreateWorkgroup", input).await).0
    };
    for (name, refused) in [("one", ""), ("two", ""), ("three", "ServiceQuotaExceededException")] {
        assert_eq!(namespace(name).await, "");
        assert_eq!(workgroup(name).await, refused);
    }
    assert_eq!(namespace("four").await, "ServiceQuotaExceededException");
    aws.json("redshift-serverless:DeleteWorkgroup", json!({"workgroupName": "two"})).await.unwrap();
    assert_eq!(workgroup("three").await, "");
    aws.json("redshift-serverless:DeleteNamespace", json!({"namespaceName": "two"})).await.unwrap();
    assert_eq!(namespace("four").await, "");
    sandbox.shutdown().await;
}

/// "Amazon VPC quotas" and "AWS PrivateLink quotas"; the codes are those of "Error codes for the Amazon EC2 API".
#[tokio::test]
async fn ec2_refuses_what_goes_beyond_its_quotas() {
    let directory = tempfile::tempdir().unwrap();
    let quotas = [
        "ec2:Vpcs=2",
        "ec2:SubnetsPerVpc=1",
        "ec2:SecurityGroups=4",
        "ec2:RulesPerSecurityGroup=1",
        "ec2:SecurityGroupsPerInterface=1",
        "ec2:GatewayEndpoints=1",
        "ec2:InterfaceEndpointsPerVpc=1",
    ];
    let (sandbox, aws) = sandbox_with_quotas(directory.path(), &quotas).await;
    // The default VPC is the first, and each has a default group.
    let made = aws.query("ec2:CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).await.unwrap();
    let vpc = within(&made, "vpcId")[0].clone();
    assert_eq!(code(aws.query("ec2:CreateVpc", &[("CidrBlock", "10.2.0.0/16")]).await).0, "VpcLimitExceeded");
    let subnet = async |block: &str| aws.query("ec2:CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", block)]).await;
    let subnet_id = within(&subnet("10.1.1.0/24").await.unwrap(), "subnetId")[0].clone();
    assert_eq!(code(subnet("10.1.2.0/24").await).0, "SubnetLimitExceeded");
    let group = async |name: &str| {
        let input = [("GroupName", name), ("GroupDescription", "d"), ("VpcId", vpc.as_str())];
        aws.query("ec2:CreateSecurityGroup", &input).await
    };
    let one = within(&group("one").await.unwrap(), "groupId")[0].clone();
    let two = within(&group("two").await.unwrap(), "groupId")[0].clone();
    assert_eq!(code(group("three").await).0, "SecurityGroupLimitExceeded");
    assert_eq!(code(security_group(&aws, "elsewhere").await).0, "SecurityGroupLimitExceeded");
    permit(&aws, &one, ("IpRanges.1.CidrIp", "10.1.0.0/16")).await.unwrap();
    let second = permit(&aws, &one, ("IpRanges.1.CidrIp", "10.2.0.0/16")).await;
    assert_eq!(code(second).0, "RulesPerSecurityGroupLimitExceeded");
    let endpoint = async |service: &str, more: &[(&str, &str)]| {
        let service = format!("com.amazonaws.eu-north-1.{service}");
        let mut input = vec![("VpcId", vpc.as_str()), ("ServiceName", service.as_str())];
        input.extend_from_slice(more);
        aws.query("ec2:CreateVpcEndpoint", &input).await
    };
    let interface =
        [("VpcEndpointType", "Interface"), ("SubnetId.1", subnet_id.as_str()), ("PrivateDnsEnabled", "false")];
    let crowded = [interface.as_slice(), &[("SecurityGroupId.1", &one), ("SecurityGroupId.2", &two)]].concat();
    assert_eq!(code(endpoint("dms", &crowded).await).0, "SecurityGroupsPerInterfaceLimitExceeded");
    let id = within(&endpoint("dms", &interface).await.unwrap(), "vpcEndpointId")[0].clone();
    assert_eq!(code(endpoint("logs", &interface).await).0, "VpcEndpointLimitExceeded");
    let more = [("VpcEndpointId", id.as_str()), ("AddSecurityGroupId.1", two.as_str())];
    assert_eq!(code(aws.query("ec2:ModifyVpcEndpoint", &more).await).0, "SecurityGroupsPerInterfaceLimitExceeded");
    endpoint("s3", &[]).await.unwrap();
    assert_eq!(code(endpoint("dynamodb", &[]).await).0, "VpcEndpointLimitExceeded");
    sandbox.shutdown().await;
}

/// "IAM and AWS STS quotas", "General purpose bucket quotas" (S3 user guide).
#[tokio::test]
async fn iam_and_s3_refuse_what_goes_beyond_their_quotas() {
    let directory = tempfile::tempdir().unwrap();
    let quotas = ["iam:Roles=1", "iam:PoliciesPerRole=1", "s3:Buckets=1"];
    let (sandbox, aws) = sandbox_with_quotas(directory.path(), &quotas).await;
    aws.make_vpc_role().await;
    let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "dms.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#;
    let role = [("RoleName", "second"), ("AssumeRolePolicyDocument", trust)];
    assert_eq!(code(aws.query("iam:CreateRole", &role).await), ("LimitExceeded".to_owned(), 409));
    let policy = [
        ("RoleName", "dms-vpc-role"),
        ("PolicyArn", "arn:aws:iam::aws:policy/service-role/AmazonDMSCloudWatchLogsRole"),
    ];
    assert_eq!(code(aws.query("iam:AttachRolePolicy", &policy).await), ("LimitExceeded".to_owned(), 409));
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(aws.send("PUT /one", "s3", "", place.as_bytes()).await.unwrap().0, 200);
    let (status, answer) = aws.send("PUT /two", "s3", "", place.as_bytes()).await.unwrap();
    assert_eq!((status, within(&answer, "Code")), (400, vec!["TooManyBuckets".to_owned()]));
    sandbox.shutdown().await;
}
