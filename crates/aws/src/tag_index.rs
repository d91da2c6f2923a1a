//! Tags of services that tell them one object at a time: read in bulk from the account-wide index
//! where that is enough, and once per run where it is not.
//!
//! The index (`GetResources` of the Resource Groups Tagging API) lags behind the services. So it is
//! only believed about what it lists as this stack's, and only by a plan that then finds nothing to
//! change; `towpath plan` makes a plan that finds something again, from the services themselves.
//! Nothing here decides that; it only remembers whether the index was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_resourcegroupstagging::types::TagFilter;
use tokio::sync::OnceCell;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{Tags, tag};

use crate::cloud::Cloud;
use crate::fault::fault;

/// How many objects of one kind are asked for their tags one by one before the index is asked: a
/// kind may make two calls, its list and one more.
const ONE_BY_ONE: usize = 1;

/// The most that one page of the index holds (`ResourcesPerPage` of `GetResources`).
const PAGE: i32 = 100;

/// What is known of tags beside the services.
#[derive(Default)]
pub(crate) struct TagIndex {
    is_allowed: AtomicBool,
    was_asked: AtomicBool,
    listed: OnceCell<Arc<BTreeMap<String, Tags>>>,
    /// Tags by ARN that a run has read; `None` outside of runs.
    read: Mutex<Option<BTreeMap<String, Tags>>>,
}

impl TagIndex {
    /// From now on tags may come from the index, or from the services alone.
    pub(crate) fn allow(&self, is_allowed: bool) {
        self.is_allowed.store(is_allowed, Ordering::SeqCst);
    }

    /// Whether tags came from the index.
    pub(crate) fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::SeqCst)
    }

    /// From now on tags of ours are read once, until [`Self::forget`].
    pub(crate) fn remember(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeMap::new());
    }

    /// Tags of that object are read again: they were written.
    pub(crate) fn forget(&self, arn: &str) {
        if let Some(read) = self.read.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            read.remove(arn);
        }
    }

    fn remembered(&self, arn: &str) -> Option<Tags> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(arn).cloned()
    }

    /// Remembers what the service said. Where no stack is named tags may be on their way still, so
    /// only those of a stack's object are kept.
    pub(crate) fn keep(&self, arn: &str, tags: &Tags) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = read.as_mut().filter(|_| tags.contains_key(tag::STACK)) {
            read.insert(arn.to_owned(), tags.clone());
        }
    }

    /// What the index lists as the stack's, by ARN. Who may not read it does without it.
    async fn listed(&self, cloud: &Cloud) -> Result<Arc<BTreeMap<String, Tags>>, Fault> {
        let read = || async {
            let filter = TagFilter::builder().key(tag::STACK).values(cloud.place().stack).build();
            let call = cloud.tagging().await.get_resources().tag_filters(filter);
            let call = call.resource_type_filters("redshift-serverless").resources_per_page(PAGE);
            let pages = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
            let mappings = match pages.map_err(fault("tagging:GetResources")) {
                Err(fault) if fault.class == FaultClass::Denied => Vec::new(),
                other => other?,
            };
            let with_arn = mappings.into_iter().filter_map(|mapping| {
                let tags = mapping.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
                Some((mapping.resource_arn?, tags))
            });
            Ok(Arc::new(with_arn.collect::<BTreeMap<String, Tags>>()))
        };
        self.listed.get_or_try_init(read).await.cloned()
    }

    /// The tags of these ARNs as far as they are known here; of the others the service must be asked.
    pub(crate) async fn known(&self, cloud: &Cloud, arns: &[&str]) -> Result<Vec<Option<Tags>>, Fault> {
        let mut known: Vec<Option<Tags>> = arns.iter().map(|arn| self.remembered(arn)).collect();
        let open = known.iter().filter(|tags| tags.is_none()).count();
        if open > ONE_BY_ONE && self.is_allowed.load(Ordering::SeqCst) {
            let listed = self.listed(cloud).await?;
            self.was_asked.store(true, Ordering::SeqCst);
            for (tags, arn) in known.iter_mut().zip(arns).filter(|(tags, _)| tags.is_none()) {
                *tags = listed.get(*arn).cloned();
            }
        }
        Ok(known)
    }
}

impl Cloud {
    /// From now on tags that a service tells one object at a time may come from the account-wide index,
    /// which lags behind: for looking whether there is anything to do. `false` ends it.
    pub fn read_tags_in_bulk(&self, in_bulk: bool) {
        self.tag_index().allow(in_bulk);
    }

    /// Whether something that was read came from that index, so that it is to be confirmed before it is
    /// acted upon.
    pub fn has_read_tags_in_bulk(&self) -> bool {
        self.tag_index().was_asked()
    }

    /// From now on such tags are read once, and again after this process has written them: for a run,
    /// which looks at its objects again and again.
    pub fn remember_tags(&self) {
        self.tag_index().remember();
    }
}
