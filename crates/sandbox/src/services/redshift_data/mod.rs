//! The Amazon Redshift Data API: statements that run beside the requests, and their results.
//!
//! Statements and results live in the process that took them and are not kept on disk: what they changed is in PostgreSQL.
//! They are forgotten after 24 hours, or when the process ends. Listings of the catalogue read the warehouse itself.

mod catalog;
mod operations;
mod parameters;
mod results;
pub(crate) mod run;
pub(crate) mod snapshots;
mod statements;
pub(crate) mod warehouse;

#[cfg(test)]
mod tests;

use crate::call::Codes;
use crate::router::{Operation, Protocol, Reach, Service};

const CODES: Codes = Codes { missing: "ValidationException", invalid: "ValidationException" };

pub(crate) const SERVICE: Service = Service {
    name: "redshift-data",
    protocol: Protocol::Json { target: "RedshiftData" },
    reach: Reach::Regional,
    codes: &CODES,
    operations: &[
        ("ExecuteStatement", Operation::Waiting(|cloud, input| Box::pin(operations::execute(cloud, input)))),
        ("BatchExecuteStatement", Operation::Waiting(|cloud, input| Box::pin(operations::batch_execute(cloud, input)))),
        ("DescribeStatement", Operation::Waiting(|_, input| Box::pin(operations::describe(input)))),
        ("GetStatementResult", Operation::Waiting(|_, input| Box::pin(operations::result(input)))),
        ("CancelStatement", Operation::Waiting(|_, input| Box::pin(operations::cancel(input)))),
        ("GetStatementResultV2", Operation::Waiting(|_, input| Box::pin(operations::formatted_result(input)))),
        (
            "ListDatabases",
            Operation::Waiting(|cloud, input| Box::pin(async move { catalog::databases(&cloud, &input) })),
        ),
        ("ListSchemas", Operation::Waiting(|cloud, input| Box::pin(catalog::schemas(cloud, input)))),
        ("ListTables", Operation::Waiting(|cloud, input| Box::pin(catalog::tables(cloud, input)))),
        ("DescribeTable", Operation::Waiting(|cloud, input| Box::pin(catalog::table(cloud, input)))),
        ("ListStatements", Operation::Waiting(|_, input| Box::pin(async move { operations::list(&input) }))),
    ],
};
