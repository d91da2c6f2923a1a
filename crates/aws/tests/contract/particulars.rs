//! What single kinds promise beyond the contract: cleaning up before a delete, taking over, going on
//! where a create stopped.

use serde_json::{Value, json};
use towpath_engine::diff;
use towpath_engine::fault::FaultClass;
use towpath_engine::kind::{DeleteOptions, Tags, tag};

use crate::world::World;

#[tokio::test]
async fn a_staging_bucket_goes_with_everything_that_is_in_it() {
    let world = World::new().await;
    let kind = world.kind("s3/bucket");
    let bucket = world.make("s3/bucket", "staging", json!({ "versioning": true })).await;
    let name = bucket.identity.as_str();
    let s3 = world.cloud.s3().await;
    for text in ["one", "two"] {
        s3.put_object().bucket(name).key("part.csv").body(text.as_bytes().to_vec().into()).send().await.unwrap();
    }
    s3.put_object().bucket(name).key("gone.csv").body(b"x".to_vec().into()).send().await.unwrap();
    s3.delete_object().bucket(name).key("gone.csv").send().await.unwrap();
    s3.create_multipart_upload().bucket(name).key("half.csv").send().await.unwrap();
    // What XML cannot tell, or tells otherwise, unless it is encoded.
    for key in ["line\n", " blank ", "one\u{1}two", "carriage\rreturn", "100%25+&<>\"'", "ü/😀"] {
        s3.put_object().bucket(name).key(key).body(b"x".to_vec().into()).send().await.unwrap();
    }
    for key in ["line\n", " blank ", "100%25+&<>\"'", "ü/😀"] {
        s3.create_multipart_upload().bucket(name).key(key).send().await.unwrap();
    }
    kind.delete(&bucket, &DeleteOptions::default()).await.unwrap();
    world.gone(kind, name).await;
    world.close().await;
}

#[tokio::test]
async fn a_bucket_that_is_not_for_staging_is_not_emptied() {
    let world = World::new().await;
    let bucket = world.make("s3/bucket", "archive", json!({ "name": "club-archive" })).await;
    let s3 = world.cloud.s3().await;
    s3.put_object().bucket("club-archive").key("a").body(b"x".to_vec().into()).send().await.unwrap();
    let options = DeleteOptions { force: true, ..DeleteOptions::default() };
    let fault = world.kind("s3/bucket").delete(&bucket, &options).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Invalid);
    assert!(s3.head_object().bucket("club-archive").key("a").send().await.is_ok());
    world.close().await;
}

#[tokio::test]
async fn a_bucket_with_rules_and_tags_of_others_keeps_them() {
    use aws_sdk_s3::types::{BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule};
    let world = World::new().await;
    let kind = world.kind("s3/bucket");
    let bucket = world.make("s3/bucket", "staging", json!({})).await;
    let theirs = LifecycleRule::builder()
        .id("theirs")
        .status(ExpirationStatus::Enabled)
        .filter(aws_sdk_s3::types::LifecycleRuleFilter::builder().prefix("tmp/").build())
        .expiration(LifecycleExpiration::builder().days(1).build())
        .build()
        .unwrap();
    let s3 = world.cloud.s3().await;
    let rules = BucketLifecycleConfiguration::builder().rules(theirs).build().unwrap();
    let put = s3.put_bucket_lifecycle_configuration().bucket(&bucket.identity).lifecycle_configuration(rules);
    put.send().await.unwrap();
    kind.update(&bucket, &json!({ "expire_days": 3 }), &["expire_days".to_owned()]).await.unwrap();
    let rules = s3.get_bucket_lifecycle_configuration().bucket(&bucket.identity).send().await.unwrap().rules.unwrap();
    let mut ids: Vec<&str> = rules.iter().filter_map(|rule| rule.id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["theirs", "towpath"]);
    world.close().await;
}

#[tokio::test]
async fn a_bucket_of_the_account_without_tags_is_not_taken_for_ours() {
    for region in ["eu-north-1", "us-east-1"] {
        let world = World::in_region(region).await;
        let kind = world.kind("s3/bucket");
        kind.create("dms-club-staging", &json!({}), &Tags::new()).await.unwrap();
        let owner =
            |stack: &str| Tags::from([(tag::STACK.into(), stack.into()), (tag::RESOURCE.into(), "staging".into())]);
        let fault = kind.create("dms-club-staging", &json!({}), &owner("club")).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::AlreadyExists, "{region}: {fault}");
        let left = world.find(kind, "dms-club-staging").await.unwrap();
        assert_eq!(left.tags, Some(Tags::new()), "{region}");
        // With our tags it is the one that an earlier call has made.
        kind.tag(&left, &owner("club")).await.unwrap();
        kind.create("dms-club-staging", &json!({}), &owner("club")).await.unwrap();
        assert_eq!(
            kind.create("dms-club-staging", &json!({}), &owner("other")).await.unwrap_err().class,
            FaultClass::AlreadyExists
        );
        world.close().await;
    }
}

#[tokio::test]
async fn groups_that_name_each_other_can_be_deleted() {
    let world = World::new().await;
    let kind = world.kind("ec2/security_group");
    let one = world.make("ec2/security_group", "one", json!({})).await;
    let from_one = json!({ "ingress": [{ "port": 5432, "from": one.identity }] });
    let other = world.make("ec2/security_group", "other", from_one).await;
    let from_other = json!({ "ingress": [{ "port": 5432, "from": other.identity }] });
    kind.update(&one, &from_other, &["ingress".to_owned()]).await.unwrap();

    let options = DeleteOptions::default();
    let fault = kind.delete(&one, &options).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Busy);
    assert_eq!(
        kind.holders(&one).await.unwrap(),
        [format!("a rule of security group {} (club-other)", other.identity)]
    );
    // The first try has taken the rule away by which `one` held `other`.
    kind.delete(&other, &options).await.unwrap();
    kind.delete(&one, &options).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_create_of_a_group_goes_on_where_it_stopped_and_makes_no_second_one() {
    let world = World::new().await;
    let kind = world.kind("ec2/security_group");
    let made = world.make("ec2/security_group", "pipeline_sg", json!({})).await;
    let whole = json!({ "ingress": [{ "port": 5439, "from": "self" }], "egress": [] });
    let again = world.make("ec2/security_group", "pipeline_sg", whole.clone()).await;
    assert_eq!(again.identity, made.identity);
    assert!(diff::compare(kind, &whole, &again.state, &Value::Null).is_empty());
    // Of another owner it is another group, whose name is taken.
    let tags = Tags::from([(tag::STACK.into(), "other".into()), (tag::RESOURCE.into(), "pipeline_sg".into())]);
    let fault = kind.create("club-pipeline-sg", &json!({}), &tags).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::AlreadyExists);
    world.close().await;
}

#[tokio::test]
async fn a_group_finds_its_vpc_by_tag() {
    let world = World::new().await;
    let kind = world.kind("ec2/security_group");
    // Found beside the cloud, which reads the VPCs once and would not see the new tag.
    let vpcs = world.cloud.ec2().await.describe_vpcs().send().await.unwrap();
    let vpc = vpcs.vpcs()[0].vpc_id().unwrap().to_owned();
    let named = aws_sdk_ec2::types::Tag::builder().key("Name").value("club").build();
    world.cloud.ec2().await.create_tags().resources(&vpc).tags(named).send().await.unwrap();
    let spec = json!({ "vpc": { "tag": { "Name": "club" } } });
    assert_eq!(world.looked_up(kind, &spec).await["vpc"], json!(vpc));
    let fault = kind.look_up(json!({ "vpc": { "tag": { "Name": "no such" } } })).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Invalid);
    world.close().await;
}

#[tokio::test]
async fn a_preset_role_is_completed_and_keeps_what_it_has() {
    let world = World::new().await;
    let kind = world.kind("iam/role");
    let iam = world.cloud.iam().await;
    let theirs = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": ["dms.amazonaws.com", "ec2.amazonaws.com"] } } });
    let role = "dms-access-for-endpoint";
    iam.create_role().role_name(role).assume_role_policy_document(theirs.to_string()).send().await.unwrap();
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess";
    iam.attach_role_policy().role_name(role).policy_arn(full).send().await.unwrap();

    let spec = json!({ "preset": role });
    let object = world.find(kind, role).await.unwrap();
    let changes = diff::compare(kind, &spec, &object.state, &Value::Null).changes;
    let before = changes[0].before.as_str().unwrap();
    assert!(before.contains("redshift-serverless.amazonaws.com") && before.contains("AmazonDMSRedshiftS3Role"));
    kind.update(&object, &spec, &["preset".to_owned()]).await.unwrap();

    let object = world.find(kind, role).await.unwrap();
    assert!(diff::compare(kind, &spec, &object.state, &Value::Null).is_empty(), "{:#}", object.state);
    assert!(object.state["policies"].as_array().unwrap().contains(&json!(full)));
    assert!(object.state["trust_policy"].to_string().contains("ec2.amazonaws.com"));
    world.close().await;
}

#[tokio::test]
async fn a_secret_made_again_is_restored_with_its_new_value() {
    let world = World::new().await;
    let kind = world.kind("secretsmanager/secret");
    let generated = json!({ "generate": { "length": 20 }, "recovery_days": 7 });
    let first = world.make("secretsmanager/secret", "login", generated).await;
    kind.delete(&first, &DeleteOptions::default()).await.unwrap();
    world.gone(kind, "club-login").await;

    let spec = json!({ "value": { "env": "SOURCE_PASSWORD" }, "description": "second" });
    let second = world.make("secretsmanager/secret", "login", spec.clone()).await;
    assert_eq!(second.outputs["arn"], first.outputs["arn"]);
    assert!(diff::compare(kind, &spec, &second.state, &Value::Null).is_empty());
    let client = world.cloud.secretsmanager().await;
    let value = client.get_secret_value().secret_id("club-login").send().await.unwrap();
    assert_eq!(value.secret_string(), Some("a-password-of-the-test"));
    assert!(!second.state.to_string().contains("a-password"));
    world.close().await;
}

#[tokio::test]
async fn a_bulk_read_costs_the_same_for_one_object_as_for_many() {
    let world = World::new().await;
    for name in ["one", "two", "three"] {
        world.make("ec2/security_group", name, json!({ "ingress": [{ "port": 1, "from": "self" }] })).await;
        world.make("secretsmanager/secret", name, json!({ "generate": { "length": 8 } })).await;
        let trust = json!({ "trust": { "services": ["dms.amazonaws.com"] } });
        world.make("iam/role", name, trust).await;
    }
    let before: u64 = world.cloud.calls().values().sum();
    for kind in ["ec2/security_group", "secretsmanager/secret", "iam/role"] {
        world.kind(kind).list(&towpath_engine::kind::Scope::All).await.unwrap();
    }
    assert_eq!(world.cloud.calls().values().sum::<u64>() - before, 4);
    world.close().await;
}

#[tokio::test]
async fn a_lease_has_one_holder_and_is_left_by_the_one_who_lost_it() {
    use std::sync::Arc;
    use towpath_aws::lease::{S3Lease, bucket_of};
    use towpath_engine::clock::Clock;
    use towpath_engine::lease::{Lease, LeaseError, LeaseStore, Terms, acquire};

    struct Still(chrono::DateTime<chrono::Utc>);
    #[async_trait::async_trait]
    impl Clock for Still {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            self.0
        }
        async fn sleep(&self, _duration: std::time::Duration) {}
    }

    let world = World::new().await;
    let bucket = bucket_of(&world.cloud.place());
    let own = S3Lease::new(world.cloud.clone(), &bucket, "club");
    assert!(!own.has_bucket().await.unwrap());
    assert!(matches!(own.read().await, Err(LeaseError::Store { .. })), "no bucket");
    own.make_bucket().await.unwrap();
    own.make_bucket().await.unwrap();
    assert!(own.has_bucket().await.unwrap());

    let store: Arc<dyn LeaseStore> = Arc::new(own);
    let clock = Still(chrono::DateTime::UNIX_EPOCH);
    let wanted = |run: &str| Lease::wanted(run, "ann", "desk", "apply");
    let first = acquire(&store, wanted("first"), &Terms::FREE, &clock).await.unwrap();
    let (held, version) = store.read().await.unwrap().unwrap();
    assert_eq!((held.run.as_str(), held.fencing), ("first", 1));
    assert!(!store.replace(Some(&held), None).await.unwrap(), "a lease is there already");
    let refused = acquire(&store, wanted("second"), &Terms::FREE, &clock).await.unwrap_err();
    assert!(matches!(refused, LeaseError::Held { held, .. } if held.run == "first"));

    let terms = Terms { take_over: true, ..Terms::FREE };
    let second = acquire(&store, wanted("second"), &terms, &clock).await.unwrap();
    assert!(!store.replace(None, Some(&version)).await.unwrap(), "the version is an old one");
    assert!(!first.may_change(&clock).await);
    first.release().await.unwrap();
    assert_eq!(store.read().await.unwrap().unwrap().0.fencing, 2);
    assert!(second.may_change(&clock).await);
    second.release().await.unwrap();
    assert!(store.read().await.unwrap().is_none());
    world.close().await;
}
