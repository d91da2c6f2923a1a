//! The Amazon Redshift Data API.

pub(crate) mod run;
pub(crate) mod warehouse;

use crate::call::Codes;
use crate::router::{Protocol, Reach, Service};

pub(crate) const SERVICE: Service = Service {
    name: "redshift-data",
    protocol: Protocol::Json { target: "RedshiftData" },
    reach: Reach::Regional,
    codes: &Codes { missing: "ValidationException", invalid: "ValidationException" },
    operations: &[],
};
