//! Refusals, states and faults of the services beside DMS and Redshift, as a client sees them over HTTP.

mod quotas;
mod reads;

use serde_json::{Value, json};

use crate::Effect;
use crate::testing::{Aws, Refusal, sandbox, within};

fn code<T>(answer: Result<T, Refusal>) -> (String, u16) {
    answer.err().map(|refusal| (refusal.code, refusal.status)).unwrap_or_default()
}

async fn security_group(aws: &Aws, name: &str) -> Result<String, Refusal> {
    let input = [("GroupName", name), ("GroupDescription", "d")];
    aws.query("ec2:CreateSecurityGroup", &input).await.map(|xml| within(&xml, "groupId")[0].clone())
}

async fn permit(aws: &Aws, group: &str, peer: (&str, &str)) -> Result<String, Refusal> {
    let peer = (format!("IpPermissions.1.{}", peer.0), peer.1);
    let input = [
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "5439"),
        ("IpPermissions.1.ToPort", "5439"),
        (peer.0.as_str(), peer.1),
    ];
    aws.query("ec2:AuthorizeSecurityGroupIngress", &input).await
}

/// "Error codes for the Amazon EC2 API": `InvalidGroup.Duplicate`, `InvalidGroup.NotFound`, `InvalidVpcID.NotFound`,
/// `InvalidPermission.Duplicate`, `DependencyViolation` (another group's rule names the group), `CannotDelete` (the default group).
#[tokio::test]
async fn security_groups_refuse_as_ec2_does() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let (one, two) = (security_group(&aws, "one").await.unwrap(), security_group(&aws, "two").await.unwrap());
    assert_eq!(code(security_group(&aws, "one").await).0, "InvalidGroup.Duplicate");
    assert_eq!(code(security_group(&aws, "sg-one").await).0, "InvalidParameterValue");
    let cidr = ("IpRanges.1.CidrIp", "10.1.2.3/16");
    let made = permit(&aws, &one, cidr).await.unwrap();
    // "If the CIDR has host bits set, we canonicalise it" (AuthorizeSecurityGroupIngress).
    assert_eq!(within(&made, "cidrIpv4"), ["10.1.0.0/16"]);
    assert_eq!(code(permit(&aws, &one, cidr).await).0, "InvalidPermission.Duplicate");
    permit(&aws, &one, ("Groups.1.GroupId", &two)).await.unwrap();
    assert_eq!(code(aws.query("ec2:DeleteSecurityGroup", &[("GroupId", &two)]).await).0, "DependencyViolation");
    aws.query("ec2:DeleteSecurityGroup", &[("GroupId", &one)]).await.unwrap();
    aws.query("ec2:DeleteSecurityGroup", &[("GroupId", &two)]).await.unwrap();
    assert_eq!(code(aws.query("ec2:DescribeSecurityGroups", &[("GroupId.1", &one)]).await).0, "InvalidGroup.NotFound");
    assert_eq!(
        code(aws.query("ec2:DescribeVpcs", &[("VpcId.1", "vpc-0123456789abcdef0")]).await).0,
        "InvalidVpcID.NotFound"
    );
    let default = within(&aws.query("ec2:DescribeSecurityGroups", &[]).await.unwrap(), "groupId")[0].clone();
    assert_eq!(code(aws.query("ec2:DeleteSecurityGroup", &[("GroupId", &default)]).await).0, "CannotDelete");
    sandbox.shutdown().await;
}

/// `CreateRole`: `EntityAlreadyExists` (409), names without regard to case; `MalformedPolicyDocument` (400).
/// `DeleteRole`: "you must ... delete inline policies, detach attached managed policies", else `DeleteConflict` (409).
/// `GetRole`: `NoSuchEntity` (404) (IAM API reference).
#[tokio::test]
async fn roles_refuse_as_iam_does() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    assert_eq!(code(aws.query("iam:GetRole", &[("RoleName", "R")]).await), ("NoSuchEntity".into(), 404));
    let bad = [("RoleName", "R"), ("AssumeRolePolicyDocument", "{")];
    assert_eq!(code(aws.query("iam:CreateRole", &bad).await), ("MalformedPolicyDocument".into(), 400));
    aws.make_role("R", &["dms.amazonaws.com"], "AmazonDMSVPCManagementRole").await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "dms.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let again = [("RoleName", "r"), ("AssumeRolePolicyDocument", &trust.to_string())];
    assert_eq!(code(aws.query("iam:CreateRole", &again).await), ("EntityAlreadyExists".into(), 409));
    assert_eq!(code(aws.query("iam:DeleteRole", &[("RoleName", "R")]).await), ("DeleteConflict".into(), 409));
    let policy = "arn:aws:iam::aws:policy/service-role/AmazonDMSVPCManagementRole";
    aws.query("iam:DetachRolePolicy", &[("RoleName", "R"), ("PolicyArn", policy)]).await.unwrap();
    aws.query("iam:DeleteRole", &[("RoleName", "R")]).await.unwrap();
    sandbox.shutdown().await;
}

/// "Invalid principal in policy" while a role that is to be trusted is not there, or was made just now (`MalformedPolicyDocument`;
/// hashicorp/terraform-provider-aws, `iam/role.go`, which tries again for two minutes).
#[tokio::test]
async fn a_role_trusts_only_roles_that_are_there_and_seen() {
    let directory = tempfile::tempdir().unwrap();
    // Ten seconds of propagation become half a second.
    let (sandbox, aws) = crate::testing::sandbox_at(directory.path(), 20.0, &[]).await;
    let trusting = async |arn: &str| {
        let trust =
            json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": [arn]}, "Action": "sts:AssumeRole"}]});
        let form = [("RoleName", "second"), ("AssumeRolePolicyDocument", &trust.to_string())];
        code(aws.query("iam:CreateRole", &form).await)
    };
    let first = "arn:aws:iam::111122223333:role/first";
    assert_eq!(trusting(first).await, ("MalformedPolicyDocument".to_owned(), 400));
    aws.make_role("first", &["dms.amazonaws.com"], "AmazonDMSRedshiftS3Role").await;
    assert_eq!(trusting(first).await, ("MalformedPolicyDocument".to_owned(), 400), "nobody has seen it yet");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(trusting(first).await, (String::new(), 0));
    sandbox.shutdown().await;
}

/// "Role policy size can't exceed 10,240 characters", white space not counted, of all policies in a role together ("IAM and AWS STS
/// quotas"); `PermissionsBoundary`: 20 to 2048 characters (IAM API reference, `CreateRole`).
#[tokio::test]
async fn policies_in_a_role_have_a_size_together() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    aws.make_role("reader", &["dms.amazonaws.com"], "AmazonDMSRedshiftS3Role").await;
    let put = async |name: &str, letters: usize| {
        let resource = format!("arn:aws:s3:::{}", "b".repeat(letters));
        let document = json!({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}});
        let form = [("RoleName", "reader"), ("PolicyName", name), ("PolicyDocument", &document.to_string())];
        code(aws.query("iam:PutRolePolicy", &form).await)
    };
    assert_eq!(put("one", 6000).await, (String::new(), 0));
    assert_eq!(put("two", 6000).await, ("LimitExceeded".to_owned(), 409));
    assert_eq!(put("one", 9000).await, (String::new(), 0), "it takes the place of the first");
    assert_eq!(put("two", 1000).await, (String::new(), 0));
    let bound = async |arn: &str| {
        code(aws.query("iam:PutRolePermissionsBoundary", &[("RoleName", "reader"), ("PermissionsBoundary", arn)]).await)
            .0
    };
    assert_eq!(bound("short").await, "ValidationError");
    assert_eq!(bound("arn:aws:iam::aws:role/NotAPolicy").await, "InvalidInput");
    assert_eq!(bound("arn:aws:iam::aws:policy/PowerUserAccess").await, "");
    sandbox.shutdown().await;
}

/// `CreateBucket`: a location constraint outside us-east-1; `BucketAlreadyOwnedByYou` (409); "an array of tags that you can
/// apply to the bucket that you're creating" (`CreateBucketConfiguration`). `DeleteBucket`: "All objects ...
/// must be deleted", else `BucketNotEmpty` (409). Conditional writes: `If-None-Match: *` on an object that exists is
/// `PreconditionFailed` (412) (S3 API reference).
#[tokio::test]
async fn buckets_refuse_as_s3_does() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let here =
        b"<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
    let send = async |head: &str, headers: &str, body: &[u8]| {
        let (status, body) = aws.send(head, "s3", headers, body).await.unwrap();
        (status, within(&body, "Code").first().cloned().unwrap_or_default())
    };
    assert_eq!(send("GET /dms-club?list-type=2", "", b"").await, (404, "NoSuchBucket".into()));
    assert_eq!(send("PUT /dms-club", "", b"").await, (400, "IllegalLocationConstraintException".into()));
    assert_eq!(send("PUT /dms-club", "", here).await.0, 200);
    assert_eq!(send("PUT /dms-club", "", here).await, (409, "BucketAlreadyOwnedByYou".into()));
    assert_eq!(send("GET /dms-club?tagging", "", b"").await, (404, "NoSuchTagSet".into()));
    // "An array of tags that you can apply to the bucket that you're creating" (`CreateBucketConfiguration`).
    let tagged = String::from_utf8_lossy(here).replace(
        "</CreateBucketConfiguration>",
        "<Tags><Tag><Key>team</Key><Value>boats</Value></Tag></Tags></CreateBucketConfiguration>",
    );
    assert_eq!(send("PUT /dms-tagged", "", tagged.as_bytes()).await.0, 200);
    let (_, tags) = aws.send("GET /dms-tagged?tagging", "s3", "", b"").await.unwrap();
    assert_eq!((within(&tags, "Key"), within(&tags, "Value")), (vec!["team".to_owned()], vec!["boats".to_owned()]));
    assert_eq!(send("PUT /dms-club/lease", "if-none-match: *\r\n", b"1").await.0, 200);
    assert_eq!(send("PUT /dms-club/lease", "if-none-match: *\r\n", b"2").await, (412, "PreconditionFailed".into()));
    assert_eq!(send("DELETE /dms-club", "", b"").await, (409, "BucketNotEmpty".into()));
    assert_eq!(send("DELETE /dms-club/lease", "", b"").await.0, 204);
    assert_eq!(send("DELETE /dms-club", "", b"").await.0, 204);
    sandbox.shutdown().await;
}

/// `CreateSecret`: `ResourceExistsException`; `InvalidRequestException` while a secret of the name is scheduled for
/// deletion. `DeleteSecret`: a recovery window of 7 to 30 days; `RestoreSecret` takes it back (Secrets Manager API reference).
#[tokio::test]
async fn secrets_keep_their_name_until_they_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let create = async || aws.json("secretsmanager:CreateSecret", json!({"Name": "club", "SecretString": "s"})).await;
    create().await.unwrap();
    assert_eq!(code(create().await).0, "ResourceExistsException");
    let soon = json!({"SecretId": "club", "RecoveryWindowInDays": 3});
    assert_eq!(code(aws.json("secretsmanager:DeleteSecret", soon).await).0, "InvalidParameterException");
    aws.json("secretsmanager:DeleteSecret", json!({"SecretId": "club", "RecoveryWindowInDays": 7})).await.unwrap();
    let refusal = create().await.unwrap_err();
    assert_eq!(refusal.code, "InvalidRequestException");
    assert!(refusal.message.contains("scheduled for deletion"), "{}", refusal.message);
    let read = aws.json("secretsmanager:GetSecretValue", json!({"SecretId": "club"})).await;
    assert_eq!(code(read).0, "InvalidRequestException");
    aws.json("secretsmanager:RestoreSecret", json!({"SecretId": "club"})).await.unwrap();
    let value = aws.json("secretsmanager:GetSecretValue", json!({"SecretId": "club"})).await.unwrap();
    assert_eq!(value["SecretString"], "s");
    let other = json!({"SecretId": "nobody"});
    assert_eq!(code(aws.json("secretsmanager:DescribeSecret", other).await).0, "ResourceNotFoundException");
    sandbox.shutdown().await;
}

/// `GetCallerIdentity` needs no permissions and names the account. `GetResources` finds by tag across services.
#[tokio::test]
async fn the_caller_and_the_tagged_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    assert_eq!(within(&aws.query("sts:GetCallerIdentity", &[]).await.unwrap(), "Account"), ["111122223333"]);
    let tags = json!([{"Key": "owner", "Value": "club"}]);
    aws.json("secretsmanager:CreateSecret", json!({"Name": "club", "SecretString": "s", "Tags": tags})).await.unwrap();
    let tags = json!([{"key": "owner", "value": "club"}]);
    aws.json("redshift-serverless:CreateNamespace", json!({"namespaceName": "club", "tags": tags})).await.unwrap();
    let filter = json!({"TagFilters": [{"Key": "owner", "Values": ["club"]}]});
    let found = aws.json("tagging:GetResources", filter).await.unwrap();
    assert_eq!(found["ResourceTagMappingList"].as_array().unwrap().len(), 2);
    sandbox.shutdown().await;
}

/// Every effect of the fault catalogue does over a real connection what its line in the catalogue says.
#[tokio::test]
async fn every_fault_has_its_effect() {
    for (name, effect) in Effect::ALL {
        let directory = tempfile::tempdir().unwrap();
        let fault = match effect {
            Effect::StaleList => format!("{name}@redshift-serverless:ListNamespaces"),
            Effect::FailedState | Effect::SlowState | Effect::NoCapacity | Effect::IncompatibleNetwork => {
                format!("{name}@dms:CreateReplicationInstance")
            }
            Effect::ReadOnly => format!("{name}@dms:CreateReplicationSubnetGroup"),
            Effect::RecoverableError => format!("{name}@dms:StartReplicationTask"),
            _ => format!("{name}@redshift-serverless:CreateNamespace"),
        };
        let (sandbox, aws) = sandbox(directory.path(), &[&fault]).await;
        let input = json!({"namespaceName": "club", "tags": [{"key": "k", "value": "v"}]});
        let answer = aws.try_json("redshift-serverless:CreateNamespace", &input).await;
        let refused = answer.clone().and_then(Result::err).map(|refusal| (refusal.code, refusal.status));
        if !matches!(effect, Effect::CrashBefore | Effect::CrashAfter) {
            let list = aws.json("redshift-serverless:ListNamespaces", json!({})).await.unwrap();
            let is_there = list["namespaces"] != json!([]);
            let has_no_effect = matches!(
                effect,
                Effect::Throttle | Effect::ServerError | Effect::CutBefore | Effect::StaleList | Effect::NotFound
            );
            assert_eq!(is_there, !has_no_effect, "{name}");
        }
        match effect {
            Effect::Throttle => assert_eq!(refused, Some(("ThrottlingException".into(), 400))),
            Effect::ServerError => assert_eq!(refused, Some(("InternalFailure".into(), 500))),
            Effect::NotFound => assert_eq!(refused, Some(("ResourceNotFoundException".into(), 400))),
            Effect::CutBefore | Effect::CutAfter | Effect::CrashBefore | Effect::CrashAfter => {
                assert!(answer.is_none(), "{name}");
            }
            Effect::LostTags => {
                let filter = json!({"TagFilters": [{"Key": "k"}]});
                let found = aws.json("tagging:GetResources", filter).await.unwrap();
                assert_eq!(found["ResourceTagMappingList"], json!([]));
            }
            Effect::StaleList => {
                let list = aws.json("redshift-serverless:ListNamespaces", json!({})).await.unwrap();
                assert_eq!(list["namespaces"].as_array().unwrap().len(), 1);
            }
            // Their own tests, with the services they strike, tell more.
            Effect::SlowState | Effect::FailedState | Effect::IncompatibleNetwork => {
                aws.make_vpc_role().await;
                aws.make_subnet_group().await.unwrap();
                aws.make_instance().await.unwrap();
                let found = aws.json("dms:DescribeReplicationInstances", json!({})).await.unwrap();
                let expected = match effect {
                    Effect::FailedState => "failed",
                    Effect::IncompatibleNetwork => "incompatible-network",
                    _ => "available",
                };
                assert_eq!(found["ReplicationInstances"][0]["ReplicationInstanceStatus"], expected);
            }
            Effect::NoCapacity => {
                aws.make_vpc_role().await;
                aws.make_subnet_group().await.unwrap();
                assert_eq!(code(aws.make_instance().await).0, "InsufficientResourceCapacityFault");
                aws.make_instance().await.unwrap();
            }
            Effect::ReadOnly => {
                aws.make_vpc_role().await;
                let made = aws.make_subnet_group().await.unwrap();
                assert_eq!(made["ReplicationSubnetGroup"]["IsReadOnly"], true);
                let group = json!({"ReplicationSubnetGroupIdentifier": "group"});
                let refused = aws.json("dms:DeleteReplicationSubnetGroup", group).await;
                assert_eq!(code(refused).0, "InvalidResourceStateFault");
            }
            // `a_task_that_lost_its_connection_goes_on_when_it_is_resumed`, which needs a database.
            Effect::RecoverableError => {}
        }
        sandbox.shutdown().await;
    }
}

/// `CreateLogGroup`: `ResourceAlreadyExistsException`; "Log group names can be between 1 and 512 characters long", of
/// a-z, A-Z, 0-9, '_', '-', '/', '.' and '#'. `DeleteLogGroup`: `ResourceNotFoundException`. `DescribeLogGroups`: "results
/// are ASCII-sorted by log group name", at most 50 a page. `PutLogEvents`: "the sum of all event messages in UTF-8, plus
/// 26 bytes for each log event" (CloudWatch Logs API reference).
#[tokio::test]
async fn log_groups_refuse_and_count_as_cloudwatch_does() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let create = async |name: &str| aws.json("logs:CreateLogGroup", json!({"logGroupName": name})).await;
    for name in ["dms-tasks-club", "/aws/redshift/club/userlog"] {
        create(name).await.unwrap();
    }
    assert_eq!(code(create("dms-tasks-club").await).0, "ResourceAlreadyExistsException");
    assert_eq!(code(create("with a blank").await).0, "InvalidParameterException");
    let stream = json!({"logGroupName": "dms-tasks-club", "logStreamName": "dms-task-load"});
    aws.json("logs:CreateLogStream", stream.clone()).await.unwrap();
    let mut events = stream;
    events["logEvents"] = json!([{"timestamp": 1, "message": "12345"}, {"timestamp": 2, "message": "678"}]);
    aws.json("logs:PutLogEvents", events).await.unwrap();
    let all = aws.json("logs:DescribeLogGroups", json!({"limit": 1})).await.unwrap();
    assert_eq!(all["logGroups"][0]["logGroupName"], "/aws/redshift/club/userlog");
    let rest = aws.json("logs:DescribeLogGroups", json!({"limit": 1, "nextToken": all["nextToken"]})).await.unwrap();
    assert_eq!(rest["logGroups"][0]["storedBytes"], 60);
    assert_eq!(code(aws.json("logs:DescribeLogGroups", json!({"limit": 51})).await).0, "InvalidParameterException");
    let none = aws.json("logs:DescribeLogGroups", json!({"logGroupNamePrefix": "dms-tasks-other"})).await.unwrap();
    assert_eq!(none["logGroups"], json!([]));
    let tags =
        |from: usize, to: usize| (from..to).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let arn = rest["logGroups"][0]["logGroupArn"].as_str().unwrap();
    let tag = async |tags: serde_json::Map<String, Value>| {
        aws.json("logs:TagResource", json!({"resourceArn": arn, "tags": tags})).await
    };
    tag(tags(0, 40)).await.unwrap();
    assert_eq!(code(tag(tags(40, 60)).await).0, "TooManyTagsException");
    let kept = aws.json("logs:ListTagsForResource", json!({"resourceArn": arn})).await.unwrap();
    assert_eq!(kept["tags"].as_object().unwrap().len(), 40);
    let delete = json!({"logGroupName": "dms-tasks-club"});
    aws.json("logs:DeleteLogGroup", delete.clone()).await.unwrap();
    assert_eq!(code(aws.json("logs:DeleteLogGroup", delete).await).0, "ResourceNotFoundException");
    sandbox.shutdown().await;
}

/// `CreateVpcEndpoint`: a gateway is available at once, an interface pending first; "If this parameter is not specified, we
/// attach a default policy that allows full access to the service"; "To use a private hosted zone, you must set the
/// following VPC attributes to true: enableDnsHostnames and enableDnsSupport". `ModifyVpcEndpoint`: "The attributes that
/// you can modify depend on the type". `ModifyVpcAttribute`: "You can only modify one attribute at a time".
/// "Error codes for the Amazon EC2 API": `RouteAlreadyExists`, `DuplicateSubnetsInSameZone`, `InvalidVpcEndpointId.NotFound`.
#[tokio::test]
async fn vpc_endpoints_refuse_as_ec2_does() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let made = aws.query("ec2:CreateVpc", &[("CidrBlock", "10.20.0.0/16")]).await.unwrap();
    let vpc = within(&made, "vpcId")[0].clone();
    let subnet = async |cidr: &str| {
        let input = [("VpcId", vpc.as_str()), ("CidrBlock", cidr), ("AvailabilityZone", "eu-north-1a")];
        within(&aws.query("ec2:CreateSubnet", &input).await.unwrap(), "subnetId")[0].clone()
    };
    let (one, two) = (subnet("10.20.1.0/24").await, subnet("10.20.2.0/24").await);
    let tables = aws.query("ec2:DescribeRouteTables", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &vpc)]).await;
    let table = within(&tables.unwrap(), "routeTableId")[0].clone();
    let create = async |more: &[(&str, &str)]| {
        let mut input = vec![("VpcId", vpc.as_str())];
        input.extend(more);
        aws.query("ec2:CreateVpcEndpoint", &input).await
    };
    let gateway = [("ServiceName", "com.amazonaws.eu-north-1.s3"), ("RouteTableId.1", table.as_str())];
    let made = create(&gateway).await.unwrap();
    assert!(within(&made, "policyDocument")[0].contains("Allow"), "{made}");
    assert_eq!(code(create(&gateway).await).0, "RouteAlreadyExists");
    assert_eq!(code(create(&[("ServiceName", "com.amazonaws.eu-north-1")]).await).0, "InvalidServiceName");
    let id = within(&made, "vpcEndpointId")[0].clone();
    let modify = async |member: &str, value: &str| {
        aws.query("ec2:ModifyVpcEndpoint", &[("VpcEndpointId", &id), (member, value)]).await
    };
    assert_eq!(code(modify("AddSubnetId.1", &one).await).0, "InvalidParameter");
    assert_eq!(code(modify("PolicyDocument", "{").await).0, "MalformedPolicyDocument");
    modify("RemoveRouteTableId.1", &table).await.unwrap();
    let gone = [("VpcEndpointId", "vpce-0"), ("ResetPolicy", "true")];
    assert_eq!(code(aws.query("ec2:ModifyVpcEndpoint", &gone).await).0, "InvalidVpcEndpointId.NotFound");

    let interface = [
        ("ServiceName", "com.amazonaws.eu-north-1.logs"),
        ("VpcEndpointType", "Interface"),
        ("SubnetId.1", one.as_str()),
    ];
    assert_eq!(code(create(&interface).await).0, "InvalidParameter", "the VPC has no DNS hostnames yet");
    let both = [("VpcId", vpc.as_str()), ("EnableDnsHostnames.Value", "true"), ("EnableDnsSupport.Value", "true")];
    assert_eq!(code(aws.query("ec2:ModifyVpcAttribute", &both).await).0, "InvalidParameterCombination");
    aws.query("ec2:ModifyVpcAttribute", &both[..2]).await.unwrap();
    let asked = [("VpcId", vpc.as_str()), ("Attribute", "enableDnsHostnames")];
    let told = aws.query("ec2:DescribeVpcAttribute", &asked).await.unwrap();
    assert_eq!(within(&told, "value"), ["true"]);
    let mut twice = interface.to_vec();
    twice.push(("SubnetId.2", &two));
    assert_eq!(code(create(&twice).await).0, "DuplicateSubnetsInSameZone");
    create(&interface).await.unwrap();
    assert_eq!(code(aws.query("ec2:DeleteSubnet", &[("SubnetId", &one)]).await).0, "DependencyViolation");
    let public = [("SubnetId", two.as_str()), ("MapPublicIpOnLaunch.Value", "true")];
    aws.query("ec2:ModifySubnetAttribute", &public).await.unwrap();
    sandbox.shutdown().await;
}
