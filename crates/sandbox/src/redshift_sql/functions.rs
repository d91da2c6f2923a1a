//! Redshift functions whose arguments need the parsed call to be turned into PostgreSQL's.
//!
//! Functions that a plain SQL function can stand in for are in `compat.sql` instead.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, NullTreatment, ObjectName, OrderByExpr, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowType,
};

/// The replacement of one call, or `None` when PostgreSQL's own meaning is right.
pub(super) fn rewrite(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Convert { data_type: Some(data_type), expr, is_try: false, .. } => {
            Some(cast((**expr).clone(), data_type.clone()))
        }
        Expr::Function(function) => match function.name.to_string().to_lowercase().as_str() {
            "decode" => decode(function),
            "listagg" => Some(listagg(function)),
            "ratio_to_report" => ratio_to_report(function),
            "first_value" | "last_value" | "lag" | "lead" if ignores_nulls(function) => without_nulls(function),
            _ => None,
        },
        _ => None,
    }
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, format: None }
}

/// The plain arguments of a call; `None` when one is named or a wildcard.
fn plain_arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// `DECODE(e, search, result, ..., default)`: a CASE in which NULL equals NULL.
fn decode(function: &Function) -> Option<Expr> {
    let arguments = plain_arguments(function)?;
    let [subject, pairs @ ..] = arguments.as_slice() else { return None };
    if pairs.len() < 2 {
        return None;
    }
    let conditions = pairs
        .chunks_exact(2)
        .map(|pair| CaseWhen {
            condition: Expr::IsNotDistinctFrom(
                Box::new(Expr::Nested(Box::new(subject.clone()))),
                Box::new(Expr::Nested(Box::new(pair[0].clone()))),
            ),
            result: pair[1].clone(),
        })
        .collect();
    let otherwise = (pairs.len() % 2 == 1).then(|| Box::new(pairs[pairs.len() - 1].clone()));
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: otherwise,
    })
}

/// `LISTAGG` is `string_agg` with the order inside the call, or a whole-partition window.
fn listagg(function: &Function) -> Expr {
    let mut call = function.clone();
    call.name = ObjectName::from(Ident::new("string_agg"));
    let mut order = std::mem::take(&mut call.within_group);
    if let FunctionArguments::List(list) = &mut call.args {
        if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first_mut() {
            *value = cast(Expr::Nested(Box::new(value.clone())), DataType::Text);
            if list.duplicate_treatment.is_some() {
                // With DISTINCT, PostgreSQL orders only by the aggregated expression itself.
                for element in &mut order {
                    element.expr = value.clone();
                }
            }
        }
        if list.args.len() == 1 {
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(text_literal(""))));
        }
        if call.over.is_none() && !order.is_empty() {
            list.clauses.push(FunctionArgumentClause::OrderBy(std::mem::take(&mut order)));
        }
    }
    if let Some(WindowType::WindowSpec(window)) = &mut call.over {
        window.order_by = order;
        window.window_frame = Some(frame(None, None));
    }
    Expr::Function(call)
}

fn text_literal(text: &str) -> Expr {
    Expr::value(sqlparser::ast::Value::SingleQuotedString(text.to_owned()))
}

/// `RATIO_TO_REPORT(x) OVER (...)` is x over the sum of its partition.
fn ratio_to_report(function: &Function) -> Option<Expr> {
    let value = plain_arguments(function)?.into_iter().next()?;
    let mut total = function.clone();
    total.name = ObjectName::from(Ident::new("sum"));
    let guarded =
        call("nullif", vec![Expr::Function(total), Expr::value(sqlparser::ast::Value::Number("0".to_owned(), false))]);
    let ratio = Expr::BinaryOp {
        left: Box::new(cast(Expr::Nested(Box::new(value)), DataType::DoublePrecision)),
        op: BinaryOperator::Divide,
        right: Box::new(guarded),
    };
    Some(Expr::Nested(Box::new(ratio)))
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::<OrderByExpr>::new(),
    })
}

fn ignores_nulls(function: &Function) -> bool {
    let inside = matches!(&function.args, FunctionArguments::List(list)
        if list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(NullTreatment::IgnoreNulls))));
    inside || function.null_treatment == Some(NullTreatment::IgnoreNulls)
}

/// IGNORE NULLS: strict aggregates that keep the first or last value they see, over the fitting frame.
fn without_nulls(function: &Function) -> Option<Expr> {
    let mut call = function.clone();
    call.null_treatment = None;
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &mut call.args else { return None };
    list.clauses.retain(|clause| !matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_)));
    if list.args.len() > 1 {
        let is_one = list.args[1].to_string() == "1";
        if !is_one || list.args.len() > 2 {
            return None;
        }
        list.args.truncate(1);
    }
    let Some(WindowType::WindowSpec(window)) = &mut call.over else { return None };
    let one = || Some(Box::new(Expr::value(sqlparser::ast::Value::Number("1".to_owned(), false))));
    let aggregate = match name.as_str() {
        "lag" => {
            window.window_frame = Some(frame(None, Some(WindowFrameBound::Preceding(one()))));
            "redshift_last_value"
        }
        "lead" => {
            window.window_frame = Some(frame(Some(WindowFrameBound::Following(one())), None));
            "redshift_first_value"
        }
        "first_value" => "redshift_first_value",
        _ => "redshift_last_value",
    };
    call.name = ObjectName::from(Ident::new(aggregate));
    Some(Expr::Function(call))
}

/// A ROWS frame; a missing bound is unbounded.
fn frame(start: Option<WindowFrameBound>, end: Option<WindowFrameBound>) -> WindowFrame {
    WindowFrame {
        units: WindowFrameUnits::Rows,
        start_bound: start.unwrap_or(WindowFrameBound::Preceding(None)),
        end_bound: Some(end.unwrap_or(WindowFrameBound::Following(None))),
    }
}
