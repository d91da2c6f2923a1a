//! Rewrites of a parsed statement: clauses PostgreSQL does not have.
//!
//! Column aliases are put in place only by name, for the names PostgreSQL said it does not know: replacing every
//! alias would break the ones that hide a column.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, LimitClause, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, SetOperator, Statement, TableAlias, TableFactor, TableWithJoins, TopQuantity, Value, VisitMut, VisitorMut,
    WildcardAdditionalOptions, visit_expressions,
};
use sqlparser::dialect::{PostgreSqlDialect, RedshiftSqlDialect};
use sqlparser::parser::{Parser, ParserError, ParserOptions};

use super::functions;

/// Names PostgreSQL reported as unknown columns; those that are aliases of the same SELECT are replaced.
pub(crate) type Aliases = BTreeSet<String>;

/// The statement in PostgreSQL's words.
///
/// # Errors
/// The statement cannot be parsed; PostgreSQL's own complaint is then the better one to show.
pub(crate) fn translate(sql: &str, aliases: &Aliases) -> Result<String, ParserError> {
    let options = ParserOptions::new().with_unescape(false);
    let parsed = Parser::new(&RedshiftSqlDialect {})
        .with_options(options)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .or_else(|first| Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(|_| first));
    let mut statements = parsed?;
    let mut rewrite = Rewrite { aliases };
    for statement in &mut statements {
        let flow: ControlFlow<()> = statement.visit(&mut rewrite);
        debug_assert!(flow.is_continue(), "the visitor never breaks");
    }
    Ok(statements.iter().map(Statement::to_string).collect::<Vec<_>>().join("; "))
}

struct Rewrite<'a> {
    aliases: &'a Aliases,
}

impl VisitorMut for Rewrite<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            if let Some(top) = select.top.take() {
                query.limit_clause = top.quantity.map(limit);
            }
            if select.qualify.is_some() {
                qualify(select);
            }
        }
        set_operators(query.body.as_mut());
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::All(modifiers) = &select.group_by {
            let positions = plain_positions(select);
            select.group_by = GroupByExpr::Expressions(positions, modifiers.clone());
        }
        if !self.aliases.is_empty() {
            replace_aliases(select, self.aliases);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(replacement) = functions::rewrite(expr) {
            *expr = replacement;
        }
        ControlFlow::Continue(())
    }
}

fn number(n: u64) -> Expr {
    Expr::value(Value::Number(n.to_string(), false))
}

fn limit(quantity: TopQuantity) -> LimitClause {
    let limit = match quantity {
        TopQuantity::Expr(expr) => expr,
        TopQuantity::Constant(n) => number(n),
    };
    LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by: Vec::new() }
}

fn set_operators(body: &mut SetExpr) {
    if let SetExpr::SetOperation { op, left, right, .. } = body {
        if *op == SetOperator::Minus {
            *op = SetOperator::Except;
        }
        set_operators(left);
        set_operators(right);
    }
}

/// QUALIFY becomes a filter around the select. Stars are carried through as whole rows, which keeps
/// their columns without naming them.
fn qualify(select: &mut Box<Select>) {
    let Some(condition) = select.qualify.take() else { return };
    let mut outer = Vec::new();
    let mut inner = Vec::new();
    let condition = expand_for_qualify(condition, &select.projection);
    for item in std::mem::take(&mut select.projection) {
        carry(item, &select.from, &mut inner, &mut outer);
    }
    inner.push(SelectItem::ExprWithAlias { expr: Expr::Nested(Box::new(condition)), alias: Ident::new("keep_row") });
    let mut shell = select.clone();
    select.projection = inner;
    select.distinct = None;
    let body = Box::new(SetExpr::Select(select.clone()));
    shell.projection = outer;
    shell.selection = Some(qualified(&Ident::new("keep_row")));
    shell.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    shell.having = None;
    shell.named_window = Vec::new();
    shell.from = vec![TableWithJoins { relation: derived(body), joins: Vec::new() }];
    *select = shell;
}

fn derived(body: Box<SetExpr>) -> TableFactor {
    let subquery = Query {
        with: None,
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    };
    let alias = TableAlias { explicit: true, name: Ident::new("qualified"), columns: Vec::new(), at: None };
    TableFactor::Derived { lateral: false, subquery: Box::new(subquery), alias: Some(alias), sample: None }
}

fn qualified(name: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::new("qualified"), name.clone()])
}

/// One select item, split into what the inner select computes and what the outer one shows.
fn carry(item: SelectItem, from: &[TableWithJoins], inner: &mut Vec<SelectItem>, outer: &mut Vec<SelectItem>) {
    match item {
        SelectItem::Wildcard(_) => {
            let relations = from
                .iter()
                .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
            for name in relations.filter_map(relation_name) {
                carry_row(Expr::Identifier(name), inner, outer);
            }
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            let last = name.0.last().and_then(ObjectNamePart::as_ident).cloned();
            if let Some(last) = last {
                carry_row(Expr::Identifier(last), inner, outer);
            }
        }
        SelectItem::UnnamedExpr(expr) => {
            let name = output_name(&expr).unwrap_or_else(|| format!("column_{}", outer.len() + 1));
            let alias = Ident::with_quote('"', name);
            outer.push(SelectItem::UnnamedExpr(qualified(&alias)));
            inner.push(SelectItem::ExprWithAlias { expr, alias });
        }
        SelectItem::ExprWithAlias { expr, alias } => {
            outer.push(SelectItem::UnnamedExpr(qualified(&alias)));
            inner.push(SelectItem::ExprWithAlias { expr, alias });
        }
        other => inner.push(other),
    }
}

fn carry_row(relation: Expr, inner: &mut Vec<SelectItem>, outer: &mut Vec<SelectItem>) {
    let alias = Ident::new(format!("row_{}", outer.len() + 1));
    let row = Expr::Nested(Box::new(qualified(&alias)));
    outer.push(SelectItem::QualifiedWildcard(
        SelectItemQualifiedWildcardKind::Expr(row),
        WildcardAdditionalOptions::default(),
    ));
    inner.push(SelectItem::ExprWithAlias { expr: relation, alias });
}

/// A QUALIFY condition may name the select's aliases: they are put in place, because the filter is computed beside them.
fn expand_for_qualify(mut condition: Expr, projection: &[SelectItem]) -> Expr {
    let flow: ControlFlow<()> = sqlparser::ast::visit_expressions_mut(&mut condition, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some(value) = aliased(projection, &name.value)
        {
            *expr = Expr::Nested(Box::new(value.clone()));
        }
        ControlFlow::Continue(())
    });
    debug_assert!(flow.is_continue(), "the visitor never breaks");
    condition
}

/// The name by which a whole row of this relation can be used as a value.
fn relation_name(relation: &TableFactor) -> Option<Ident> {
    let (alias, name) = match relation {
        TableFactor::Table { name, alias, .. } => (alias, name.0.last().and_then(ObjectNamePart::as_ident).cloned()),
        TableFactor::Derived { alias, .. } => (alias, None),
        _ => return None,
    };
    alias.as_ref().map(|alias| alias.name.clone()).or(name)
}

fn output_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.value.to_lowercase()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|name| name.value.to_lowercase()),
        Expr::Function(function) => function.name.0.last().map(|name| name.to_string().to_lowercase()),
        Expr::Cast { expr, .. } => output_name(expr),
        _ => None,
    }
}

fn aliased<'a>(projection: &'a [SelectItem], name: &str) -> Option<&'a Expr> {
    projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(name) => Some(expr),
        _ => None,
    })
}

/// Positions of the select items GROUP BY ALL means: those without an aggregate.
fn plain_positions(select: &Select) -> Vec<Expr> {
    const AGGREGATES: [&str; 16] = [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "listagg",
        "string_agg",
        "any_value",
        "median",
        "stddev",
        "stddev_samp",
        "stddev_pop",
        "variance",
        "var_samp",
        "bool_or",
        "bool_and",
    ];
    let is_aggregate = |item: &SelectItem| {
        visit_expressions(item, |expr| match expr {
            Expr::Function(call)
                if call.over.is_none() && AGGREGATES.contains(&call.name.to_string().to_lowercase().as_str()) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    };
    (1_u64..)
        .zip(&select.projection)
        .filter(|(_, item)| !is_aggregate(item))
        .map(|(position, _)| number(position))
        .collect()
}

/// Puts the expressions behind the given aliases where the select itself uses them: later items, WHERE, HAVING, GROUP BY.
fn replace_aliases(select: &mut Select, names: &Aliases) {
    let mut known: Vec<(String, Expr)> = Vec::new();
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        substitute(expr, &known);
        if let SelectItem::ExprWithAlias { expr, alias } = item
            && names.contains(&folded(alias))
        {
            known.push((folded(alias), expr.clone()));
        }
    }
    if known.is_empty() {
        return;
    }
    for clause in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        substitute(clause, &known);
    }
    if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
        for expression in expressions {
            substitute(expression, &known);
        }
    }
}

fn folded(name: &Ident) -> String {
    name.value.to_lowercase()
}

fn substitute(expr: &mut Expr, known: &[(String, Expr)]) {
    let flow: ControlFlow<()> = sqlparser::ast::visit_expressions_mut(expr, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some((_, value)) = known.iter().rev().find(|(alias, _)| *alias == folded(name))
        {
            *expr = Expr::Nested(Box::new(value.clone()));
        }
        ControlFlow::Continue(())
    });
    debug_assert!(flow.is_continue(), "the visitor never breaks");
}
