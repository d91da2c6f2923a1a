//! Whose account a command works in: credentials that `.env` gives, and the ways out when nobody can tell.
//!
//! Everything else about credentials is the SDK's: it looks where all tools of AWS look.

use towpath_aws::connection::{Connection, Credentials};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::secret::Secret;

use super::session::Project;
use super::{CliError, Exit};

/// The variables that name credentials for the SDK ("AWS SDKs and Tools Reference Guide", environment variables). One of
/// them in the process outdoes all of `.env`: half of the one with half of the other would be an account that nobody meant.
const CREDENTIALS: [&str; 6] = [
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Lays the credentials and the region that `.env` names into a connection; the SDK reads the variables of the process only.
pub(super) fn of_file(project: &Project, connection: &mut Connection) {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| project.variable(name));
    connection.region = connection.region.take().or_else(|| region.map(str::to_owned));
    if CREDENTIALS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return;
    }
    connection.profile = project.variable("AWS_PROFILE").map(str::to_owned);
    let keys = project.variable("AWS_ACCESS_KEY_ID").zip(project.variable("AWS_SECRET_ACCESS_KEY"));
    connection.credentials = keys.map(|(id, key)| Credentials {
        id: id.to_owned(),
        key: Secret::new(key),
        token: project.variable("AWS_SESSION_TOKEN").map(Secret::new),
    });
}

/// The error of a command that cannot find out in whose account it is, by what AWS or the way there said.
pub(super) fn unknown(project: &Project, fault: &Fault) -> CliError {
    let error = CliError::failed("cannot find out whose AWS account this is", fault);
    // What is missing is said there, with the way out.
    if fault.class == FaultClass::Invalid && fault.operation == "config" {
        return error.with_exit(Exit::Usage);
    }
    let set = ["TOWPATH_SANDBOX_PROXY", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find(|name| project.variable(name).is_some());
    let profile = project.variable("AWS_PROFILE");
    let is_without = fault.code == "NoAnswer" && fault.message.contains("credential");
    let is_passing = matches!(fault.class, FaultClass::Throttled | FaultClass::Unavailable);
    error.hint(match (set, profile) {
        (Some(name), _) if fault.code == "Http200" => format!("what answers there is not AWS: check `{name}`"),
        (None, _) if fault.code == "Http200" => {
            "what answers is not AWS: check for a proxy, or a network that wants a login".to_owned()
        }
        (Some(name), _) if fault.message.contains("(Connect)") => {
            format!("nothing answers there: check `{name}`")
        }
        (None, _) if fault.message.contains("(Connect)") => {
            "nothing answers: check the network, a proxy, and the region's name".to_owned()
        }
        (_, profile) if fault.message.contains("SSO token") => {
            let profile = profile.map(|name| format!(" --profile {}", super::quoted(name))).unwrap_or_default();
            format!("log in: aws sso login{profile}")
        }
        // The SDK passes over a profile that is not there and tells of the last place it looked in.
        (_, Some(profile)) if is_without => {
            format!("check that the profile `{profile}` of `AWS_PROFILE` is in `~/.aws/config` and gives credentials")
        }
        (_, None) if is_without => {
            "none were found: set `AWS_PROFILE`, or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, in the \
             environment or in `.env`"
                .to_owned()
        }
        _ if is_passing && fault.code != "NoAnswer" => "the service refuses for a moment: run it again".to_owned(),
        _ => "check the credentials: aws sts get-caller-identity".to_owned(),
    })
}
