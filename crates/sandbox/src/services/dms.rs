//! AWS DMS.

use crate::call::Codes;
use crate::router::{Protocol, Reach, Service};

pub(crate) const SERVICE: Service = Service {
    name: "dms",
    protocol: Protocol::Json { target: "AmazonDMSv20160101" },
    reach: Reach::Regional,
    codes: &Codes { missing: "InvalidParameterValueException", invalid: "InvalidParameterValueException" },
    operations: &[],
};
