use aws_sdk_databasemigration::types::RedshiftSettings;

use super::*;

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_live_endpoint_reads_like_its_spec() {
    let live = LiveEndpoint::builder()
        .endpoint_identifier("Club-Target")
        .endpoint_type("TARGET".into())
        .engine_name("redshift-serverless")
        .endpoint_arn("arn:aws:dms:eu-north-1:111122223333:endpoint:club-target")
        .server_name("club-wg.111122223333.eu-north-1.redshift-serverless.amazonaws.com")
        .port(5439)
        .database_name("club")
        .username("admin")
        .status("active")
        .redshift_settings(RedshiftSettings::builder().bucket_name("dms-club").comp_update(true).build())
        .build();
    let object = object(live, &BTreeSet::new());
    assert_eq!(object.identity, "club-target");
    assert_eq!(object.state["direction"], "target");
    assert_eq!(object.state["workgroup"], "club-wg");
    assert_eq!(object.state["bucket"], "dms-club");
    assert_eq!(object.state["settings"], json!({ "comp_update": true }));
    assert_eq!(object.outputs["connection"]["port"], 5439);
    assert_eq!(object.readiness, Readiness::Ready);
}

#[test]
fn an_endpoint_under_test_is_not_ready() {
    let arn = "arn:aws:dms:eu-north-1:111122223333:endpoint:x";
    let live = LiveEndpoint::builder().endpoint_arn(arn).status("active").build();
    let object = object(live, &BTreeSet::from([arn.to_owned()]));
    assert_eq!(object.readiness, Readiness::Pending("testing the connection".to_owned()));
}

#[test]
fn a_modify_sends_only_the_fields_that_changed() {
    let spec = spec(json!({
        "direction": "target", "engine": "redshift-serverless", "workgroup": "wg", "bucket": "b", "role": "arn:r",
    }));
    let settings = Settings { truncate_columns: Some(true), ..Settings::default() };
    let blocks = blocks(&spec, None, &settings, &|field| field == "role" || field == "settings");
    let expected = RedshiftSettings::builder().truncate_columns(true).service_access_role_arn("arn:r").build();
    assert_eq!(blocks.redshift, Some(expected));
    assert!(blocks.postgres.is_none());
}

#[test]
fn an_empty_block_is_not_sent() {
    let spec = spec(json!({ "direction": "source", "engine": "postgres" }));
    let blocks = blocks(&spec, None, &Settings::default(), &|_| true);
    assert!(blocks.postgres.is_none() && blocks.redshift.is_none());
}

#[test]
fn with_a_secret_the_database_goes_into_the_block() {
    let spec = spec(json!({ "direction": "source", "engine": "postgres" }));
    let access = Access {
        secret: Some("arn:s".to_owned()),
        role: Some("arn:r".to_owned()),
        database: Some("club".to_owned()),
        ..Access::default()
    };
    let block = blocks(&spec, Some(&access), &Settings::default(), &|_| true).postgres.unwrap();
    assert_eq!(block.database_name.as_deref(), Some("club"));
    assert_eq!(block.secrets_manager_access_role_arn.as_deref(), Some("arn:r"));
}

#[test]
fn contradictions_are_found_before_any_call() {
    let fields = |value: Value| mistakes::check(&spec(value)).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    assert_eq!(
        fields(json!({ "direction": "source", "engine": "redshift", "connection": { "url": { "env": "U" } } })),
        ["engine"]
    );
    assert_eq!(fields(json!({ "direction": "source", "engine": "postgres" })), ["connection"]);
    assert_eq!(
        fields(json!({ "direction": "source", "engine": "postgres", "ssl_mode": "verify-full",
            "connection": { "secret": "arn:s", "password": { "env": "P" } } })),
        ["connection.secret", "connection.role", "connection.database", "ssl_mode"]
    );
    assert!(
        fields(json!({ "direction": "source", "engine": "postgres", "connection": { "url": { "env": "U" } } }))
            .is_empty()
    );
}
