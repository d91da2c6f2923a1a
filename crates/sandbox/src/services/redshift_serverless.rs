//! Amazon Redshift Serverless.

use crate::call::Codes;
use crate::router::{Protocol, Reach, Service};

pub(crate) const SERVICE: Service = Service {
    name: "redshift-serverless",
    protocol: Protocol::Json { target: "RedshiftServerless" },
    reach: Reach::Regional,
    codes: &Codes { missing: "ValidationException", invalid: "ValidationException" },
    operations: &[],
};
