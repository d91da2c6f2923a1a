//! An interrupt while nothing is being changed ends the command at once: at a question, and while AWS is read.

use crate::env::{Running, TestEnvironment};
use crate::wire::Wire;

const CTRL_C: &str = "\u{3}";

#[test]
fn a_question_is_left_by_an_interrupt_and_the_stack_is_free_again() {
    let small = TestEnvironment::small();
    for signal in ["keys", "TERM"] {
        let mut run = Running::at_terminal(&small, &["apply"]);
        run.wait_for("Apply this plan? [y/N]").unwrap();
        let process = small.held_by();
        match signal {
            "keys" => run.press(CTRL_C),
            signal => crate::env::signal(process, signal),
        }
        assert!(run.wait_for("interrupted; nothing was done").is_some(), "{signal}");
        let (code, text) = run.end();
        assert_eq!(code, 130, "{signal}: {text}");
        assert!(!small.path().join(".towpath/small/lease.json").exists(), "{signal}: the stack is held");
    }
    small.expect(3, &["plan"]);
}

#[test]
fn reading_is_left_by_an_interrupt() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    for command in [&["plan"][..], &["apply", "--yes"], &["status"], &["doctor"], &["destroy", "--yes"]] {
        let mut run = wire.held_at("dms:DescribeReplicationInstances", &small, command);
        run.signal("INT");
        assert!(run.wait_for("interrupted while reading what is there").is_some(), "{command:?}");
        let (code, text) = run.end();
        assert_eq!(code, 130, "{command:?}: {text}");
    }
    assert_eq!(wire.changes(), Vec::<String>::new());
    small.expect(0, &["apply", "--yes"]);
    // The list of what is left is read when all is gone.
    let mut run = wire.held_at("logs:DescribeLogGroups", &small, &["down", "--yes"]);
    run.signal("INT");
    assert!(run.wait_for("interrupted while reading what is there").is_some());
    assert_eq!(run.end().0, 130);
    small.expect(0, &["down", "--yes"]);
}
