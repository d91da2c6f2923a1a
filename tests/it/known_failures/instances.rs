//! Replication instances: changes that wait for the maintenance window.

use serde_json::{Value, json};

use super::{STACK, first, steps, until};
use crate::env::TestEnvironment;
use crate::wire::Wire;

fn instance(wire: &Wire) -> Value {
    first(&wire.aws, "DescribeReplicationInstances", "ReplicationInstances")
}

#[test]
fn a_change_that_waits_for_the_window_is_scheduled_and_not_lost() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    small.edit(
        STACK,
        "    class: dms.t3.micro",
        "    apply: maintenance_window\n    maintenance_window: Fri:08:20-Fri:08:50\n    class: dms.t3.micro",
    );
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    small.edit(STACK, "class: dms.t3.micro", "class: dms.t3.small");
    small.expect(0, &["apply", "--yes"]);
    let sent = wire.of("dms:ModifyReplicationInstance")[0].json();
    assert_eq!((&sent["ApplyImmediately"], &sent["ReplicationInstanceClass"]), (&json!(false), &json!("dms.t3.small")));
    let live = instance(&wire);
    assert_eq!(live["ReplicationInstanceClass"], "dms.t3.micro");
    assert_eq!(live["PendingModifiedValues"], json!({"ReplicationInstanceClass": "dms.t3.small"}));
    // It is accepted, so nothing is left to do; when it takes effect is said.
    let plan = small.expect(0, &["plan"]);
    assert!(plan.stdout.contains("maintenance window, fri:08:20-fri:08:50 UTC"), "{}", plan.stdout);
    // Back to what is in force: the queued value would replace it, so it is taken back.
    small.edit(STACK, "class: dms.t3.small", "class: dms.t3.micro");
    assert_eq!(steps(&small, &["plan"]), ["update instance"]);
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(instance(&wire)["PendingModifiedValues"], json!({}));
    small.expect(0, &["plan"]);
    // Queued again, and put in force by somebody who applies another change at once.
    small.edit(STACK, "class: dms.t3.micro", "class: dms.t3.small");
    small.expect(0, &["apply", "--yes"]);
    let at_once = json!({
        "ReplicationInstanceArn": live["ReplicationInstanceArn"], "AutoMinorVersionUpgrade": false, "ApplyImmediately": true,
    });
    wire.aws.dms("ModifyReplicationInstance", &at_once).unwrap();
    until(|| instance(&wire)["ReplicationInstanceStatus"] == "available");
    assert_eq!(instance(&wire)["ReplicationInstanceClass"], "dms.t3.small");
    small.expect(0, &["plan"]);
    // Without `apply` a change is made at once, together with what was queued.
    small.edit(STACK, "    apply: maintenance_window\n", "");
    small.edit(STACK, "class: dms.t3.small", "class: dms.t3.medium");
    small.expect(0, &["apply", "--yes"]);
    let live = instance(&wire);
    assert_eq!(live["ReplicationInstanceClass"], "dms.t3.medium");
    assert_eq!(live["PendingModifiedValues"], json!({}));
    small.expect(0, &["plan"]);
}
