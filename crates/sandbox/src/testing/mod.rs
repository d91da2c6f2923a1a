//! For tests: a plain HTTP client of a sandbox, and a pipeline from a source to a workgroup made through it.
//!
//! It speaks the wire protocols by hand, so that what the tests see is what any client sees.

use std::path::Path;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::services::redshift_data::warehouse;
use crate::{Options, Sandbox};

/// A fault as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: u16,
}

pub(crate) struct Aws {
    address: String,
}

/// A sandbox on which every transition ends at once.
pub(crate) async fn sandbox(directory: &Path, faults: &[&str]) -> (Sandbox, Aws) {
    sandbox_at(directory, f64::INFINITY, faults).await
}

pub(crate) async fn sandbox_at(directory: &Path, speed: f64, faults: &[&str]) -> (Sandbox, Aws) {
    let mut options = Options::new(directory);
    options.speed = speed;
    options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    start(options).await
}

/// A sandbox whose account has these quotas, on which every transition ends at once.
pub(crate) async fn sandbox_with_quotas(directory: &Path, quotas: &[&str]) -> (Sandbox, Aws) {
    let mut options = Options::new(directory);
    options.speed = f64::INFINITY;
    options.quotas = quotas.iter().map(|quota| quota.parse().unwrap()).collect();
    start(options).await
}

async fn start(mut options: Options) -> (Sandbox, Aws) {
    options.crash = Some(std::sync::Arc::new(|| {}));
    let sandbox = Sandbox::start(options).await.unwrap();
    let aws = Aws { address: sandbox.endpoint().trim_start_matches("http://").to_owned() };
    (sandbox, aws)
}

impl Aws {
    /// Sends a request over a connection of its own; `None` when the connection ends without an answer.
    pub(crate) async fn send(&self, head: &str, service: &str, headers: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-north-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        if stream.read_to_end(&mut answer).await.is_err() || answer.is_empty() {
            return None;
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Some((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
    }

    /// Calls an operation of a JSON service; `None` when the connection is cut.
    pub(crate) async fn try_json(&self, call: &str, input: &Value) -> Option<Result<Value, Refusal>> {
        let (service, operation) = call.split_once(':').unwrap();
        let target = match service {
            "dms" => "AmazonDMSv20160101",
            "logs" => "Logs_20140328",
            "redshift-data" => "RedshiftData",
            "redshift-serverless" => "RedshiftServerless",
            "secretsmanager" => "secretsmanager",
            "tagging" => "ResourceGroupsTaggingAPI_20170126",
            other => panic!("{other} is no JSON service"),
        };
        let headers = format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: {target}.{operation}\r\n");
        let (status, body) = self.send("POST /", service, &headers, input.to_string().as_bytes()).await?;
        let body: Value = if body.is_empty() { json!({}) } else { serde_json::from_str(&body).unwrap() };
        Some(if status == 200 {
            Ok(body)
        } else {
            let text =
                |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).unwrap_or_default().to_owned();
            Err(Refusal { code: text(["__type", "code"]), message: text(["message", "Message"]), status })
        })
    }

    pub(crate) async fn json(&self, call: &str, input: Value) -> Result<Value, Refusal> {
        self.try_json(call, &input).await.expect("an answer")
    }

    /// Calls an operation of a query service; gives the XML.
    pub(crate) async fn query(&self, call: &str, input: &[(&str, &str)]) -> Result<String, Refusal> {
        let (service, operation) = call.split_once(':').unwrap();
        let version = if service == "ec2" { "2016-11-15" } else { "2010-05-08" };
        let mut body = format!("Action={operation}&Version={version}");
        for (key, value) in input {
            body.extend(["&", key, "="]);
            body.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        let (status, body) = self.send("POST /", service, headers, body.as_bytes()).await.expect("an answer");
        if status == 200 {
            Ok(body)
        } else {
            let part = |name: &str| within(&body, name).first().cloned().unwrap_or_default();
            Err(Refusal { code: part("Code"), message: part("Message"), status })
        }
    }

    /// A role that services may assume.
    pub(crate) async fn make_role(&self, name: &str, services: &[&str], policy: &str) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}]});
        self.query("iam:CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust.to_string())])
            .await
            .unwrap();
        let policy = format!("arn:aws:iam::aws:policy/service-role/{policy}");
        self.query("iam:AttachRolePolicy", &[("RoleName", name), ("PolicyArn", &policy)]).await.unwrap();
    }

    pub(crate) async fn make_vpc_role(&self) {
        self.make_role("dms-vpc-role", &["dms.amazonaws.com"], "AmazonDMSVPCManagementRole").await;
    }

    /// The ids of the default subnets.
    pub(crate) async fn subnets(&self) -> Vec<String> {
        within(&self.query("ec2:DescribeSubnets", &[]).await.unwrap(), "subnetId")
    }

    pub(crate) async fn make_subnet_group(&self) -> Result<Value, Refusal> {
        let input = json!({"ReplicationSubnetGroupIdentifier": "group", "ReplicationSubnetGroupDescription": "d", "SubnetIds": self.subnets().await});
        self.json("dms:CreateReplicationSubnetGroup", input).await
    }

    pub(crate) async fn make_instance(&self) -> Result<Value, Refusal> {
        let input = json!({"ReplicationInstanceIdentifier": "one", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group"});
        self.json("dms:CreateReplicationInstance", input).await
    }

    pub(crate) async fn table_states(&self, task: &str) -> Vec<Value> {
        let answer = self.json("dms:DescribeTableStatistics", json!({"ReplicationTaskArn": task})).await.unwrap();
        answer["TableStatistics"].as_array().unwrap().clone()
    }

    /// The task as it is described.
    pub(crate) async fn task(&self, arn: &str) -> Value {
        let filter = json!({"Filters": [{"Name": "replication-task-arn", "Values": [arn]}], "WithoutSettings": true});
        self.json("dms:DescribeReplicationTasks", filter).await.unwrap()["ReplicationTasks"][0].clone()
    }

    /// Waits until a task has a status.
    pub(crate) async fn wait_for(&self, arn: &str, status: &str) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let task = self.task(arn).await;
            if task["Status"] == status {
                return task;
            }
            assert!(Instant::now() < deadline && task["Status"] != "failed", "waiting for {status}: {task}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The texts of every element of a name.
pub(crate) fn within(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

/// What stands between a source and a workgroup, with both connections tested.
pub(crate) struct Pipeline {
    pub(crate) instance: String,
    pub(crate) source: String,
    pub(crate) target: String,
    /// The database that plays the source.
    pub(crate) origin: tokio_postgres::Client,
    /// The workgroup's database.
    pub(crate) warehouse: tokio_postgres::Client,
}

/// Makes a pipeline through the operations of AWS.
pub(crate) async fn pipeline(sandbox: &Sandbox, aws: &Aws) -> Pipeline {
    let server = sandbox.cloud.postgres().ensure().await.unwrap();
    aws.make_vpc_role().await;
    let services = ["dms.amazonaws.com", "redshift-serverless.amazonaws.com"];
    aws.make_role("dms-access-for-endpoint", &services, "AmazonDMSRedshiftS3Role").await;
    aws.make_subnet_group().await.unwrap();
    let instance = aws.make_instance().await.unwrap()["ReplicationInstance"]["ReplicationInstanceArn"].clone();
    let role = "arn:aws:iam::111122223333:role/dms-access-for-endpoint";
    let namespace = json!({"namespaceName": "club", "adminUsername": "admin", "adminUserPassword": "Passw0rd1", "iamRoles": [role]});
    aws.json("redshift-serverless:CreateNamespace", namespace).await.unwrap();
    aws.json("redshift-serverless:CreateWorkgroup", json!({"namespaceName": "club", "workgroupName": "club"}))
        .await
        .unwrap();
    let workgroup = aws.json("redshift-serverless:GetWorkgroup", json!({"workgroupName": "club"})).await.unwrap();
    let source = aws
        .json("dms:CreateEndpoint", json!({
            "EndpointIdentifier": "source", "EndpointType": "source", "EngineName": "postgres", "ServerName": "127.0.0.1", "Port": server.port,
            "Username": "postgres", "Password": server.password.expose(), "DatabaseName": "source",
        }))
        .await
        .unwrap()["Endpoint"]["EndpointArn"]
        .clone();
    let target = aws
        .json("dms:CreateEndpoint", json!({
            "EndpointIdentifier": "target", "EndpointType": "target", "EngineName": "redshift-serverless",
            "ServerName": workgroup["workgroup"]["endpoint"]["address"], "Port": 5439, "Username": "admin", "Password": "Passw0rd1", "DatabaseName": "dev",
        }))
        .await
        .unwrap()["Endpoint"]["EndpointArn"]
        .clone();
    while aws.json("dms:DescribeReplicationInstances", json!({})).await.unwrap()["ReplicationInstances"][0]["ReplicationInstanceStatus"]
        != "available"
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for endpoint in [&source, &target] {
        aws.json("dms:TestConnection", json!({"ReplicationInstanceArn": instance, "EndpointArn": endpoint}))
            .await
            .unwrap();
        loop {
            let filter = json!({"Filters": [{"Name": "endpoint-arn", "Values": [endpoint]}]});
            let found = aws.json("dms:DescribeConnections", filter).await.unwrap();
            match found["Connections"][0]["Status"].as_str().unwrap() {
                "testing" => tokio::time::sleep(Duration::from_millis(10)).await,
                "successful" => break,
                _ => panic!("{found}"),
            }
        }
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Pipeline {
        instance: text(&instance),
        source: text(&source),
        target: text(&target),
        origin: warehouse::connect(&server.config("source")).await.unwrap(),
        warehouse: warehouse::connect(&warehouse::config(&sandbox.cloud, "club").await.unwrap()).await.unwrap(),
    }
}

impl Pipeline {
    /// Makes a task for every table of the source's schema `public`; gives its ARN.
    pub(crate) async fn make_task(&self, aws: &Aws, kind: &str, settings: &Value) -> String {
        let mappings = json!({"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
            "object-locator": {"schema-name": "public", "table-name": "%", "table-type": "all"}}]});
        let input = json!({
            "ReplicationTaskIdentifier": "task", "SourceEndpointArn": self.source, "TargetEndpointArn": self.target, "ReplicationInstanceArn": self.instance,
            "MigrationType": kind, "TableMappings": mappings.to_string(), "ReplicationTaskSettings": settings.to_string(),
        });
        let made = aws.json("dms:CreateReplicationTask", input).await.unwrap();
        made["ReplicationTask"]["ReplicationTaskArn"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn start(&self, aws: &Aws, task: &str, how: &str) {
        let input = json!({"ReplicationTaskArn": task, "StartReplicationTaskType": how});
        aws.json("dms:StartReplicationTask", input).await.unwrap();
    }

    /// One text out of the warehouse; empty when the query fails or gives nothing.
    pub(crate) async fn warehouse_text(&self, sql: &str) -> String {
        let row = self.warehouse.query_opt(sql, &[]).await.ok().flatten();
        row.and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default()
    }

    /// Waits until a query on the warehouse gives a text.
    pub(crate) async fn wait_for_text(&self, sql: &str, expected: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let found = self.warehouse_text(sql).await;
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{sql} gives {found}, not {expected}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
