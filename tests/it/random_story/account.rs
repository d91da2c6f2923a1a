//! What there is, by what the services say when they are asked by hand: every object of every kind
//! with its name, its id, its tags, and the fields that the model knows, in the words of a stack file.
//!
//! Nothing of towpath is read, and nothing is judged. What the account had from the beginning (the
//! default VPC and what is in it) and what is on its way out is not listed.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::answers;
use crate::aws::Aws;

const PLACE: &str = "eu-north-1:111122223333";

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The id that the service gave it, or its ARN and when it was made: another object of the same name
    /// has another one, as far as [`has_own_ids`] says.
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) fields: Map<String, Value>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Object {
    pub(super) fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }
}

/// Whether an object that was made again has another id: of endpoints and subnet groups DMS does not say
/// when they were made.
pub(super) fn has_own_ids(kind: &str) -> bool {
    !["dms/endpoint", "dms/subnet_group"].contains(&kind)
}

/// Text of an answer, or nothing.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A list of one member of each item, in order of the alphabet.
fn each(list: &Value, member: &str) -> Value {
    sorted(items(list).iter().map(|item| if member.is_empty() { item.clone() } else { item[member].clone() }).collect())
}

pub(super) fn sorted(mut list: Vec<Value>) -> Value {
    list.sort_by_key(Value::to_string);
    list.dedup();
    Value::Array(list)
}

fn flag(value: &Value) -> Value {
    json!(text(value) == "true")
}

/// Reads the whole account.
pub(super) fn read(aws: &Aws) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut labels = BTreeMap::new();
    networks(aws, &mut objects, &mut labels);
    dms(aws, &mut objects);
    roles(aws, &mut objects);
    redshift(aws, &mut objects);
    storage(aws, &mut objects);
    let tags = tags(aws);
    for object in &mut objects {
        if let Some(tags) = tags.get(&object.arn) {
            object.tags.clone_from(tags);
        }
        for id in [&object.id, &object.arn].into_iter().filter(|id| !id.is_empty()) {
            labels.insert(id.clone(), object.name.clone());
        }
    }
    for object in &mut objects {
        for value in object.fields.values_mut() {
            *value = labelled(value, &labels);
        }
        if object.kind == "redshift/usage_limit" {
            let member = |name: &str| text(&object.fields[name]);
            object.name = format!("{}/{}/{}", member("workgroup"), member("usage"), member("period"));
        }
    }
    objects.sort_by(|one, other| (one.kind, &one.name, &one.id).cmp(&(other.kind, &other.name, &other.id)));
    objects
}

/// Ids and ARNs of objects as names.
fn labelled(value: &Value, labels: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => json!(labels.get(text).unwrap_or(text)),
        Value::Array(list) => sorted(list.iter().map(|item| labelled(item, labels)).collect()),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), labelled(member, labels))).collect()
        }
        other => other.clone(),
    }
}

fn tags(aws: &Aws) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut token = String::new();
    loop {
        let input = json!({ "ResourcesPerPage": 100, "PaginationToken": token });
        let page = aws.json("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", &input).unwrap();
        for item in items(&page["ResourceTagMappingList"]) {
            let tags = items(&item["Tags"]).iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"])));
            found.insert(text(&item["ResourceARN"]), tags.collect());
        }
        token = text(&page["PaginationToken"]);
        if token.is_empty() {
            return found;
        }
    }
}

fn object(kind: &'static str, name: &Value, id: &Value, arn: String, fields: Value) -> Object {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    Object { kind, name: text(name), id: text(id), arn, fields, tags: BTreeMap::new() }
}

fn ec2(aws: &Aws, query: &str) -> Value {
    answers::read(&aws.ec2(query))
}

fn name_tag(value: &Value) -> Value {
    let tags = items(&value["tagSet"]);
    tags.iter().find(|tag| tag["key"] == "Name").map_or(json!(""), |tag| tag["value"].clone())
}

fn networks(aws: &Aws, objects: &mut Vec<Object>, labels: &mut BTreeMap<String, String>) {
    let arn = |kind: &str, id: &Value| format!("arn:aws:ec2:{PLACE}:{kind}/{}", text(id));
    for vpc in items(&ec2(aws, "Action=DescribeVpcs")["vpcSet"]) {
        let id = &vpc["vpcId"];
        if vpc["isDefault"] == "true" {
            labels.insert(text(id), "default".to_owned());
            continue;
        }
        let query = format!("Action=DescribeVpcAttribute&Attribute=enableDnsHostnames&VpcId={}", text(id));
        let hosts = flag(&ec2(aws, &query)["enableDnsHostnames"]["value"]);
        let fields = json!({ "cidr": vpc["cidrBlock"], "dns_hostnames": hosts, "name": name_tag(vpc) });
        objects.push(object("ec2/vpc", &name_tag(vpc), id, arn("vpc", id), fields));
    }
    for subnet in items(&ec2(aws, "Action=DescribeSubnets")["subnetSet"]) {
        let id = &subnet["subnetId"];
        if subnet["defaultForAz"] == "true" {
            labels.insert(text(id), "default".to_owned());
            continue;
        }
        let fields = json!({
            "cidr": subnet["cidrBlock"], "vpc": subnet["vpcId"], "zone": subnet["availabilityZone"],
            "name": name_tag(subnet),
        });
        objects.push(object("ec2/subnet", &name_tag(subnet), id, arn("subnet", id), fields));
    }
    for group in items(&ec2(aws, "Action=DescribeSecurityGroups")["securityGroupInfo"]) {
        let id = &group["groupId"];
        if group["groupName"] == "default" {
            continue;
        }
        let fields = json!({
            "vpc": group["vpcId"], "description": group["groupDescription"],
            "ingress": rules(&group["ipPermissions"], id), "egress": rules(&group["ipPermissionsEgress"], id),
        });
        objects.push(object("ec2/security_group", &group["groupName"], id, arn("security-group", id), fields));
    }
    for endpoint in items(&ec2(aws, "Action=DescribeVpcEndpoints")["vpcEndpointSet"]) {
        let id = &endpoint["vpcEndpointId"];
        if text(&endpoint["state"]).to_lowercase().starts_with("delet") {
            continue;
        }
        let policy: Value = serde_json::from_str(&text(&endpoint["policyDocument"])).unwrap_or_default();
        let service = text(&endpoint["serviceName"]);
        let fields = json!({
            "vpc": endpoint["vpcId"], "service": service.rsplit('.').next(), "policy": policy,
            "type": text(&endpoint["vpcEndpointType"]).to_lowercase(), "subnets": each(&endpoint["subnetIdSet"], ""),
            "security_groups": each(&endpoint["groupSet"], "groupId"), "name": name_tag(endpoint),
            "private_dns": flag(&endpoint["privateDnsEnabled"]),
        });
        objects.push(object("ec2/vpc_endpoint", &name_tag(endpoint), id, arn("vpc-endpoint", id), fields));
    }
}

/// Single rules, `tcp 5432-5432 self`; groups that are peers stand apart to be named.
fn rules(permissions: &Value, own: &Value) -> Value {
    let mut found = Vec::new();
    for permission in items(permissions) {
        let protocol = text(&permission["ipProtocol"]);
        let ports = match protocol.as_str() {
            "-1" => "all".to_owned(),
            _ => format!("{protocol} {}-{}", text(&permission["fromPort"]), text(&permission["toPort"])),
        };
        let blocks = items(&permission["ipRanges"]).iter().map(|range| range["cidrIp"].clone());
        let groups = items(&permission["groups"])
            .iter()
            .map(|group| if group["groupId"] == *own { json!("self") } else { group["groupId"].clone() });
        found.extend(blocks.chain(groups).map(|peer| json!({ "ports": ports, "peer": peer })));
    }
    sorted(found)
}

fn dms(aws: &Aws, objects: &mut Vec<Object>) {
    let list = |operation: &str, member: &str| -> Vec<Value> {
        let answer = aws.dms(operation, &json!({})).unwrap();
        let live = |one: &&Value| one["Status"] != "deleting" && one["ReplicationInstanceStatus"] != "deleting";
        items(&answer[member]).iter().filter(live).cloned().collect()
    };
    for group in list("DescribeReplicationSubnetGroups", "ReplicationSubnetGroups") {
        let name = &group["ReplicationSubnetGroupIdentifier"];
        let fields = json!({
            "description": group["ReplicationSubnetGroupDescription"],
            "subnets": each(&group["Subnets"], "SubnetIdentifier"),
        });
        let arn = format!("arn:aws:dms:{PLACE}:subgrp:{}", text(name));
        objects.push(object("dms/subnet_group", name, name, arn, fields));
    }
    for one in list("DescribeReplicationInstances", "ReplicationInstances") {
        let arn = &one["ReplicationInstanceArn"];
        let fields = json!({
            "class": one["ReplicationInstanceClass"], "storage_gb": one["AllocatedStorage"],
            "public": one["PubliclyAccessible"], "multi_az": one["MultiAZ"],
            "maintenance_window": text(&one["PreferredMaintenanceWindow"]).to_lowercase(),
            "auto_minor_upgrades": one["AutoMinorVersionUpgrade"],
            "subnet_group": one["ReplicationSubnetGroup"]["ReplicationSubnetGroupIdentifier"],
            "security_groups": each(&one["VpcSecurityGroups"], "VpcSecurityGroupId"),
        });
        objects.push(object(
            "dms/replication_instance",
            &one["ReplicationInstanceIdentifier"],
            &one["InstanceCreateTime"].as_f64().map_or_else(|| arn.clone(), |time| since(arn, &json!(time))),
            text(arn),
            fields,
        ));
    }
    for one in list("DescribeEndpoints", "Endpoints") {
        let arn = &one["EndpointArn"];
        let redshift = &one["RedshiftSettings"];
        let fields = json!({
            "direction": text(&one["EndpointType"]).to_lowercase(), "engine": one["EngineName"],
            "connection": { "host": one["ServerName"], "port": one["Port"], "database": one["DatabaseName"],
                "username": one["Username"] },
            "ssl_mode": one["SslMode"], "bucket": redshift["BucketName"], "bucket_folder": redshift["BucketFolder"],
            "role": redshift["ServiceAccessRoleArn"],
            "settings": { "capture_ddls": one["PostgreSQLSettings"]["CaptureDdls"],
                "heartbeat_enable": one["PostgreSQLSettings"]["HeartbeatEnable"],
                "max_file_size": redshift["MaxFileSize"] },
        });
        objects.push(object("dms/endpoint", &one["EndpointIdentifier"], arn, text(arn), fields));
    }
    for one in list("DescribeReplicationTasks", "ReplicationTasks") {
        let arn = &one["ReplicationTaskArn"];
        let mappings: Value = serde_json::from_str(&text(&one["TableMappings"])).unwrap_or_default();
        let schemas = items(&mappings["rules"]).iter().map(|rule| rule["object-locator"]["schema-name"].clone());
        let settings: Value = serde_json::from_str(&text(&one["ReplicationTaskSettings"])).unwrap_or_default();
        let fields = json!({
            "instance": one["ReplicationInstanceArn"], "source": one["SourceEndpointArn"],
            "target": one["TargetEndpointArn"], "mode": one["MigrationType"],
            "tables": schemas.collect::<Vec<_>>(), "settings": settings["FullLoadSettings"]["CommitRate"],
        });
        objects.push(object(
            "dms/replication_task",
            &one["ReplicationTaskIdentifier"],
            &since(arn, &one["ReplicationTaskCreationDate"]),
            text(arn),
            fields,
        ));
    }
    conversion(&list, objects);
}

/// An ARN and when the object was made: DMS makes an ARN of the name where it is told to.
fn since(arn: &Value, time: &Value) -> Value {
    assert!(!time.is_null(), "{arn} says when it was made");
    json!(format!("{} of {time}", text(arn)))
}

fn conversion(list: &dyn Fn(&str, &str) -> Vec<Value>, objects: &mut Vec<Object>) {
    for one in list("DescribeDataProviders", "DataProviders") {
        let arn = &one["DataProviderArn"];
        let settings = &one["Settings"]["PostgreSqlSettings"];
        let fields = json!({
            "engine": text(&one["Engine"]).replace('_', "-"), "description": one["Description"],
            "host": settings["ServerName"], "port": settings["Port"], "database": settings["DatabaseName"],
            "ssl_mode": settings["SslMode"],
        });
        objects.push(object(
            "dms/data_provider",
            &one["DataProviderName"],
            &since(arn, &one["DataProviderCreationTime"]),
            text(arn),
            fields,
        ));
    }
    for one in list("DescribeInstanceProfiles", "InstanceProfiles") {
        let arn = &one["InstanceProfileArn"];
        let fields = json!({
            "description": one["Description"], "subnet_group": one["SubnetGroupIdentifier"],
            "public": one["PubliclyAccessible"], "security_groups": each(&one["VpcSecurityGroups"], ""),
        });
        objects.push(object(
            "dms/instance_profile",
            &one["InstanceProfileName"],
            &since(arn, &one["InstanceProfileCreationTime"]),
            text(arn),
            fields,
        ));
    }
    for one in list("DescribeMigrationProjects", "MigrationProjects") {
        let arn = &one["MigrationProjectArn"];
        let provider = |side: &str| one[side][0]["DataProviderArn"].clone();
        let fields = json!({
            "description": one["Description"], "source": provider("SourceDataProviderDescriptors"),
            "target": provider("TargetDataProviderDescriptors"), "instance_profile": one["InstanceProfileArn"],
        });
        objects.push(object(
            "dms/migration_project",
            &one["MigrationProjectName"],
            &since(arn, &one["MigrationProjectCreationTime"]),
            text(arn),
            fields,
        ));
    }
}

fn document(text: &str) -> Value {
    let plain = url::form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect::<String>();
    serde_json::from_str(&plain).unwrap_or_default()
}

fn roles(aws: &Aws, objects: &mut Vec<Object>) {
    let answer = answers::read(&aws.iam("Action=GetAccountAuthorizationDetails&MaxItems=1000"));
    for role in items(&answer["GetAccountAuthorizationDetailsResult"]["RoleDetailList"]) {
        let trust = document(&text(&role["AssumeRolePolicyDocument"]));
        let mut services = Vec::new();
        for statement in items(&trust["Statement"]) {
            match &statement["Principal"]["Service"] {
                Value::Array(list) => services.extend(list.iter().cloned()),
                one => services.push(one.clone()),
            }
        }
        let inline = items(&role["RolePolicyList"]).iter().map(|policy| policy["PolicyName"].clone());
        let fields = json!({
            "trust": sorted(services), "policies": each(&role["AttachedManagedPolicies"], "PolicyArn"),
            "inline": sorted(inline.collect()), "path": role["Path"],
        });
        let mut found = object("iam/role", &role["RoleName"], &role["RoleId"], text(&role["Arn"]), fields);
        found.tags = items(&role["Tags"]).iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect();
        let name = &found.name;
        let one = answers::read(&aws.iam(&format!("Action=GetRole&RoleName={name}")));
        let one = &one["GetRoleResult"]["Role"];
        found.fields.insert("description".to_owned(), json!(text(&one["Description"])));
        found.fields.insert("max_session_seconds".to_owned(), json!(text(&one["MaxSessionDuration"])));
        objects.push(found);
    }
}

fn redshift(aws: &Aws, objects: &mut Vec<Object>) {
    let list = |operation: &str, member: &str| -> Vec<Value> {
        let answer = aws.redshift(operation, &json!({})).unwrap();
        items(&answer[member]).iter().filter(|one| one["status"] != "DELETING").cloned().collect()
    };
    let role = Regex::new(r"arn:[^,) ]+").unwrap();
    for one in list("ListNamespaces", "namespaces") {
        let of = |value: &Value| role.find(&text(value)).map_or(Value::Null, |found| json!(found.as_str()));
        let fields = json!({
            "admin": if one["adminPasswordSecretArn"].is_null() { "own" } else { "managed" },
            "roles": sorted(items(&one["iamRoles"]).iter().map(of).collect()),
            "log_exports": each(&one["logExports"], ""),
        });
        let (name, arn) = (&one["namespaceName"], text(&one["namespaceArn"]));
        objects.push(object("redshift/namespace", name, &one["namespaceId"], arn, fields));
    }
    let mut arns = BTreeMap::new();
    for one in list("ListWorkgroups", "workgroups") {
        let name = &one["workgroupName"];
        let parameter = items(&one["configParameters"])
            .iter()
            .find(|parameter| parameter["parameterKey"] == "max_query_execution_time");
        let fields = json!({
            "namespace": one["namespaceName"], "base_rpu": one["baseCapacity"], "max_rpu": one["maxCapacity"],
            "port": one["port"], "security_groups": each(&one["securityGroupIds"], ""),
            "enhanced_vpc_routing": one["enhancedVpcRouting"],
            "parameters": { "max_query_execution_time": parameter.map(|parameter| parameter["parameterValue"].clone()) },
        });
        let arn = text(&one["workgroupArn"]);
        arns.insert(arn.clone(), text(name));
        objects.push(object("redshift/workgroup", name, &one["workgroupId"], arn, fields));
    }
    for one in list("ListUsageLimits", "usageLimits") {
        let fields = json!({
            "workgroup": arns.get(&text(&one["resourceArn"])), "amount": one["amount"], "period": one["period"],
            "usage": one["usageType"], "breach_action": one["breachAction"],
        });
        objects.push(object("redshift/usage_limit", &json!(""), &one["usageLimitId"], String::new(), fields));
    }
}

fn storage(aws: &Aws, objects: &mut Vec<Object>) {
    let answer = answers::read(&aws.bucket("GET", "", "").unwrap());
    for bucket in items(&answer["Buckets"]) {
        let name = text(&bucket["Name"]);
        let get = |setting: &str| aws.bucket("GET", &format!("{name}?{setting}"), "").map(|xml| answers::read(&xml));
        let versioning = get("versioning").unwrap_or_default()["Status"] == "Enabled";
        let rules = get("lifecycle").unwrap_or_default();
        let days = |of: &str, member: &str| {
            let rules = items(&rules);
            rules
                .iter()
                .find_map(|rule| text(&rule[of][member]).parse::<u64>().ok())
                .map_or(Value::Null, |days| json!(days))
        };
        let block = get("publicAccessBlock").unwrap_or_default();
        let blocked = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
        let fields = json!({
            "name": name, "versioning": versioning, "expire_days": days("Expiration", "Days"),
            "abort_uploads_days": days("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
            "block_public_access": blocked.iter().all(|member| block[*member] == "true"),
        });
        let id = json!(format!("{name} of {}", text(&bucket["CreationDate"])));
        objects.push(object("s3/bucket", &json!(name), &id, format!("arn:aws:s3:::{name}"), fields));
    }
    let answer = aws.json("secretsmanager", "secretsmanager.ListSecrets", &json!({ "MaxResults": 100 })).unwrap();
    for secret in items(&answer["SecretList"]) {
        // Those of Redshift Serverless come and go with their namespaces.
        if !secret["DeletedDate"].is_null() || !secret["OwningService"].is_null() {
            continue;
        }
        let fields = json!({ "description": secret["Description"] });
        let arn = &secret["ARN"];
        objects.push(object("secretsmanager/secret", &secret["Name"], arn, text(arn), fields));
    }
}
