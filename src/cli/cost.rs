//! `towpath cost`: what the declared resources cost by the month, as far as list prices are known.

use clap::Args;
use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;

use super::session::Project;
use super::{CliError, Exit, Global};
use crate::report::output::Output;

/// Arguments of `towpath cost`.
#[derive(Debug, Args)]
pub(super) struct CostArgs {}

/// Prints the table of prices. No call is made.
pub(super) fn run(global: &Global, _args: &CostArgs, output: &Output) -> Result<Exit, CliError> {
    let project = Project::find(global)?;
    let registry = kinds::registry(&Cloud::offline());
    let stack = project.load_written(global, &registry, output)?;
    let priced: Vec<_> = stack
        .resources
        .values()
        .filter_map(|resource| {
            let price = registry.get(&resource.address.kind)?.price(&resource.spec)?;
            Some((resource.address.to_string(), price))
        })
        .collect();
    let width = priced.iter().map(|(address, _)| address.chars().count()).max().unwrap_or(0);
    for (address, price) in &priced {
        output
            .json("price", &serde_json::json!({ "address": address, "monthly": price.monthly, "basis": price.basis }));
        let monthly = price.monthly.map_or_else(|| "by use".to_owned(), |dollars| format!("${dollars:.2}"));
        output.data(&format!("  {address:width$}  {monthly:>9}  {}\n", price.basis));
    }
    // A sum of nothing is minus zero.
    let known = 0.0 + priced.iter().filter_map(|(_, price)| price.monthly).sum::<f64>();
    let free = stack.resources.len() - priced.len();
    let open = priced.iter().filter(|(_, price)| price.monthly.is_none()).count();
    output.json("cost", &serde_json::json!({ "monthly": known, "by_use": open, "free": free }));
    output
        .data(&format!("\n${known:.2} a month is certain; {open} charged by use or not known offline; {free} free.\n"));
    Ok(Exit::Done)
}
