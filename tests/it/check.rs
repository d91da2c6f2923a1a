//! `towpath check`: what is told about mistakes in a stack file, with its line and a way out.

use crate::env::{Ran, TestEnvironment};

const STACK: &str = "stacks/club.yaml";

/// One planted mistake: what is replaced by what, what must be told at the place of the marker `§`,
/// which is not written.
struct Mistake {
    from: &'static str,
    to: &'static str,
    told: &'static str,
}

const fn mistake(from: &'static str, to: &'static str, told: &'static str) -> Mistake {
    Mistake { from, to, told }
}

/// Mistakes of which each stands alone; the marker says where towpath must point.
const MISTAKES: &[Mistake] = &[
    mistake("kind: dms/subnet_group", "kind: §dms/subnet_grup", "Did you mean `dms/subnet_group`?"),
    mistake("class: dms.t3.medium", "§clas: dms.t3.medium", "Did you mean `class`?"),
    mistake("subnet_group: subnets\n", "subnet_group: §subnet\n", "Did you mean `subnets`?"),
    mistake("namespace: warehouse", "namespace: §staging", "`warehouse`"),
    mistake("depends_on: [dms_vpc_role]", "depends_on: [§load]", "made first"),
    mistake("storage_gb: 50", "storage_gb: §plenty", "expected a whole number"),
    mistake("{port: 5432, from: self}", "{port: 5432, from: §10.0.0.0/33}", "10.0.0.0/33"),
    mistake("{port: 5432, from: self}", "{port: §70000, from: self}", "65535"),
    mistake("description: source, replication instance and warehouse talk here", "name: §sg-no", "sg-"),
    mistake(
        "storage_gb: 50",
        "storage_gb: 50\n    name: §a-name-that-is-far-longer-than-sixty-three-characters-which-dms-allows",
        "at most",
    ),
    mistake("class: dms.t3.medium", "class: §dms.${env.NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE"),
    mistake("{env: SOURCE_DATABASE_URL}", "§postgres://ada:hunter2@host/club", "{env: NAME}"),
    mistake("    public: false\n", "    public: false\n    §public: true\n", "again"),
    mistake("    public: false\n", "§\tpublic: false\n", "tab"),
    mistake("pipeline:\n", "§pipelines:\n", "Did you mean `pipeline`?"),
    mistake("stack: club ", "stack: §Club! ", "small letters"),
    mistake("# expires: 8h  ", "expires: §8 hours #", "duration"),
    mistake("name: ${var.bucket}", "name: §dms-${var.buket}", "Did you mean `${var.bucket}`?"),
    mistake("engine: postgres\n", "engine: §postgrse\n", "Did you mean `postgres`?"),
    mistake("    base_rpu: 8\n", "    base_rpu: §7\n", "base_rpu"),
    mistake(
        "  §workgroup:\n    kind: redshift/workgroup\n    namespace: warehouse\n",
        "  §workgroup:\n    kind: redshift/workgroup\n",
        "namespace",
    ),
    mistake("tags: {team: data-platform}", "tags: {team: data-platform}§}", "YAML"),
    mistake("direction: target", "direction: §tarhet", "Did you mean `target`?"),
    mistake("project: sql, warehouse: workgroup", "project: sql, warehouse: §target", "The file has `workgroup`."),
    mistake("source: source_provider", "source: §source", "`source_provider`"),
    mistake("into: source", "into: §sorce", "Did you mean `source`?"),
    mistake("migrate: {task: load}", "migrate: {task: §source}", "load"),
    mistake("level: rows", "level: §row", "Did you mean `rows`?"),
    mistake("target: sandbox  ", "target: §sandbx  ", "Did you mean `sandbox`?"),
    mistake(
        "protect: false                 # demo data: may",
        "protect: §nope                 # demo data: may",
        "expected `true` or `false`",
    ),
    mistake("kind: redshift/workgroup", "kind: §redshift/workgroups", "Did you mean `redshift/workgroup`?"),
];

/// Plants a mistake into the club's stack; the line the marker is in.
#[track_caller]
fn plant(club: &TestEnvironment, mistake: &Mistake) -> usize {
    let good = club.read(STACK);
    let from = mistake.from.replace('§', "");
    assert!(good.contains(&from), "the stack has no {from:?}");
    let marked = good.replacen(&from, mistake.to, 1);
    let line = marked.split('§').next().unwrap().lines().count().max(1);
    let starts_a_line = marked.split('§').next().unwrap().ends_with('\n');
    club.write(STACK, &marked.replace('§', ""));
    line + usize::from(starts_a_line)
}

fn planted(from: &'static str, to: &'static str) -> Ran {
    let club = TestEnvironment::club();
    plant(&club, &mistake(from, to, ""));
    club.expect(2, &["check"])
}

#[test]
fn the_club_has_no_mistakes() {
    let club = TestEnvironment::club();
    let checked = club.expect(0, &["check"]);
    assert!(
        checked.stdout.starts_with("`stacks/club.yaml`: 15 resources without mistakes; `sql`: "),
        "{}",
        checked.stdout
    );
    assert!(checked.stderr.is_empty(), "{}", checked.stderr);
    assert!(!club.path().join(".towpath").exists(), "checking leaves nothing behind");
    for environment in ["aws", "prod"] {
        let unset = club.expect(0, &["check", "--env", environment]);
        assert!(unset.stderr.contains("SOURCE_DATABASE_URL"), "on AWS the source must be named: {}", unset.stderr);
        assert!(unset.stderr.contains("warning[unset-variable]"), "{}", unset.stderr);
    }
}

#[test]
fn each_mistake_is_told_at_its_line_with_a_way_out() {
    let mut wrong = Vec::new();
    for mistake in MISTAKES {
        let club = TestEnvironment::club();
        let line = plant(&club, mistake);
        let ran = club.run(&["check"]);
        let place = format!("{STACK}:{line}:");
        if ran.code != 2 || !ran.stderr.contains(&place) || !ran.stderr.contains(mistake.told) {
            wrong.push(format!("{:?} must be told at {place} with {:?}:\n{}", mistake.to, mistake.told, ran.stderr));
        }
        if ran.stderr.contains("hunter2") {
            wrong.push(format!("the literal secret is shown:\n{}", ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), MISTAKES.len(), wrong.join("\n"));
}

#[test]
fn twenty_mistakes_in_one_file_are_told_at_once() {
    let club = TestEnvironment::club();
    // These keep the rest of the file, or of one block, from being understood; and a kind looks at a
    // whole block only, so that of a block with other mistakes nothing more is told.
    let hiding = ["}§}", "§pipelines:", "§\tpublic", "kind: ", "[§load]", "base_rpu: §7"];
    let mut marked = club.read(STACK);
    for mistake in MISTAKES.iter().filter(|mistake| !hiding.iter().any(|word| mistake.to.contains(word))) {
        let from = mistake.from.replace('§', "");
        // Two mistakes of one place exclude each other; the first is planted.
        marked = marked.replacen(&from, mistake.to, 1);
    }
    club.write(STACK, &marked.replace('§', ""));
    let planted: Vec<u64> =
        (1..).zip(marked.lines()).filter(|(_, line)| line.contains('§')).map(|(at, _)| at).collect();
    assert!(planted.len() >= 20, "only {} could be planted together:\n{marked}", planted.len());
    let ran = club.expect(2, &["check", "--json"]);
    let told: std::collections::BTreeSet<u64> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["type"] == "diagnostic")
        .map(|event| event["line"].as_u64().unwrap())
        .collect();
    let missing: Vec<&str> = planted
        .iter()
        .filter(|at| !told.contains(at))
        .map(|at| marked.lines().nth(*at as usize - 1).unwrap())
        .collect();
    assert!(missing.is_empty(), "not told: {missing:#?}\n{}", ran.stdout);
}

#[test]
fn two_resources_of_one_physical_name_are_told_at_both_places() {
    let ran = planted(
        "  # --- the replication instance",
        "  again:\n    kind: s3/bucket\n    name: dms-club-staging\n  # --- the replication instance",
    );
    assert!(ran.stderr.contains("dms-club-staging"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the first one") && ran.stderr.contains("has the same name"), "{}", ran.stderr);
}

#[test]
fn an_environment_that_is_not_there_is_told_with_the_nearest() {
    let club = TestEnvironment::club();
    let ran = club.expect(2, &["check", "--env", "prd"]);
    assert!(ran.stderr.contains("Did you mean `--env prod`?"), "{}", ran.stderr);
    assert!(ran.stderr.contains(STACK), "{}", ran.stderr);
}

#[test]
fn mistakes_in_the_models_are_told_too() {
    let club = TestEnvironment::club();
    club.edit("sql/models/staging/stg_teams.sql", "select", "{{ ref('no_such_model') }} select");
    let ran = club.expect(2, &["check"]);
    assert!(ran.stderr.contains("no_such_model"), "{}", ran.stderr);
    assert!(ran.stderr.contains("stg_teams"), "{}", ran.stderr);
}
