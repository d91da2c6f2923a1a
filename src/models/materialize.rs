//! Builds a model: aside, under another name, and swapped in when it stands.
//!
//! Readers see the old relation or the new one, never a half. What is left aside by a run that was
//! killed is dropped by the next. Statements may go to different connections, so nothing here
//! relies on temporary tables.

use super::node::{Materialization, Node, Relation, quote};
use super::session::{RelationKind, Session};
use crate::database::{DatabaseError, Dialect};

/// Why a model could not be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    Unfit(String),
}

const ASIDE: &str = "__towpath_new";
const OLD: &str = "__towpath_old";

/// Builds `node` from its SQL and says how many rows were written, where that is known.
pub(super) async fn build(session: &Session, node: &Node, sql: &str) -> Result<Option<u64>, BuildError> {
    let kind = session.kind_of(&node.relation);
    match node.materialization() {
        Materialization::Ephemeral => Ok(None),
        Materialization::View => view(session, node, sql, kind).await.map(|()| None),
        Materialization::Table => {
            let rows = table_aside(session, node, sql).await?;
            swap(session, &node.relation, RelationKind::Table).await?;
            Ok(rows)
        }
        Materialization::Incremental => {
            let fresh = node.config.flag("full_refresh").unwrap_or(session.full_refresh);
            let rows = table_aside(session, node, sql).await?;
            if fresh || kind != Some(RelationKind::Table) {
                swap(session, &node.relation, RelationKind::Table).await?;
                return Ok(rows);
            }
            let merged = merge(session, node).await;
            drop_aside(session, &node.relation, RelationKind::Table).await?;
            merged.map(|()| rows)
        }
    }
}

async fn view(session: &Session, node: &Node, sql: &str, kind: Option<RelationKind>) -> Result<(), BuildError> {
    let relation = &node.relation;
    // A view that binds late can outlive its tables being dropped and loaded anew.
    let binding = match session.database.dialect() {
        Dialect::Redshift if !node.config.flag("bind").unwrap_or(false) => "\nwith no schema binding",
        _ => "",
    };
    if kind != Some(RelationKind::Table) {
        let replaced =
            session.database.execute(&format!("create or replace view {relation} as (\n{sql}\n){binding}")).await;
        match replaced {
            Ok(_) => {
                session.note(relation, Some(RelationKind::View));
                return Ok(());
            }
            // The columns changed: such a view cannot be replaced in place.
            Err(DatabaseError::Refused { .. }) if kind == Some(RelationKind::View) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let aside = relation.beside(ASIDE);
    session.database.execute(&format!("drop view if exists {aside} cascade")).await?;
    session.database.execute(&format!("create view {aside} as (\n{sql}\n){binding}")).await?;
    swap(session, relation, RelationKind::View).await
}

async fn table_aside(session: &Session, node: &Node, sql: &str) -> Result<Option<u64>, BuildError> {
    let aside = node.relation.beside(ASIDE);
    drop_aside(session, &node.relation, RelationKind::Table).await?;
    let storage = match session.database.dialect() {
        Dialect::Redshift => storage(node),
        Dialect::Postgres => String::new(),
    };
    Ok(session.database.execute(&format!("create table {aside}{storage} as (\n{sql}\n)")).await?)
}

/// Redshift's distribution and sort keys.
fn storage(node: &Node) -> String {
    let mut out = String::new();
    match node.config.text("dist") {
        Some(style) if ["all", "even", "auto"].contains(&style.to_lowercase().as_str()) => {
            out.extend([" diststyle ", style]);
        }
        Some(column) => out.extend([" distkey (", &quote(column), ")"]),
        None => {}
    }
    let sort: Vec<_> = node.config.texts("sort").iter().map(|column| quote(column)).collect();
    if !sort.is_empty() {
        let kind = node.config.text("sort_type").map(|kind| format!("{kind} ")).unwrap_or_default();
        out.extend([" ", &kind, "sortkey (", &sort.join(", "), ")"]);
    }
    out
}

async fn drop_aside(session: &Session, relation: &Relation, kind: RelationKind) -> Result<(), DatabaseError> {
    let aside = relation.beside(ASIDE);
    session.database.execute(&format!("drop {} if exists {aside} cascade", kind.keyword())).await.map(|_| ())
}

/// Puts what was built aside in the place of `relation`.
pub(super) async fn swap(session: &Session, relation: &Relation, kind: RelationKind) -> Result<(), BuildError> {
    let aside = relation.beside(ASIDE);
    let old = relation.beside(OLD);
    let keyword = kind.keyword();
    let publish = format!("alter table {aside} rename to {}", quote(&relation.identifier));
    let standing = session.kind_of(relation);
    let Some(standing) = standing else {
        session.database.transaction(&[publish]).await?;
        session.note(relation, Some(kind));
        return Ok(());
    };
    let word = standing.keyword();
    let mut statements = vec![
        format!("alter table {relation} rename to {}", quote(&old.identifier)),
        publish,
        format!("drop {word} {old}"),
    ];
    let swapped = session.database.transaction(&statements).await;
    match swapped {
        Ok(()) => {}
        Err(DatabaseError::Refused { .. }) => {
            // Views stand on it. Rows can be exchanged under them as long as the columns are the same.
            let same = standing == RelationKind::Table
                && kind == RelationKind::Table
                && session.columns(relation).await? == session.columns(&aside).await?;
            if same {
                let exchange = [
                    format!("delete from {relation}"),
                    format!("insert into {relation} select * from {aside}"),
                    format!("drop {keyword} {aside}"),
                ];
                session.database.transaction(&exchange).await?;
            } else {
                statements[2].push_str(" cascade");
                session.database.transaction(&statements).await?;
            }
        }
        Err(error) => return Err(error.into()),
    }
    session.note(relation, Some(kind));
    Ok(())
}

/// Brings the rows built aside into the table that stands.
async fn merge(session: &Session, node: &Node) -> Result<(), BuildError> {
    let relation = &node.relation;
    let aside = relation.beside(ASIDE);
    let standing = session.columns(relation).await?;
    let new = session.columns(&aside).await?;
    let mut statements = schema_change(node, &standing, &new)?;
    let dropped = node.config.text("on_schema_change") == Some("sync_all_columns");
    let added = statements.iter().any(|statement| statement.contains(" add column "));
    let shared: Vec<String> = new
        .iter()
        .filter(|(name, _)| added || standing.iter().any(|(other, _)| other == name))
        .map(|(name, _)| name.clone())
        .collect();
    let missing: Vec<_> = standing.iter().filter(|(name, _)| !new.iter().any(|(other, _)| other == name)).collect();
    if let (false, Some((name, _)), true) = (dropped, missing.first(), node.config.text("on_schema_change").is_none()) {
        let message = format!(
            "column `{name}` of {relation} is no longer in the query; run with full refresh, or set `on_schema_change`"
        );
        return Err(BuildError::Unfit(message));
    }
    statements.extend(change(session, node, &aside, &shared)?);
    session.database.transaction(&statements).await?;
    Ok(())
}

fn schema_change(
    node: &Node,
    standing: &[(String, String)],
    new: &[(String, String)],
) -> Result<Vec<String>, BuildError> {
    let relation = &node.relation;
    let lacks = |columns: &[(String, String)], name: &str| !columns.iter().any(|(other, _)| other == name);
    let added: Vec<_> = new.iter().filter(|(name, _)| lacks(standing, name)).collect();
    let removed: Vec<_> = standing.iter().filter(|(name, _)| lacks(new, name)).collect();
    let mut statements = Vec::new();
    match node.config.text("on_schema_change").unwrap_or("ignore") {
        "fail" if !added.is_empty() || !removed.is_empty() => {
            let names: Vec<_> = added.iter().chain(&removed).map(|(name, _)| name.as_str()).collect();
            let message =
                format!("the columns of {relation} changed ({}) and `on_schema_change` is `fail`", names.join(", "));
            return Err(BuildError::Unfit(message));
        }
        mode @ ("append_new_columns" | "sync_all_columns") => {
            for (name, data_type) in added {
                statements.push(format!("alter table {relation} add column {} {data_type}", quote(name)));
            }
            if mode == "sync_all_columns" {
                for (name, _) in removed {
                    statements.push(format!("alter table {relation} drop column {}", quote(name)));
                }
            }
        }
        _ => {}
    }
    Ok(statements)
}

/// The statements of the node's incremental strategy.
fn change(session: &Session, node: &Node, aside: &Relation, columns: &[String]) -> Result<Vec<String>, BuildError> {
    let relation = &node.relation;
    let keys = node.config.texts("unique_key");
    let list = |columns: &[String]| columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let names = list(columns);
    let insert = format!("insert into {relation} ({names}) select {names} from {aside}");
    let (left, right) = (quote(&relation.identifier), quote(&aside.identifier));
    let matches: Vec<_> = keys.iter().map(|key| format!("{left}.{0} = {right}.{0}", quote(key))).collect();
    let matches = matches.join(" and ");
    let strategy =
        node.config.text("incremental_strategy").unwrap_or(if keys.is_empty() { "append" } else { "delete+insert" });
    match strategy {
        "delete+insert" | "merge" if keys.is_empty() => {
            Err(BuildError::Unfit(format!("the incremental strategy `{strategy}` needs a `unique_key`")))
        }
        "delete+insert" => Ok(vec![format!("delete from {relation} using {aside} where {matches}"), insert]),
        "merge" => {
            let wanted = node.config.texts("merge_update_columns");
            let excluded = node.config.texts("merge_exclude_columns");
            let updated: Vec<_> = columns
                .iter()
                .filter(|name| {
                    !keys.contains(name) && !excluded.contains(name) && (wanted.is_empty() || wanted.contains(name))
                })
                .map(|name| format!("{0} = {right}.{0}", quote(name)))
                .collect();
            let values: Vec<_> = columns.iter().map(|name| format!("{right}.{}", quote(name))).collect();
            let update = match (updated.is_empty(), session.database.dialect()) {
                (false, _) => format!(" when matched then update set {}", updated.join(", ")),
                // Redshift wants both branches: setting a key to itself changes nothing.
                (true, Dialect::Redshift) => {
                    format!(" when matched then update set {0} = {right}.{0}", quote(&keys[0]))
                }
                (true, Dialect::Postgres) => String::new(),
            };
            Ok(vec![format!(
                "merge into {relation} using {aside} on {matches}{update} when not matched then insert ({names}) values ({})",
                values.join(", ")
            )])
        }
        _ => Ok(vec![insert]),
    }
}

/// The name under which `relation` is built before it is swapped in.
pub(super) fn aside(relation: &Relation) -> Relation {
    relation.beside(ASIDE)
}
