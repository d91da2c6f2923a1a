//! Which names and passwords Redshift Serverless takes. Pure; where they stand, and what is told of them, is the kind's.

/// Whether Redshift Serverless takes the name of a database or of an admin: `[a-zA-Z][a-zA-Z_0-9+.@-]*` (CloudFormation's public
/// resource schema `AWS::RedshiftServerless::Namespace`, `DbName` and `AdminUsername`).
pub(super) fn is_identifier(name: &str, most: usize) -> bool {
    name.len() <= most
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|one| one.is_ascii_alphanumeric() || "_+.@-".contains(one))
}

/// Whether Redshift Serverless takes an admin password (the same schema, `AdminUserPassword`).
pub(super) fn is_password(password: &str) -> bool {
    let has = |test: fn(&u8) -> bool| password.bytes().any(|byte| test(&byte));
    (8..=64).contains(&password.len())
        && password.bytes().all(|byte| byte.is_ascii_graphic() && !br#""'/@\"#.contains(&byte))
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
}

/// Whether Redshift Serverless takes the name of a final snapshot: `[a-z][a-z0-9]*(-[a-z0-9]+)*` (the same schema,
/// `FinalSnapshotName`).
pub(super) fn is_snapshot_name(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit());
    name.len() <= 255 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_those_of_the_schema() {
        assert!(is_identifier("club-2.x@y", 127) && !is_identifier("2club", 127) && !is_identifier("", 127));
        assert!(is_identifier(&"d".repeat(127), 127) && !is_identifier(&"d".repeat(128), 127));
        assert!(is_password("Passw0rd#1") && is_password(&format!("Aa1{}", "x".repeat(61))));
        for weak in [
            "Passw0r",
            "passw0rd1",
            "PASSW0RD1",
            "Password-",
            "Passw0rd@",
            "Pass w0rd",
            "Passw0rd/",
            "Passw0rd\"",
            "Passwörd1",
        ] {
            assert!(!is_password(weak), "{weak}");
        }
        assert!(
            is_snapshot_name("before-2027")
                && !is_snapshot_name("Last")
                && !is_snapshot_name("a--b")
                && !is_snapshot_name("1a")
        );
    }
}
