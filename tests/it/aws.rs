//! A second client of the sandbox: it serves a project's world with `towpath sandbox` and speaks the
//! wire protocols by hand, as any other tool would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::env::{Running, TestEnvironment};

/// The sandbox of a project, served for as long as this lives.
pub(crate) struct Aws {
    /// Where it listens.
    pub(crate) address: String,
    _server: Option<Running>,
}

impl Aws {
    /// Serves the world of a project on a free port.
    pub(crate) fn of(environment: &TestEnvironment) -> Self {
        Self::serve(environment, &[])
    }

    /// The same, with more arguments for `towpath sandbox`.
    pub(crate) fn serve(environment: &TestEnvironment, arguments: &[&str]) -> Self {
        let mut server = Running::start(environment, &[&["sandbox", "--port", "0"], arguments].concat());
        let line = server.wait_for("http://127.0.0.1:").expect("the sandbox says where it listens");
        let address = line.rsplit("http://").next().unwrap().split_whitespace().next().unwrap().to_owned();
        Self { address, _server: Some(server) }
    }

    /// A client of a sandbox that is served already.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self { address: endpoint.trim_start_matches("http://").to_owned(), _server: None }
    }

    /// Calls an operation of a JSON service by its target; AWS's answer, or `status body`.
    pub(crate) fn json(&self, service: &str, target: &str, input: &Value) -> Result<Value, String> {
        let headers = format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: {target}\r\n");
        let (status, body) = self.send("POST /", service, &headers, input.to_string().as_bytes());
        if status == 200 { Ok(serde_json::from_str(&body).unwrap()) } else { Err(format!("{status} {body}")) }
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls an operation of DMS; AWS's answer, or `status body`.
    pub(crate) fn dms(&self, operation: &str, input: &Value) -> Result<Value, String> {
        self.json("dms", &format!("AmazonDMSv20160101.{operation}"), input)
    }

    /// Calls an operation of Redshift Serverless; AWS's answer, or `status body`.
    pub(crate) fn redshift(&self, operation: &str, input: &Value) -> Result<Value, String> {
        self.json("redshift-serverless", &format!("RedshiftServerless.{operation}"), input)
    }

    /// Runs a statement in a database of a workgroup to its end: its rows.
    #[track_caller]
    pub(crate) fn sql(&self, workgroup: &str, database: &str, sql: &str) -> Vec<Vec<Value>> {
        let call = |operation: &str, input: &Value| {
            self.json("redshift-data", &format!("RedshiftData.{operation}"), input).unwrap()
        };
        let input = json!({ "Sql": sql, "WorkgroupName": workgroup, "Database": database, "WaitTimeSeconds": 30 });
        let id = call("ExecuteStatement", &input)["Id"].clone();
        let end = call("DescribeStatement", &json!({ "Id": id, "WaitTimeSeconds": 30 }));
        assert_eq!(end["Status"], "FINISHED", "{sql}: {end}");
        if end["HasResultSet"] != true {
            return Vec::new();
        }
        let rows = call("GetStatementResult", &json!({ "Id": id }))["Records"].clone();
        let cell = |cell: &Value| cell.as_object().and_then(|union| union.values().next().cloned()).unwrap_or_default();
        rows.as_array().unwrap().iter().map(|row| row.as_array().unwrap().iter().map(cell).collect()).collect()
    }

    /// Calls an operation of IAM with parameters already encoded.
    pub(crate) fn iam(&self, query: &str) -> String {
        self.query("iam", query).unwrap()
    }

    /// Makes or deletes a bucket.
    pub(crate) fn bucket(&self, method: &str, name: &str, body: &str) -> Result<String, String> {
        let (status, body) = self.send(&format!("{method} /{name}"), "s3", "", body.as_bytes());
        if status < 300 { Ok(body) } else { Err(format!("{status} {body}")) }
    }

    /// Calls an operation of EC2 with parameters already encoded.
    pub(crate) fn ec2(&self, query: &str) -> String {
        self.query("ec2", query).unwrap()
    }

    /// Calls an operation of EC2 or IAM with parameters already encoded; AWS's answer, or `status body`.
    pub(crate) fn query(&self, service: &str, query: &str) -> Result<String, String> {
        let version = if service == "ec2" { "2016-11-15" } else { "2010-05-08" };
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        let (status, answer) = self.send("POST /", service, headers, format!("Version={version}&{query}").as_bytes());
        if status == 200 { Ok(answer) } else { Err(format!("{status} {answer}")) }
    }

    fn send(&self, head: &str, service: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential=AKIDEXAMPLE/20260101/eu-north-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\
             {headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}
