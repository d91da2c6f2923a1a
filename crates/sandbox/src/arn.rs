//! The account and region the sandbox plays, and the names AWS gives to things in them.

use rand::Rng;

/// Where the sandbox stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The twelve digits of the account.
    pub(crate) account: String,
    /// The region, for example `eu-north-1`.
    pub(crate) region: String,
}

impl Place {
    /// `aws`, `aws-cn` or `aws-us-gov`, by the region.
    pub(crate) fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The ARN of `resource` (`rep:ABC`, `security-group/sg-1`) in a regional service.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }

    /// The ARN of `resource` (`role/name`) in a service without regions.
    pub(crate) fn global_arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}::{}:{resource}", self.partition(), self.account)
    }
}

/// `prefix-` and 17 hexadecimal digits: an id of EC2.
pub(crate) fn ec2_id(prefix: &str) -> String {
    format!("{prefix}-0{}", random_text(16, b"0123456789abcdef"))
}

/// `prefix` and 17 capital letters and digits: a unique id of IAM.
pub(crate) fn iam_id(prefix: &str) -> String {
    format!("{prefix}{}", random_text(17, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
}

/// `length` random characters out of `alphabet`.
pub(crate) fn random_text(length: usize, alphabet: &[u8]) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_name_partition_region_and_account() {
        let place = Place { account: "111122223333".into(), region: "eu-north-1".into() };
        assert_eq!(place.arn("dms", "rep:ABC"), "arn:aws:dms:eu-north-1:111122223333:rep:ABC");
        assert_eq!(place.global_arn("iam", "role/x"), "arn:aws:iam::111122223333:role/x");
        let gov = Place { account: "1".into(), region: "us-gov-west-1".into() };
        assert_eq!(gov.partition(), "aws-us-gov");
    }
}
