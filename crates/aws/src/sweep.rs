//! What a destroyed stack may have left behind without the stack's tags: things that AWS made on
//! its behalf. Read only; deleting them is the user's decision.

use towpath_engine::fault::Fault;

use crate::cloud::Cloud;
use crate::fault::fault;

/// Snapshots of the stack's namespaces and managed admin secrets that remain, one line each with
/// what they cost.
pub async fn leftovers(cloud: &Cloud, stack: &str) -> Result<Vec<String>, Fault> {
    let prefix = format!("{}-", stack.to_lowercase().replace('_', "-"));
    let mut found = snapshots(cloud, &prefix).await?;
    found.extend(admin_secrets(cloud, &prefix).await?);
    Ok(found)
}

async fn snapshots(cloud: &Cloud, prefix: &str) -> Result<Vec<String>, Fault> {
    let mut pages = cloud.redshift_serverless().await.list_snapshots().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(snapshot) = pages.next().await {
        let snapshot = snapshot.map_err(fault("redshift-serverless:ListSnapshots"))?;
        if snapshot.namespace_name().is_some_and(|name| name.starts_with(prefix)) {
            let name = snapshot.snapshot_name().unwrap_or_default();
            found.push(format!("snapshot `{name}` (managed storage, $0.024 per GB and month)"));
        }
    }
    Ok(found)
}

/// Secrets that Redshift manages carry the namespace in their name.
async fn admin_secrets(cloud: &Cloud, prefix: &str) -> Result<Vec<String>, Fault> {
    let mut pages = cloud.secretsmanager().await.list_secrets().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(fault("secretsmanager:ListSecrets"))?;
        let names = page.secret_list().iter().filter_map(|secret| secret.name());
        found.extend(
            names
                .filter(|name| name.strip_prefix("redshift!").is_some_and(|rest| rest.starts_with(prefix)))
                .map(|name| format!("secret `{name}` ($0.40 a month)")),
        );
    }
    Ok(found)
}
