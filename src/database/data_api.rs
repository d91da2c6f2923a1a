//! The Redshift Data API as [`DataApi`]: the calls of `towpath_aws::redshift_data` on one
//! workgroup and database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use towpath_aws::cloud::Cloud;
use towpath_aws::redshift_data::{self, Status, Target};
use towpath_engine::fault::Fault;

use super::Rows;
use super::redshift::{DataApi, Page, Progress, Redshift};

/// A workgroup's database, as whoever the target's secret names.
struct Workgroup {
    cloud: Cloud,
    target: Target,
}

/// Redshift through the Data API, with at most `statements` submitted at once.
pub fn redshift(cloud: Cloud, target: Target, statements: usize) -> Redshift {
    let name = format!("{}/{}", target.workgroup, target.database);
    Redshift::new(Arc::new(Workgroup { cloud, target }), name, statements)
}

#[async_trait]
impl DataApi for Workgroup {
    async fn submit(&self, statements: &[String], token: &str) -> Result<String, Fault> {
        match statements {
            [statement] => redshift_data::execute(&self.cloud, &self.target, statement, token).await,
            _ => redshift_data::execute_batch(&self.cloud, &self.target, statements, token).await,
        }
    }

    async fn look(&self, id: &str, wait: Duration) -> Result<Progress, Fault> {
        let statement = redshift_data::describe(&self.cloud, id, wait).await?;
        Ok(match statement.status {
            Status::Submitted | Status::Running => Progress::Running,
            Status::Finished => Progress::Finished { has_result: statement.has_result, rows: statement.rows },
            Status::Aborted => Progress::Aborted,
            Status::Failed => {
                // A batch as a whole may fail without a text; the statement that failed has one.
                let part = statement.parts.into_iter().find_map(|part| part.error);
                let error = statement.error.filter(|error| !error.is_empty()).or(part);
                Progress::Failed(error.unwrap_or_else(|| "the service gives no reason".to_owned()))
            }
        })
    }

    async fn page(&self, id: &str, next: Option<String>) -> Result<Page, Fault> {
        let page = redshift_data::result(&self.cloud, id, next).await?;
        Ok(Page { rows: Rows { columns: page.columns, rows: page.rows }, next: page.next })
    }

    async fn cancel(&self, id: &str) -> Result<(), Fault> {
        redshift_data::cancel(&self.cloud, id).await
    }
}
