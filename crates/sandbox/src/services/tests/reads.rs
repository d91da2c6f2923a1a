//! What somebody who looks at the account from outside finds, service by service.

use serde_json::{Value, json};

use super::code;
use crate::testing::{Aws, sandbox, within};

const LOCATION: &str =
    "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";

/// Sends to S3; status and body.
async fn s3(aws: &Aws, head: &str, headers: &str, body: &str) -> (u16, String) {
    aws.send(head, "s3", headers, body.as_bytes()).await.unwrap()
}

/// A subresource that is not played is refused with 501 and never taken for the bucket or the object itself. "Requests to set
/// ACLs or update ACLs fail" where the owner enforces ownership, "requests to read ACLs are still supported" (S3 user guide).
#[tokio::test]
async fn subresources_of_s3_are_never_taken_for_the_bucket_or_object() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    assert_eq!(s3(&aws, "PUT /club", "", LOCATION).await.0, 200);
    for head in ["DELETE /club?website", "DELETE /club?replication", "PUT /club?website", "PUT /club?tomorrow"] {
        let (status, body) = s3(&aws, head, "", "").await;
        assert_eq!((status, within(&body, "Code")), (501, vec!["NotImplemented".to_owned()]), "{head}");
    }
    assert_eq!(s3(&aws, "HEAD /club", "", "").await.0, 200);
    assert_eq!(s3(&aws, "PUT /club/key", "", "value").await.0, 200);
    assert_eq!(within(&s3(&aws, "PUT /club/key?acl", "", "<x/>").await.1, "Code"), ["AccessControlListNotSupported"]);
    assert_eq!(s3(&aws, "PUT /club/key?retention", "", "<x/>").await.0, 501);
    assert_eq!(s3(&aws, "GET /club/key", "", "").await, (200, "value".to_owned()));
    for head in ["GET /club?acl", "GET /club/key?acl"] {
        assert_eq!(within(&s3(&aws, head, "", "").await.1, "Permission"), ["FULL_CONTROL"], "{head}");
    }
    assert_eq!(within(&s3(&aws, "GET /club?requestPayment", "", "").await.1, "Payer"), ["BucketOwner"]);
    for subresource in ["logging", "notification", "accelerate"] {
        assert_eq!(s3(&aws, &format!("GET /club?{subresource}"), "", "").await.0, 200, "{subresource}");
    }
    let asked = "x-amz-object-attributes: ETag,ObjectSize\r\n";
    assert_eq!(within(&s3(&aws, "GET /club/key?attributes", asked, "").await.1, "ObjectSize"), ["5"]);
    let open = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}"#;
    assert_eq!(s3(&aws, "PUT /club?policy", "", open).await.0, 204);
    assert_eq!(within(&s3(&aws, "GET /club?policyStatus", "", "").await.1, "IsPublic"), ["true"]);
    sandbox.shutdown().await;
}

/// Lists come page by page and by groups, in both forms of the list, with versions, uploads and parts; a bucket with an
/// unfinished upload is not empty.
#[tokio::test]
async fn lists_of_s3_come_in_pages_and_unfinished_uploads_hold_the_bucket() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    s3(&aws, "PUT /club", "", LOCATION).await;
    s3(&aws, "PUT /club?versioning", "", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        .await;
    for key in ["a", "a", "b/1", "b/2", "c"] {
        assert_eq!(s3(&aws, &format!("PUT /club/{key}"), "", "x").await.0, 200);
    }
    let list = s3(&aws, "GET /club?delimiter=/&max-keys=2", "", "").await.1;
    assert_eq!((within(&list, "Key"), within(&list, "NextMarker")), (vec!["a".to_owned()], vec!["b/".to_owned()]));
    let rest = s3(&aws, "GET /club?delimiter=/&marker=b/", "", "").await.1;
    assert_eq!((within(&rest, "Key"), within(&rest, "IsTruncated")), (vec!["c".to_owned()], vec!["false".to_owned()]));
    let versions = s3(&aws, "GET /club?versions&delimiter=/", "", "").await.1;
    assert_eq!(within(&versions, "Key"), ["a", "a", "c"]);
    assert_eq!(within(&versions, "CommonPrefixes").len(), 1);
    let mut uploads = Vec::new();
    for key in ["one", "two"] {
        uploads.push(within(&s3(&aws, &format!("POST /club/{key}?uploads"), "", "").await.1, "UploadId")[0].clone());
    }
    let first = s3(&aws, "GET /club?uploads&max-uploads=1", "", "").await.1;
    assert_eq!(within(&first, "NextKeyMarker"), ["one"]);
    let marker = format!("GET /club?uploads&key-marker=one&upload-id-marker={}", uploads[0]);
    assert_eq!(within(&s3(&aws, &marker, "", "").await.1, "UploadId"), [uploads[1].clone()]);
    let part = |number: u8| format!("PUT /club/one?partNumber={number}&uploadId={}", uploads[0]);
    let copied = s3(&aws, &part(2), "x-amz-copy-source: /club/c\r\n", "").await.1;
    assert_eq!(within(&copied, "ETag").len(), 1, "{copied}");
    assert_eq!(s3(&aws, &part(7), "", "part").await.0, 200);
    let parts = format!("GET /club/one?uploadId={}&max-parts=1", uploads[0]);
    assert_eq!(within(&s3(&aws, &parts, "", "").await.1, "NextPartNumberMarker"), ["2"]);
    assert_eq!(within(&s3(&aws, &format!("{parts}&part-number-marker=2"), "", "").await.1, "PartNumber"), ["7"]);
    s3(&aws, "PUT /leaves", "", LOCATION).await;
    let id = within(&s3(&aws, "POST /leaves/key?uploads", "", "").await.1, "UploadId")[0].clone();
    assert_eq!(within(&s3(&aws, "DELETE /leaves", "", "").await.1, "Code"), ["BucketNotEmpty"]);
    assert_eq!(s3(&aws, &format!("DELETE /leaves/key?uploadId={id}"), "", "").await.0, 204);
    assert_eq!(s3(&aws, "DELETE /leaves", "", "").await.0, 204);
    sandbox.shutdown().await;
}

/// Policies with who uses them, page by page, and what the policies of a role allow ("Policy evaluation logic").
#[tokio::test]
async fn iam_tells_policies_their_users_and_what_they_allow() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    aws.make_role("dms-access-for-endpoint", &["dms.amazonaws.com"], "AmazonDMSRedshiftS3Role").await;
    let arn = "arn:aws:iam::aws:policy/service-role/AmazonDMSRedshiftS3Role";
    let entities = aws.query("iam:ListEntitiesForPolicy", &[("PolicyArn", arn)]).await.unwrap();
    assert_eq!(within(&entities, "RoleName"), ["dms-access-for-endpoint"]);
    let attached = aws.query("iam:ListPolicies", &[("OnlyAttached", "true")]).await.unwrap();
    assert_eq!(within(&attached, "Arn"), [arn]);
    let first = aws.query("iam:ListPolicies", &[("Scope", "AWS"), ("MaxItems", "2")]).await.unwrap();
    assert_eq!((within(&first, "Arn").len(), within(&first, "IsTruncated")), (2, vec!["true".to_owned()]));
    let marker = within(&first, "Marker")[0].clone();
    let second = aws.query("iam:ListPolicies", &[("MaxItems", "2"), ("Marker", &marker)]).await.unwrap();
    assert!(within(&second, "Arn").iter().all(|own| !within(&first, "Arn").contains(own)));
    let simulate = async |action: &str, resource: &str| {
        let role = "arn:aws:iam::111122223333:role/dms-access-for-endpoint";
        let input = [("PolicySourceArn", role), ("ActionNames.member.1", action), ("ResourceArns.member.1", resource)];
        within(&aws.query("iam:SimulatePrincipalPolicy", &input).await.unwrap(), "EvalDecision")[0].clone()
    };
    assert_eq!(simulate("s3:PutObject", "arn:aws:s3:::dms-club/x").await, "allowed");
    assert_eq!(simulate("s3:PutObject", "arn:aws:s3:::club/x").await, "implicitDeny");
    let nobody =
        [("PolicySourceArn", "arn:aws:iam::111122223333:role/nobody"), ("ActionNames.member.1", "s3:GetObject")];
    assert_eq!(code(aws.query("iam:SimulatePrincipalPolicy", &nobody).await).0, "NoSuchEntity");
    let unknown = aws.query("iam:CreateUser", &[("UserName", "x")]).await.unwrap_err();
    assert_eq!((unknown.code.as_str(), unknown.status), ("InvalidAction", 400));
    sandbox.shutdown().await;
}

/// What comes with every VPC and region is there and agrees: gateways with routes, the list of its groups, its default ACL.
#[tokio::test]
async fn the_network_agrees_with_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let query = async |call: &str, input: &[(&str, &str)]| aws.query(&format!("ec2:{call}"), input).await.unwrap();
    let vpc = within(&query("DescribeVpcs", &[]).await, "vpcId")[0].clone();
    let of_vpc = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let routes = within(&query("DescribeRouteTables", &of_vpc).await, "gatewayId");
    let attached = [("Filter.1.Name", "attachment.vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let gateways = within(&query("DescribeInternetGateways", &attached).await, "internetGatewayId");
    assert!(gateways.len() == 1 && routes.contains(&gateways[0]), "{routes:?} {gateways:?}");
    let acl = query("DescribeNetworkAcls", &of_vpc).await;
    let mut covered = within(&acl, "subnetId");
    let mut subnets = aws.subnets().await;
    covered.sort();
    subnets.sort();
    assert_eq!(covered, subnets);
    let made = query("CreateSecurityGroup", &[("GroupName", "boats"), ("GroupDescription", "d")]).await;
    let group = within(&made, "groupId")[0].clone();
    let opened = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "5432"),
        ("IpPermissions.1.ToPort", "5432"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
    ];
    query("AuthorizeSecurityGroupIngress", &opened).await;
    let open = [("Filter.1.Name", "ip-permission.from-port"), ("Filter.1.Value.1", "5432")];
    assert_eq!(within(&query("DescribeSecurityGroups", &open).await, "groupName"), ["boats"]);
    let mut told = opened.to_vec();
    told.push(("IpPermissions.1.IpRanges.1.Description", "the harbour"));
    query("UpdateSecurityGroupRuleDescriptionsIngress", &told).await;
    let rules =
        query("DescribeSecurityGroupRules", &[("Filter.1.Name", "group-id"), ("Filter.1.Value.1", &group)]).await;
    assert!(within(&rules, "description").contains(&"the harbour".to_owned()), "{rules}");
    assert!(
        within(&query("GetSecurityGroupsForVpc", &[("VpcId", &vpc)]).await, "groupName").contains(&"boats".to_owned())
    );
    let services = [("ServiceName.1", "com.amazonaws.eu-north-1.s3")];
    let told = query("DescribeVpcEndpointServices", &services).await;
    assert_eq!(within(&told, "serviceName"), ["com.amazonaws.eu-north-1.s3"]);
    let unknown = aws.query("ec2:RunInstances", &[]).await.unwrap_err();
    assert_eq!((unknown.code.as_str(), unknown.status), ("InvalidAction", 400));
    sandbox.shutdown().await;
}

/// A managed password is rotated where Redshift keeps it; other secrets need a Lambda function, which is not played. Stages are
/// moved by hand ("If you move AWSCURRENT, Secrets Manager automatically moves AWSPREVIOUS"); several values come at once.
#[tokio::test]
async fn secrets_are_rotated_staged_and_read_together() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let call = async |operation: &str, input: Value| aws.json(&format!("secretsmanager:{operation}"), input).await;
    aws.json("redshift-serverless:CreateNamespace", json!({"namespaceName": "club", "manageAdminPassword": true}))
        .await
        .unwrap();
    let managed = json!({"SecretId": "redshift!club-admin"});
    let before = call("GetSecretValue", managed.clone()).await.unwrap();
    call("RotateSecret", managed.clone()).await.unwrap();
    let after = call("GetSecretValue", managed.clone()).await.unwrap();
    assert_ne!(before["SecretString"], after["SecretString"]);
    assert_eq!(call("DescribeSecret", managed).await.unwrap()["RotationEnabled"], true);
    let own = call("CreateSecret", json!({"Name": "own", "SecretString": "one"})).await.unwrap()["VersionId"].clone();
    assert_eq!(code(call("RotateSecret", json!({"SecretId": "own"})).await).0, "InvalidRequestException");
    let second =
        call("PutSecretValue", json!({"SecretId": "own", "SecretString": "two"})).await.unwrap()["VersionId"].clone();
    let wrong = json!({"SecretId": "own", "VersionStage": "AWSCURRENT", "MoveToVersionId": own});
    assert_eq!(code(call("UpdateSecretVersionStage", wrong.clone()).await).0, "InvalidParameterException");
    let mut right = wrong;
    right["RemoveFromVersionId"] = second.clone();
    call("UpdateSecretVersionStage", right).await.unwrap();
    let stages = call("DescribeSecret", json!({"SecretId": "own"})).await.unwrap()["VersionIdsToStages"].clone();
    assert_eq!(stages[own.as_str().unwrap()], json!(["AWSCURRENT"]));
    assert_eq!(stages[second.as_str().unwrap()], json!(["AWSPREVIOUS"]));
    let many = call("BatchGetSecretValue", json!({"SecretIdList": ["own", "nobody"]})).await.unwrap();
    assert_eq!(many["SecretValues"][0]["SecretString"], "one");
    assert_eq!(many["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    let word = call("GetRandomPassword", json!({"PasswordLength": 12, "ExcludePunctuation": true})).await.unwrap();
    let word = word["RandomPassword"].as_str().unwrap();
    let has = |test: fn(&u8) -> bool| word.bytes().any(|byte| test(&byte));
    assert!(
        word.len() == 12 && has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase),
        "{word}"
    );
    let keys = aws.json("tagging:GetTagKeys", json!({})).await.unwrap();
    assert_eq!(keys["TagKeys"], json!([]));
    sandbox.shutdown().await;
}
