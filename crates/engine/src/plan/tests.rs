//! Plans as text: what the stack says and what happened since, and the steps that follow.

use super::*;
use crate::kind::tag;
use crate::testing::{Scene, block_on, destroy, show, stack};

const SHOP: &str = "
    net/network net range=10.0.0.0/16
    net/group web network=@net.id about=web ports=[80,443]
    iam/role dms_role shared=true trust={\"dms\":true}
    data/bucket staging versions=true
    pipe/instance main class=small zone=a groups=[@web.id]
    pipe/endpoint source host=db1 engine=postgres role=@dms_role.arn bucket=@staging.name
    house/namespace house database=club roles=[@dms_role.arn]
    house/workgroup wide namespace=@house.name capacity=8 port=5439 groups=[@web.id]
    house/limit cap workgroup=@wide.arn amount=10
    pipe/task load instance=@main.arn source=@source.arn mode=full
";

fn edited(edits: &[(&str, &str)]) -> crate::stack::Stack {
    let text = edits.iter().fold(SHOP.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "nothing to edit: {old}");
        text.replace(old, new)
    });
    stack(&text)
}

/// Applies the shop, lets `meanwhile` happen, and shows the plan for the edited shop.
fn planned(edits: &[(&str, &str)], options: &Options, meanwhile: impl Fn(&Scene)) -> String {
    block_on(async {
        let scene = Scene::new();
        scene.apply(&edited(&[]), &Options::default()).await;
        meanwhile(&scene);
        show(&scene.plan(&edited(edits), options).await.unwrap())
    })
}

fn runs(scene: &Scene) {
    scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = true);
}

fn options(change: impl Fn(&mut Options)) -> Options {
    let mut options = Options::default();
    change(&mut options);
    options
}

#[track_caller]
fn expect(name: &str, actual: &str, expected: &str) {
    let lines =
        |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let same = lines(actual) == lines(expected);
    assert!(same, "{name}\n@@begin {name}\n{actual}@@end\nexpected:\n{expected}");
}

#[test]
fn everything_is_made_after_what_it_needs_and_nothing_after_that() {
    block_on(async {
        let scene = Scene::new();
        let plan = scene.plan(&edited(&[]), &Options::default()).await.unwrap();
        expect(
            "create",
            &show(&plan),
            r#"
        0 + net/network.net (declared) | range: nothing -> 10.0.0.0/16
        1 + net/group.web (declared) after 0 | network: nothing -> @net.id | about: nothing -> web | ports: nothing -> [80,443]
        2 + iam/role.dms_role (declared) | shared: nothing -> true | trust: nothing -> {"dms":true}
        3 + data/bucket.staging (declared) | versions: nothing -> true
        4 + pipe/instance.main (declared) after 1 | class: nothing -> small | zone: nothing -> a | groups: nothing -> [@web.id]
        5 + pipe/endpoint.source (declared) after 2,3 | host: nothing -> db1 | engine: nothing -> postgres | role: nothing -> arn:fake:iam:role:dms-role | bucket: nothing -> shop-staging
        6 + house/namespace.house (declared) after 2 | database: nothing -> club | roles: nothing -> [arn:fake:iam:role:dms-role]
        7 + house/workgroup.wide (declared) after 1,6 | namespace: nothing -> shop-house | capacity: nothing -> 8 | port: nothing -> 5439 | groups: nothing -> [@web.id]
        8 + house/limit.cap (declared) after 7 | workgroup: nothing -> arn:fake:house:workgroup:shop-wide | amount: nothing -> 10
        9 + pipe/task.load (declared) after 4,5 | instance: nothing -> arn:fake:pipe:instance:shop-main | source: nothing -> arn:fake:pipe:endpoint:shop-source | mode: nothing -> full
    "#,
        );
        scene.apply(&edited(&[]), &Options::default()).await;
        let again = scene.plan(&edited(&[]), &Options::default()).await.unwrap();
        assert_eq!(show(&again), "");
        assert_eq!(again.unchanged.len(), 10);
    });
}

#[test]
fn one_parameter_per_update_where_the_service_wants_that() {
    let text = planned(&[("capacity=8 port=5439", "capacity=16 port=5440")], &Options::default(), |_| {});
    expect(
        "groups",
        &text,
        r"
        0 ~ house/workgroup.wide/capacity (differs) | capacity: 8 -> 16
        1 ~ house/workgroup.wide/port (differs) after 0 | port: 5439 -> 5440
    ",
    );
}

#[test]
fn what_holds_a_replaced_object_is_made_again_with_it() {
    let text = planned(&[("zone=a", "zone=b")], &Options::default(), runs);
    expect(
        "cascade",
        &text,
        r"
        0 ‖ pipe/task.load (replaced)
        1 - pipe/task.load (replaced) after 0
        2 - pipe/instance.main (replaced) after 1
        3 + pipe/instance.main (replaced) after 2 | zone: a -> b [CreateInstance only]
        4 + pipe/task.load (replaced) after 1,3 | instance: arn:fake:pipe:instance:shop-main -> arn:fake:pipe:instance:shop-main [`main` is made again and cannot be deleted while this refers to it]
        note pipe/task.load: its running work is stopped first
    ",
    );
}

#[test]
fn a_new_group_is_a_new_id_for_all_who_use_it() {
    let text = planned(&[("about=web", "about=shop")], &Options::default(), |_| {});
    expect(
        "assigned",
        &text,
        r"
        0 - house/limit.cap (replaced)
        1 - house/workgroup.wide (replaced) after 0
        2 - pipe/task.load (replaced)
        3 - pipe/instance.main (replaced) after 2
        4 - net/group.web (replaced) after 1,3
        5 + net/group.web (replaced) after 4 | about: web -> shop [a description is for ever]
        6 + pipe/instance.main (replaced) after 3,5 | groups: [group-0005] -> [@web.id] [`web` is made again and cannot be deleted while this refers to it]
        7 + house/workgroup.wide (replaced) after 1,5 | groups: [group-0005] -> [@web.id] [`web` is made again and cannot be deleted while this refers to it]
        8 + house/limit.cap (replaced) after 0,7 | workgroup: arn:fake:house:workgroup:shop-wide -> arn:fake:house:workgroup:shop-wide [`wide` is made again and cannot be deleted while this refers to it]
        9 + pipe/task.load (replaced) after 2,6 | instance: arn:fake:pipe:instance:shop-main -> arn:fake:pipe:instance:shop-main [`main` is made again and cannot be deleted while this refers to it]
    ",
    );
}

#[test]
fn what_nothing_may_refer_to_while_it_is_changed_is_changed_between_two_lives_of_what_does() {
    let text = "
        plan/address here host=db1
        plan/address there host=db1
        plan/address else host=db1
        plan/project move from=@here.arn to=@there.arn about=boats
    ";
    let planned = |edits: &[(&str, &str)], options: &Options| {
        block_on(async {
            let scene = Scene::new();
            scene.apply(&stack(text), &Options::default()).await;
            let text = edits.iter().fold(text.to_owned(), |text, (old, new)| text.replacen(old, new, 1));
            let plan = scene.plan(&stack(&text), options).await.unwrap();
            (show(&plan), scene.attempt(&stack(&text), options).await)
        })
    };
    let changed = [("here host=db1", "here host=db2")];
    let (plan, summary) = planned(&changed, &Options::default());
    expect(
        "used",
        &plan,
        r"
        0 - plan/project.move (replaced)
        1 ~ plan/address.here (differs) after 0 | host: db1 -> db2
        2 + plan/project.move (replaced) after 0,1 | from: arn:fake:plan:address:shop-here -> arn:fake:plan:address:shop-here [`here` cannot be changed while this refers to it]
        ",
    );
    assert!(summary.is_some_and(|summary| summary.is_complete()));

    let let_go = [("here host=db1", "here host=db2"), ("from=@here.arn", "from=@else.arn")];
    let (plan, summary) = planned(&let_go, &Options::default());
    expect(
        "let go",
        &plan,
        r"
        0 ~ plan/project.move (differs) | from: arn:fake:plan:address:shop-here -> arn:fake:plan:address:shop-else
        1 ~ plan/address.here (differs) after 0 | host: db1 -> db2
        ",
    );
    assert!(summary.is_some_and(|summary| summary.is_complete()));

    let gone = [("here host=db1", "here host=db2"), ("plan/project move from=@here.arn to=@there.arn about=boats", "")];
    let (plan, summary) = planned(&gone, &Options::default());
    expect(
        "gone",
        &plan,
        "0 - plan/project.move (removed)\n1 ~ plan/address.here (differs) after 0 | host: db1 -> db2",
    );
    assert!(summary.is_some_and(|summary| summary.is_complete()));

    let alone = options(|options| options.targets = vec!["here".to_owned()]);
    let (plan, _) = planned(&changed, &alone);
    assert!(plan.contains("`here` cannot be changed while this refers to it; add it to the targets"), "{plan}");
}

#[test]
fn work_stands_still_around_a_change_of_what_it_uses() {
    let text = planned(&[("host=db1", "host=db2"), ("mode=full", "mode=cdc")], &Options::default(), runs);
    expect(
        "pause",
        &text,
        r"
        0 ‖ pipe/task.load (differs)
        1 ~ pipe/endpoint.source (differs) after 0 | host: db1 -> db2
        2 ~ pipe/task.load (differs) after 0,1 | mode: full -> cdc
        3 ▸ pipe/task.load (for 0) after 0,1,2
    ",
    );
}

#[test]
fn what_does_not_run_is_not_stopped() {
    let text = planned(&[("host=db1", "host=db2"), ("mode=full", "position=7")], &Options::default(), |_| {});
    expect(
        "idle",
        &text,
        r"
        0 ~ pipe/endpoint.source (differs) | host: db1 -> db2
        1 ~ pipe/task.load (differs) after 0 | position: nothing -> 7 | loses the position in the log
    ",
    );
}

#[test]
fn what_is_gone_from_the_stack_is_deleted_after_its_users() {
    let text = planned(
        &[
            ("pipe/task load instance=@main.arn source=@source.arn mode=full", ""),
            ("pipe/instance main class=small zone=a groups=[@web.id]", ""),
            ("groups=[@web.id]", "groups=[]"),
            ("net/group web network=@net.id about=web ports=[80,443]", ""),
        ],
        &Options::default(),
        runs,
    );
    expect(
        "removed",
        &text,
        r"
        0 ‖ pipe/task.load (removed)
        1 - pipe/task.load (removed) after 0
        2 - pipe/instance.main (removed) after 1
        3 ~ house/workgroup.wide/groups (differs) | groups: [group-0005] -> []
        4 - net/group.web (removed) after 2,3
        note pipe/task.load: its running work is stopped first
    ",
    );
}

#[test]
fn a_move_is_a_tag() {
    let moved = [("pipe/instance main", "moved main engine\n pipe/instance engine"), ("@main.arn", "@engine.arn")];
    let text = planned(&moved, &Options::default(), |_| {});
    expect(
        "moved",
        &text,
        r"
        0 = pipe/instance.engine (differs) | tags.towpath:resource: main -> engine
    ",
    );
}

#[test]
fn an_object_whose_resource_is_gone_belongs_to_the_one_that_has_its_name() {
    let other = |scene: &Scene| {
        scene.cloud.tamper("pipe/instance", "shop-main", |_, tags, _| {
            tags.insert(tag::RESOURCE.to_owned(), "engine".to_owned());
        });
    };
    expect(
        "renamed back",
        &planned(&[], &Options::default(), other),
        "0 = pipe/instance.main (differs) | tags.towpath:resource: engine -> main",
    );
    let everything = planned(&[], &destroy(&["staging", "house"]), other);
    assert!(everything.contains("- pipe/instance.main (destroyed)"), "{everything}");
    // One that is declared keeps its own.
    let declared = [("pipe/instance main", "pipe/instance engine class=small zone=a\n pipe/instance main")];
    let plan = planned(&declared, &Options::default(), other);
    let both = "refused pipe/instance.main: `shop-main` is the object of `engine`; give one of the two another `name`";
    assert!(plan.contains(both), "{plan}");
}

#[test]
fn a_foreign_object_is_left_alone_until_it_is_adopted() {
    let foreign = |scene: &Scene| {
        scene.cloud.tamper("pipe/instance", "shop-main", |state, tags, _| {
            tags.clear();
            state.insert("class".to_owned(), serde_json::json!("large"));
        });
        scene.cloud.tamper("pipe/endpoint", "shop-source", |_, tags, _| {
            tags.insert(tag::STACK.to_owned(), "other".to_owned());
        });
    };
    expect(
        "foreign",
        &planned(&[], &Options::default(), foreign),
        r"
        foreign pipe/instance.main: `shop-main` of nobody known
        foreign pipe/endpoint.source: `shop-source` of resource `source` of stack `other`
    ",
    );
    let adopt = options(|options| options.adopt = vec!["main".to_owned(), "source".to_owned()]);
    expect(
        "adopt",
        &planned(&[], &adopt, foreign),
        r"
        0 = pipe/instance.main (asked) | tags.towpath:resource: nothing -> main | tags.towpath:stack: nothing -> shop
        1 ~ pipe/instance.main (differs) after 0 | class: large -> small
        2 = pipe/endpoint.source (asked) | tags.towpath:stack: other -> shop
    ",
    );
    let excluded = options(|options| options.excludes = vec!["main".to_owned(), "source".to_owned()]);
    expect("excluded", &planned(&[], &excluded, foreign), "");
}

#[test]
fn an_account_wide_object_is_completed_shared_and_given_free() {
    block_on(async {
        let scene = Scene::new();
        let tags = crate::kind::Tags::from([("towpath:used-by:other".to_owned(), "in-use".to_owned())]);
        scene.cloud.plant("iam/role", "dms-role", &serde_json::json!({"trust": {"dms": false, "ec2": true}}), &tags);
        let role = stack("iam/role dms_role shared=true trust={\"dms\":true}");
        let plan = scene.plan(&role, &Options::default()).await.unwrap();
        expect(
            "shared",
            &show(&plan),
            r#"
        0 = iam/role.dms_role (differs) | tags.towpath:used-by:shop: nothing -> in-use
        1 ~ iam/role.dms_role (differs) after 0 | trust: {"dms":false} -> {"dms":true}
    "#,
        );
        scene.apply(&role, &Options::default()).await;
        let gone = scene.plan(&stack(""), &Options::default()).await.unwrap();
        expect(
            "unused",
            &show(&gone),
            r"
        0 = iam/role.dms-role (removed) | tags.towpath:used-by:shop: in-use -> released
    ",
        );
        let kept = scene.plan(&role, &destroy(&[])).await.unwrap();
        expect(
            "kept",
            &show(&kept),
            r"
        0 = iam/role.dms_role (destroyed) | tags.towpath:used-by:shop: in-use -> released
        kept iam/role.dms_role: `dms-role` belongs to the whole account
    ",
        );
        let all = Options { include_shared: true, ..destroy(&[]) };
        let used = scene.plan(&role, &all).await.unwrap();
        expect(
            "used",
            &show(&used),
            r"
        0 = iam/role.dms_role (destroyed) | tags.towpath:used-by:shop: in-use -> released
        kept iam/role.dms_role: `dms-role` is used by stack `other`
    ",
        );
        scene.cloud.tamper("iam/role", "dms-role", |_, tags, _| {
            tags.insert("towpath:used-by:other".to_owned(), "released".to_owned());
        });
        let last = scene.plan(&role, &all).await.unwrap();
        expect(
            "last",
            &show(&last),
            r"
        0 - iam/role.dms_role (destroyed)
    ",
        );
        let broken = stack("iam/role dms_role shared=true path=elsewhere");
        let refused = scene.plan(&broken, &Options::default()).await.unwrap();
        expect(
            "shared-refused",
            &show(&refused),
            r"
        refused iam/role.dms_role: `dms-role` belongs to the whole account and is not made again
    ",
        );
        assert!(!refused.is_allowed());
    });
}

#[test]
fn data_is_lost_only_with_leave_and_a_last_snapshot_is_in_the_plan() {
    let edits = [("database=club", "database=shop")];
    expect(
        "protected",
        &planned(&edits, &Options::default(), |_| {}),
        r"
        0 - house/limit.cap (replaced)
        1 - house/workgroup.wide (replaced) after 0
        2 - house/namespace.house (replaced) after 1 | loses all tables of the warehouse, without a final snapshot
        3 + house/namespace.house (replaced) after 2 | database: club -> shop [CreateNamespace only]
        4 + house/workgroup.wide (replaced) after 1,3 | namespace: shop-house -> shop-house [`house` is made again and cannot be deleted while this refers to it]
        5 + house/limit.cap (replaced) after 0,4 | workgroup: arn:fake:house:workgroup:shop-wide -> arn:fake:house:workgroup:shop-wide [`wide` is made again and cannot be deleted while this refers to it]
        refused house/namespace.house: deleting `shop-house` would lose all tables of the warehouse
    ",
    );
    let leave = options(|options| {
        options.allow_data_loss = vec!["house".to_owned()];
        options.final_snapshots.insert("house".to_owned(), "before-shop".to_owned());
    });
    expect(
        "leave",
        &planned(&edits, &leave, |_| {}),
        r"
        0 - house/limit.cap (replaced)
        1 - house/workgroup.wide (replaced) after 0
        2 - house/namespace.house (replaced) after 1 | loses all tables of the warehouse, save for the snapshot `before-shop` | snapshot before-shop
        3 + house/namespace.house (replaced) after 2 | database: club -> shop [CreateNamespace only]
        4 + house/workgroup.wide (replaced) after 1,3 | namespace: shop-house -> shop-house [`house` is made again and cannot be deleted while this refers to it]
        5 + house/limit.cap (replaced) after 0,4 | workgroup: arn:fake:house:workgroup:shop-wide -> arn:fake:house:workgroup:shop-wide [`wide` is made again and cannot be deleted while this refers to it]
    ",
    );
    let declared = [
        ("versions=true", "versions=true place=elsewhere !unprotect"),
        ("groups=[@web.id]\n    pipe", "zone=z groups=[@web.id] !protect\n    pipe"),
    ];
    expect(
        "declared",
        &planned(&declared, &Options::default(), |_| {}),
        r"
        0 - data/bucket.staging (replaced) | loses all objects of the bucket
        1 - pipe/task.load (replaced)
        2 - pipe/instance.main (replaced) after 1
        3 + data/bucket.staging (replaced) after 0 | place: nothing -> elsewhere [a bucket stays where it is]
        4 + pipe/instance.main (replaced) after 2 | zone: a -> z [CreateInstance only]
        5 + pipe/task.load (replaced) after 1,4 | instance: arn:fake:pipe:instance:shop-main -> arn:fake:pipe:instance:shop-main [`main` is made again and cannot be deleted while this refers to it]
        refused pipe/instance.main: deleting `shop-main` would lose an object marked `protect: true`
    ",
    );
}

#[test]
fn a_broken_object_is_made_again_and_a_leaving_one_is_waited_for() {
    let text = planned(&[], &Options::default(), |scene| scene.cloud.break_down("pipe/endpoint", "shop-source"));
    expect(
        "broken",
        &text,
        r"
        0 - pipe/task.load (replaced)
        1 - pipe/endpoint.source (broken) after 0
        2 + pipe/endpoint.source (broken) after 1 | host: nothing -> db1 | engine: nothing -> postgres | role: nothing -> arn:fake:iam:role:dms-role | bucket: nothing -> shop-staging
        3 + pipe/task.load (replaced) after 0,2 | source: arn:fake:pipe:endpoint:shop-source -> arn:fake:pipe:endpoint:shop-source [`source` is made again and cannot be deleted while this refers to it]
    ",
    );
}

#[test]
fn what_an_earlier_run_left_half_way_is_waited_for() {
    block_on(async {
        let scene = Scene::new();
        let shop = edited(&[]);
        let other = Scene::new();
        other.apply(&shop, &Options::default()).await;
        let create = other.cloud.calls().iter().position(|call| call.starts_with("create house/workgroup")).unwrap();
        scene.cloud.trouble(create, crate::testing::Trouble::CrashAfter);
        assert!(scene.attempt(&shop, &Options::default()).await.is_none());
        scene.restart();
        let plan = scene.plan(&shop, &Options::default()).await.unwrap();
        expect(
            "wait",
            &show(&plan),
            r"
        0 … pipe/instance.main (declared)
        1 … house/workgroup.wide (declared)
        2 + house/limit.cap (declared) after 1 | workgroup: nothing -> arn:fake:house:workgroup:shop-wide | amount: nothing -> 10
        3 + pipe/task.load (declared) after 0 | instance: nothing -> arn:fake:pipe:instance:shop-main | source: nothing -> arn:fake:pipe:endpoint:shop-source | mode: nothing -> full
    ",
        );
        scene.apply(&shop, &Options::default()).await;
        assert!(scene.plan(&shop, &Options::default()).await.unwrap().is_empty());
    });
}

#[test]
fn targets_take_their_needs_along_and_excludes_their_users() {
    let edits = [("class=small", "class=large"), ("host=db1", "host=db2"), ("capacity=8", "capacity=16")];
    let target = options(|options| options.targets = vec!["load".to_owned()]);
    expect(
        "target",
        &planned(&edits, &target, |_| {}),
        r"
        0 ~ pipe/instance.main (differs) | class: small -> large
        1 ~ pipe/endpoint.source (differs) | host: db1 -> db2
    ",
    );
    let exclude = options(|options| options.excludes = vec!["source".to_owned()]);
    expect(
        "exclude",
        &planned(&edits, &exclude, |_| {}),
        r"
        0 ~ pipe/instance.main (differs) | class: small -> large
        1 ~ house/workgroup.wide/capacity (differs) | capacity: 8 -> 16
    ",
    );
    let replace = options(|options| options.replace = vec!["source".to_owned()]);
    expect(
        "replace",
        &planned(&[], &replace, |_| {}),
        r"
        0 - pipe/task.load (replaced)
        1 - pipe/endpoint.source (asked) after 0
        2 + pipe/endpoint.source (asked) after 1 | host: nothing -> db1 | engine: nothing -> postgres | role: nothing -> arn:fake:iam:role:dms-role | bucket: nothing -> shop-staging
        3 + pipe/task.load (replaced) after 0,2 | source: arn:fake:pipe:endpoint:shop-source -> arn:fake:pipe:endpoint:shop-source [`source` is made again and cannot be deleted while this refers to it]
    ",
    );
    let alone = options(|options| {
        options.replace = vec!["source".to_owned()];
        options.targets = vec!["source".to_owned()];
    });
    expect(
        "alone",
        &planned(&[], &alone, |_| {}),
        r"
        0 - pipe/endpoint.source (asked)
        1 + pipe/endpoint.source (asked) after 0 | host: nothing -> db1 | engine: nothing -> postgres | role: nothing -> arn:fake:iam:role:dms-role | bucket: nothing -> shop-staging
        refused pipe/task.load: `source` is made again and cannot be deleted while this refers to it; add it to the targets
    ",
    );
}

#[test]
fn destroy_goes_backwards_and_asks_for_leave() {
    expect(
        "destroy",
        &planned(&[], &destroy(&["house", "staging"]), runs),
        r"
        0 ‖ pipe/task.load (destroyed)
        1 - house/limit.cap (destroyed)
        2 - house/workgroup.wide (destroyed) after 1
        3 - house/namespace.house (destroyed) after 2 | loses all tables of the warehouse, without a final snapshot
        4 - pipe/task.load (destroyed) after 0
        5 - pipe/instance.main (destroyed) after 4
        6 - net/group.web (destroyed) after 2,5
        7 - net/network.net (destroyed) after 6
        8 - pipe/endpoint.source (destroyed) after 4
        9 - data/bucket.staging (destroyed) after 8 | loses all objects of the bucket
        10 = iam/role.dms_role (destroyed) after 3,8 | tags.towpath:used-by:shop: in-use -> released
        kept iam/role.dms_role: `dms-role` belongs to the whole account
        note pipe/task.load: its running work is stopped first
    ",
    );
    expect(
        "destroy-protected",
        &planned(&[], &destroy(&["house"]), |_| {}),
        r"
        0 - house/limit.cap (destroyed)
        1 - house/workgroup.wide (destroyed) after 0
        2 - house/namespace.house (destroyed) after 1 | loses all tables of the warehouse, without a final snapshot
        3 - pipe/task.load (destroyed)
        4 - pipe/instance.main (destroyed) after 3
        5 - net/group.web (destroyed) after 1,4
        6 - net/network.net (destroyed) after 5
        7 - pipe/endpoint.source (destroyed) after 3
        8 - data/bucket.staging (destroyed) after 7 | loses all objects of the bucket
        9 = iam/role.dms_role (destroyed) after 2,7 | tags.towpath:used-by:shop: in-use -> released
        refused data/bucket.staging: deleting `shop-staging` would lose all objects of the bucket
        kept iam/role.dms_role: `dms-role` belongs to the whole account
    ",
    );
    let some = Options { targets: vec!["main".to_owned()], ..destroy(&[]) };
    expect(
        "destroy-target",
        &planned(&[], &some, |_| {}),
        r"
        0 - pipe/task.load (destroyed)
        1 - pipe/instance.main (destroyed) after 0
    ",
    );
}

#[test]
fn expiry_is_written_when_missing_passed_or_taken_back() {
    block_on(async {
        use crate::clock::Clock;
        let scene = Scene::new();
        let text = "expires 3600\n pipe/endpoint one host=a";
        let at = |seconds: i64| {
            options(|options| options.expires_at = Some(scene.clock.now() + chrono::Duration::seconds(seconds)))
        };
        scene.apply(&stack(text), &at(3600)).await;
        scene.clock.sleep(std::time::Duration::from_mins(10)).await;
        expect("expiry-same", &show(&scene.plan(&stack(text), &at(3600)).await.unwrap()), "");
        let cut = stack("expires 60\n pipe/endpoint one host=a");
        assert_eq!(scene.plan(&cut, &at(60)).await.unwrap().steps.len(), 1, "a shorter life");
        scene.clock.sleep(std::time::Duration::from_hours(1)).await;
        assert_eq!(scene.plan(&stack(text), &at(3600)).await.unwrap().steps.len(), 1, "it has passed");
        let forever = stack("pipe/endpoint one host=a");
        expect(
            "expiry-never",
            &show(&scene.plan(&forever, &Options::default()).await.unwrap()),
            r"
        0 = pipe/endpoint.one (differs) | tags.towpath:expires: 2026-01-01T01:00:00Z -> never
    ",
        );
        scene.apply(&forever, &Options::default()).await;
        assert!(scene.plan(&forever, &Options::default()).await.unwrap().is_empty());
    });
}

#[test]
fn drift_is_told_field_by_field_against_what_is_there() {
    block_on(async {
        let scene = Scene::new();
        scene.apply(&edited(&[]), &Options::default()).await;
        scene.cloud.tamper("pipe/instance", "shop-main", |state, tags, _| {
            state.insert("zone".to_owned(), serde_json::json!("c"));
            tags.remove(tag::RESOURCE);
            tags.insert(tag::RESOURCE.to_owned(), "main".to_owned());
        });
        scene.cloud.tamper("house/workgroup", "shop-wide", |state, _, _| {
            state.insert("capacity".to_owned(), serde_json::json!(32));
        });
        let tagged = stack(&format!("tag team data\n{SHOP}"));
        let retry = crate::apply::retry::Retry::new(&scene.clock, 1);
        let observation = crate::observe::observe(&tagged, &scene.registry, &[], &retry).await.unwrap();
        let input = BuildInput {
            stack: &tagged,
            observation: &observation,
            registry: &scene.registry,
            place: &scene.place,
            options: &Options::default(),
            replay: &crate::journal::Replay::default(),
            version: "0.0.0",
        };
        let text: Vec<String> = drift(&input)
            .iter()
            .flat_map(|(address, changes)| {
                changes
                    .iter()
                    .map(move |change| format!("{address} {}: {} -> {}", change.path, change.before, change.after))
            })
            .filter(|line| !line.contains("tags.") || line.starts_with("pipe/instance"))
            .collect();
        expect(
            "drift",
            &text.join("\n"),
            r#"
        pipe/instance.main zone: "c" -> "a"
        pipe/instance.main tags.team: null -> "data"
        house/workgroup.wide capacity: 32 -> 8
    "#,
        );
    });
}

#[test]
fn a_saved_plan_names_what_changed_since() {
    block_on(async {
        let scene = Scene::new();
        scene.apply(&edited(&[]), &Options::default()).await;
        let wanted =
            edited(&[("class=small", "class=large"), ("pipe/task load", "pipe/endpoint new host=x\n pipe/task load")]);
        let retry = crate::apply::retry::Retry::new(&scene.clock, 1);
        let look = async || crate::observe::observe(&wanted, &scene.registry, &[], &retry).await.unwrap();
        let observation = look().await;
        let input = BuildInput {
            stack: &wanted,
            observation: &observation,
            registry: &scene.registry,
            place: &scene.place,
            options: &Options::default(),
            replay: &crate::journal::Replay::default(),
            version: "0.0.0",
        };
        let saved = saved::Saved::new(build(&input), &input, chrono::DateTime::UNIX_EPOCH);
        let saved = saved::Saved::read(&saved.write()).unwrap();
        let unfit = |stack: &crate::stack::Stack, replay: &crate::journal::Replay| {
            saved.unfit(stack, &scene.place, "0.0.0", &scene.registry, replay)
        };
        assert_eq!(unfit(&wanted, &crate::journal::Replay::default()), [""; 0]);
        assert_eq!(saved.changed_since(&look().await), [""; 0]);
        scene.cloud.plant("pipe/endpoint", "shop-new", &serde_json::json!({}), &crate::kind::Tags::new());
        scene.cloud.vanish("pipe/instance", "shop-main");
        scene.cloud.tamper("pipe/task", "shop-load", |state, _, running| {
            state["mode"] = serde_json::json!("cdc");
            *running = true;
        });
        assert_eq!(
            saved.changed_since(&look().await),
            [
                "pipe/task.load: `mode` was `full`, is `cdc`",
                "pipe/task.load: `shop-load` runs now",
                "pipe/instance.main: `shop-main` is gone",
                "pipe/endpoint.new: `shop-new` exists now",
            ]
        );
        let applied = crate::journal::Replay {
            applied: [(saved.checksum.clone(), chrono::DateTime::UNIX_EPOCH)].into(),
            ..Default::default()
        };
        assert_eq!(unfit(&wanted, &applied), ["it was applied already, at 1970-01-01T00:00:00Z"]);
        assert_eq!(
            unfit(&edited(&[("class=small", "class=large")]), &crate::journal::Replay::default()),
            [
                "the stack file: `resources.new` was `{\"depends_on\":[],\"ignore\":[],\"kind\":\"pipe/endpoint\",\"protect…`, is not there"
            ]
        );
    });
}

/// The lines about the room that lies in the house.
fn room(edits: &[(&str, &str)], options: &Options) -> Vec<String> {
    let with_room = [&[("house/limit", "house/room hall workgroup=@wide.arn\n    house/limit")], edits].concat();
    let shown = block_on(async {
        let scene = Scene::new();
        scene.apply(&edited(&with_room[..1]), &Options::default()).await;
        show(&scene.plan(&edited(&with_room), options).await.unwrap())
    });
    shown.lines().filter(|line| line.contains("house/room")).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn what_lies_in_another_object_goes_with_it_and_only_with_it() {
    let gone = "note house/room.hall: it goes with `shop-house`, in which it lies";
    assert_eq!(room(&[], &destroy(&["house", "staging", "hall"])), [gone]);
    let protected = room(&[], &destroy(&["house", "staging"]));
    assert!(protected.iter().any(|line| line.contains("would lose all that is in the room")), "{protected:?}");
    // What it is reached through may be made anew under it.
    let lose = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let other = options(|options| options.replace = lose(&["wide"]));
    assert_eq!(room(&[], &other), [""; 0]);
    // In a house that is made anew it is made anew, and the old one needs no step.
    let anew = options(|options| options.allow_data_loss = lose(&["house", "hall"]));
    let lines = room(&[("database=club", "database=boats")], &anew);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("+ house/room.hall (replaced)") && lines[1] == gone, "{lines:?}");
    // Alone it has a step of its own.
    let alone = room(
        &[("house/room hall workgroup=@wide.arn", "net/group yard network=@net.id")],
        &options(|options| options.allow_data_loss = lose(&["hall"])),
    );
    assert!(alone[0].contains("- house/room.hall (removed)"), "{alone:?}");
}

#[test]
fn what_a_service_manages_is_neither_changed_nor_deleted_and_what_it_uses_stays() {
    let manages = |scene: &Scene| {
        scene.cloud.tamper("pipe/endpoint", "shop-source", |state, _, _| {
            state.insert("managed".to_owned(), serde_json::json!(true));
        });
    };
    block_on(async {
        let scene = Scene::new();
        scene.apply(&edited(&[]), &Options::default()).await;
        manages(&scene);
        assert_eq!(show(&scene.plan(&edited(&[]), &Options::default()).await.unwrap()), "");
        let changed = scene.plan(&edited(&[("host=db1", "host=db2")]), &Options::default()).await.unwrap();
        assert!(
            changed
                .refused
                .iter()
                .any(|note| note.text.contains("managed by a service") && note.text.contains("`host`"))
        );
        let plan = scene.plan(&edited(&[]), &destroy(&[])).await.unwrap();
        assert!(plan.refused.iter().all(|note| note.address.name != "staging"), "what stays loses nothing");
        let kept: Vec<(&str, &str)> =
            plan.kept.iter().map(|note| (note.address.name.as_str(), note.text.as_str())).collect();
        for (name, text) in [
            ("source", "managed by a service, through which alone it can be deleted"),
            ("staging", "is used by `shop-source`"),
        ] {
            assert!(kept.iter().any(|(own, said)| *own == name && said.contains(text)), "{name}: {kept:?}");
        }
        let deleted: Vec<&str> = plan.steps.iter().map(|step| step.address.name.as_str()).collect();
        assert!(!deleted.contains(&"source") && !deleted.contains(&"staging"), "{deleted:?}");
        assert!(deleted.contains(&"load") && deleted.contains(&"main"), "{deleted:?}");
    });
}

#[test]
fn what_others_hold_stays_with_what_it_uses_and_is_not_made_again() {
    let theirs = |scene: &Scene| {
        scene.cloud.tamper("pipe/task", "shop-load", |_, tags, _| {
            tags.insert(tag::STACK.to_owned(), "other".to_owned());
        });
    };
    // The task of another stack works on the instance and reads the endpoint of this one.
    let without_task = "    pipe/task load instance=@main.arn source=@source.arn mode=full\n";
    let holder =
        "`shop-main` cannot be deleted while it is used by pipe/task `shop-load` (resource `load` of stack `other`)";
    block_on(async {
        let scene = Scene::new();
        scene.apply(&edited(&[]), &Options::default()).await;
        theirs(&scene);
        let mine = edited(&[(without_task, "")]);
        let plan = scene.plan(&mine, &destroy(&["staging", "house"])).await.unwrap();
        let kept = |name: &str| plan.kept.iter().find(|note| note.address.name == name).map(|note| note.text.as_str());
        assert_eq!(kept("main"), Some(holder));
        let deleted: Vec<&str> = plan.steps.iter().map(|step| step.address.name.as_str()).collect();
        for stays in ["main", "source", "web", "net", "staging"] {
            assert!(kept(stays).is_some() && !deleted.contains(&stays), "{stays}: {:?}, {deleted:?}", plan.kept);
        }
        for goes in ["house", "wide", "cap"] {
            assert!(deleted.contains(&goes), "{goes}: {deleted:?}");
        }
        assert_eq!(plan.refused, [], "what stays loses nothing");

        // Neither does the plan make it again under them; what may change in place does.
        let again = edited(&[(without_task, ""), ("zone=a", "zone=b"), ("host=db1", "host=db2")]);
        let plan = scene.plan(&again, &Options::default()).await.unwrap();
        let refused: Vec<String> = plan.refused.iter().map(|note| format!("{}: {}", note.address, note.text)).collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with("pipe/instance.main: `shop-main` cannot be made again while it is used by"));
        assert!(refused[0].ends_with("--exclude main"), "{refused:?}");
        assert!(holding(&plan, &scene.registry).contains("pipe/task"));

        // Once it is on its way out it holds nothing.
        scene.cloud.vanish("pipe/task", "shop-load");
        let plan = scene.plan(&mine, &destroy(&["staging", "house"])).await.unwrap();
        assert!(plan.kept.iter().all(|note| note.address.kind == "iam/role"), "{:?}", plan.kept);
    });
}

#[test]
fn what_is_left_out_keeps_what_its_object_uses() {
    let edits = [("pipe/endpoint source", "pipe/endpoint origin"), ("@source.arn", "@origin.arn")];
    let exclude = options(|options| options.excludes = vec!["load".to_owned()]);
    expect(
        "an endpoint that is no longer declared and has its task still",
        &planned(&edits, &exclude, |_| {}),
        "
        0 + pipe/endpoint.origin (declared) | host: nothing -> db1 | engine: nothing -> postgres | role: nothing -> arn:fake:iam:role:dms-role | bucket: nothing -> shop-staging
        kept pipe/endpoint.source: `shop-source` is used by `shop-load`, which stays
    ",
    );
    let target = options(|options| options.targets = vec!["source".to_owned()]);
    expect(
        "what the stack no longer declares, alone",
        &planned(
            &[("    pipe/task load instance=@main.arn source=@source.arn mode=full\n", ""), edits[0]],
            &target,
            |_| {},
        ),
        "kept pipe/endpoint.source: `shop-source` is used by `shop-load`, which stays",
    );
    let target = options(|options| options.targets = vec!["source".to_owned(), "load".to_owned()]);
    expect(
        "with what uses it",
        &planned(
            &[("    pipe/task load instance=@main.arn source=@source.arn mode=full\n", ""), edits[0]],
            &target,
            |_| {},
        ),
        "
        0 - pipe/task.load (removed)
        1 - pipe/endpoint.source (removed) after 0
    ",
    );
}

#[test]
fn a_resource_that_has_an_object_is_not_given_another_by_a_move() {
    let moved = [("    data/bucket staging versions=true\n", "    moved engine main\n"), ("bucket=@staging.name", "")];
    block_on(async {
        let scene = Scene::new();
        let before = edited(&[(
            "data/bucket staging versions=true",
            "data/bucket staging versions=true\n pipe/instance engine class=small zone=a",
        )]);
        scene.apply(&before, &Options::default()).await;
        let plan = scene.plan(&edited(&moved), &Options::default()).await.unwrap();
        let refused: Vec<&str> = plan.refused.iter().map(|note| note.text.as_str()).collect();
        assert!(
            refused
                .iter()
                .any(|text| text.starts_with("`shop-main` is its object, and by `moved` so is `shop-engine`: ")),
            "{refused:?}"
        );
        assert!(!plan.steps.iter().any(|step| step.address.name == "main"), "{}", show(&plan));
    });
}

#[test]
fn what_is_made_again_is_not_taken_from_under_what_is_left_out() {
    // The task is to leave the instance, and is not asked to yet.
    let edits = [
        (
            "pipe/instance main class=small zone=a",
            "pipe/instance spare class=small zone=a\n pipe/instance main class=small zone=b",
        ),
        ("@main.arn", "@spare.arn"),
    ];
    let exclude = options(|options| options.excludes = vec!["load".to_owned()]);
    let text = planned(&edits, &exclude, |_| {});
    let refused = "refused pipe/instance.main: `shop-main` cannot be made again while it is used by `shop-load`, which is left out";
    assert!(text.contains(refused), "{text}");
}

#[test]
fn work_stands_still_before_what_its_ends_need_is_changed() {
    let edits = [("versions=true", "versions=false"), ("host=db1", "host=db2")];
    expect(
        "the bucket of an endpoint of running work",
        &planned(&edits, &Options::default(), runs),
        "
        0 ‖ pipe/task.load (differs)
        1 ~ data/bucket.staging (differs) after 0 | versions: true -> false
        2 ~ pipe/endpoint.source (differs) after 0,1 | host: db1 -> db2
        3 ▸ pipe/task.load (for 0) after 0,2
    ",
    );
}
