//! What one operation of the emulated AWS gets and gives: every operation is
//! `fn(&mut Call<'_>) -> Result<Value, ApiError>`.
//!
//! The input is a JSON value whatever the wire protocol was (a query form is nested into one, with
//! every scalar as text), and so is the answer, with the member names of the wire. What a failing
//! operation changed in the world is thrown away, so that an operation may check as it goes.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use crate::arn::Place;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::objects::Objects;
use crate::quotas::Quotas;
use crate::store::Tracked;
use crate::vault::Vault;

/// Work that goes on after the answer.
pub(crate) type Afterwards = Box<dyn FnOnce(Cloud) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What becomes of a transient state begun by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It ends as AWS means it to.
    Success,
    /// It ends in the service's failed state: a planted fault, like all that follow.
    Failure,
    /// It does not begin, for want of capacity.
    NoCapacity,
    /// A replication instance ends in `incompatible-network`.
    Network,
    /// A replication task stops with an error that resuming gets over.
    Recoverable,
}

/// One call of an operation.
pub(crate) struct Call<'a> {
    /// All state; borrowing it mutably marks it as changed.
    pub(crate) world: &'a mut Tracked,
    /// The request's members.
    pub(crate) input: Input<'a>,
    /// The time; already slowed where a fault asks for it.
    pub(crate) clock: Clock,
    /// Account and region.
    pub(crate) place: &'a Place,
    /// Seals secrets before they enter the world.
    pub(crate) vault: &'a Vault,
    /// The bodies of S3 objects.
    pub(crate) objects: &'a Objects,
    /// How much the account may have of everything.
    pub(crate) quotas: &'a Quotas,
    /// What becomes of the transient state this call begins.
    pub(crate) fate: Fate,
    /// Whether what this call makes belongs to a zero-ETL integration and can only be read: a planted fault.
    pub(crate) read_only: bool,
    pub(crate) afterwards: Vec<Afterwards>,
}

impl Call<'_> {
    /// Begins `work` after the changes of this call are on disk. It is dropped, between two of its
    /// steps, when the sandbox stops.
    pub(crate) fn afterwards<F>(&mut self, work: impl FnOnce(Cloud) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.afterwards.push(Box::new(move |cloud| Box::pin(work(cloud))));
    }
}

/// An error as a service gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The code a client branches on.
    pub(crate) code: Cow<'static, str>,
    /// For people.
    pub(crate) message: String,
    /// The HTTP status.
    pub(crate) status: u16,
}

impl ApiError {
    /// An error with status 400, which is what most services give for most errors.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: 400 }
    }

    /// The same error with another HTTP status.
    #[must_use]
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// The codes a service has for a request that does not fit its model.
#[derive(Debug)]
pub(crate) struct Codes {
    /// A required member is absent.
    pub(crate) missing: &'static str,
    /// A member has a wrong form.
    pub(crate) invalid: &'static str,
}

/// A structure of the request. Copies are cheap and outlive the call's other borrows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    value: &'a Value,
    codes: &'static Codes,
}

impl<'a> Input<'a> {
    pub(crate) fn new(value: &'a Value, codes: &'static Codes) -> Self {
        Self { value, codes }
    }

    /// The structure as it came.
    pub(crate) fn value(self) -> &'a Value {
        self.value
    }

    /// A member as it came; `null` counts as absent.
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    /// Whether the member was given.
    pub(crate) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An error in the service's words for a member of a wrong form.
    pub(crate) fn invalid(self, message: impl Into<String>) -> ApiError {
        ApiError::new(self.codes.invalid, message)
    }

    /// A text member.
    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(format!("{name} must be a string"))),
        }
    }

    /// A text member that must be there.
    pub(crate) fn required(self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// The error for a required member that is absent.
    pub(crate) fn missing(self, name: &str) -> ApiError {
        ApiError::new(self.codes.missing, format!("The request must contain the parameter {name}"))
    }

    /// A member that is true or false.
    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(self.invalid(format!("{name} must be true or false"))),
        }
    }

    /// A whole number.
    pub(crate) fn integer(self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64()),
            Some(Value::String(text)) if text.parse::<i64>().is_ok() => Ok(text.parse().ok()),
            Some(_) => Err(self.invalid(format!("{name} must be a whole number"))),
        }
    }

    /// A structure member.
    pub(crate) fn structure(self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(Self { value, codes: self.codes })),
            Some(_) => Err(self.invalid(format!("{name} must be a structure"))),
        }
    }

    /// A list of structures; nothing when absent.
    pub(crate) fn structures(self, name: &str) -> Result<Vec<Self>, ApiError> {
        let items = self.items(name)?;
        if !items.iter().all(Value::is_object) {
            return Err(self.invalid(format!("{name} must be a list of structures")));
        }
        Ok(items.iter().map(|value| Self { value, codes: self.codes }).collect())
    }

    /// A list of texts; nothing when absent.
    pub(crate) fn texts(self, name: &str) -> Result<Vec<&'a str>, ApiError> {
        let items = self.items(name)?;
        items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| self.invalid(format!("{name} must be a list of strings"))))
            .collect()
    }

    fn items(self, name: &str) -> Result<&'a [Value], ApiError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            // An empty list of the query protocols is an empty text.
            Some(Value::String(text)) if text.is_empty() => Ok(&[]),
            Some(_) => Err(self.invalid(format!("{name} must be a list"))),
        }
    }
}
