//! From a request to an operation and from its result to an answer.
//!
//! The service and region come from the credential scope of the signature, which is read but not
//! verified: any key pair is welcome. The operation comes from the protocol. Planted faults take
//! effect here, so no operation knows them.

use futures::future::BoxFuture;
use serde_json::Value;

use crate::Watch;
use crate::call::{Afterwards, ApiError, Call, Codes, Fate, Input};
use crate::cloud::Cloud;
use crate::fault::{Effect, Faults};
use crate::protocol::query::Dialect;
use crate::protocol::{Request, Response, json, query, rest};
use crate::services::SERVICES;
use crate::store::{StoreError, Tracked, Verdict};

/// A service of the emulated AWS.
pub(crate) struct Service {
    /// The name in the credential scope, which is also that in fault patterns.
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    /// Whether requests must be signed for the sandbox's region.
    pub(crate) reach: Reach,
    /// Error codes for requests that do not fit the model.
    pub(crate) codes: &'static Codes,
    pub(crate) operations: &'static [(&'static str, Operation)],
}

/// The wire protocol of a service, with what it needs to be told from its neighbours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    /// AWS JSON 1.1 with the prefix of `X-Amz-Target`.
    Json { target: &'static str },
    /// A query protocol with the XML namespace of its answers.
    Query { dialect: Dialect, namespace: &'static str },
    /// S3.
    Rest,
}

/// Whether a service has regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One endpoint for all regions.
    Global,
    /// Its own endpoint in each region.
    Regional,
}

/// What answers a call.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    /// A function over the world.
    Call(fn(&mut Call<'_>) -> Result<Value, ApiError>),
    /// A function that waits, for example for SQL to end; it gets at the world through the cloud.
    Waiting(fn(Cloud, Value) -> BoxFuture<'static, Result<Value, ApiError>>),
    /// A function of S3, whose input and answer are more than members.
    Rest(fn(&mut Call<'_>, &rest::Target<'_>) -> Result<Response, ApiError>),
}

/// What the server does with a request.
pub(crate) enum Outcome {
    /// Sends an answer.
    Answer(Response),
    /// Closes the connection without a byte.
    Cut,
    /// Ends the client's process.
    Crash,
}

/// Handles one request.
pub(crate) async fn handle(cloud: &Cloud, faults: &Faults, watch: Option<&Watch>, request: Request) -> Outcome {
    let (service, operation, input) = match identify(cloud, &request) {
        Ok(identified) => identified,
        Err((service, error)) => return Outcome::Answer(failure(service, &error)),
    };
    let name = format!("{}:{operation}", service.name);
    if let Some(watch) = watch {
        watch(&name);
    }
    if cloud.limits().refuses(service.name, cloud.clock()) {
        return Outcome::Answer(failure(service, &throttled(service)));
    }
    let effect = faults.next(&name);
    match effect {
        Some(Effect::Throttle) => return Outcome::Answer(failure(service, &throttled(service))),
        Some(Effect::ServerError) => return Outcome::Answer(failure(service, &server_error(service))),
        Some(Effect::NotFound) => return Outcome::Answer(failure(service, &not_found(service, &operation))),
        Some(Effect::CutBefore) => return Outcome::Cut,
        Some(Effect::CrashBefore) => return Outcome::Crash,
        _ => {}
    }
    let response = answer(cloud, service, operation, input, request, effect).await;
    match effect {
        Some(Effect::CutAfter) => Outcome::Cut,
        Some(Effect::CrashAfter) => Outcome::Crash,
        _ => Outcome::Answer(response),
    }
}

/// Reads scope, protocol and operation name. An error comes with the service whose form it takes.
fn identify(
    cloud: &Cloud,
    request: &Request,
) -> Result<(&'static Service, String, Value), (&'static Service, ApiError)> {
    let Some(scope) = Scope::of(request) else {
        let service = unsigned_service(request);
        return Err((service, unsigned(service)));
    };
    let Some(service) = SERVICES.iter().find(|service| service.name == scope.service) else {
        let message = format!("the sandbox does not play the service `{}`", scope.service);
        return Err((unsigned_service(request), ApiError::new("UnknownOperationException", message).status(404)));
    };
    if service.reach == Reach::Regional && scope.region != cloud.place().region {
        return Err((service, wrong_region(service, &scope.region, &cloud.place().region)));
    }
    match service.protocol {
        Protocol::Json { target } => match json::target(request) {
            Some((prefix, operation)) if prefix == target => {
                let input = json::input(request).map_err(|error| (service, error))?;
                Ok((service, operation.to_owned(), input))
            }
            _ => Err((service, ApiError::new("UnknownOperationException", "X-Amz-Target names no operation"))),
        },
        Protocol::Query { .. } => {
            let (operation, input) = query::input(request).map_err(|error| (service, error))?;
            Ok((service, operation, input))
        }
        Protocol::Rest => {
            let operation = rest::operation(request).map_err(|error| (service, error))?;
            Ok((service, operation, Value::Null))
        }
    }
}

async fn answer(
    cloud: &Cloud,
    service: &'static Service,
    operation: String,
    mut input: Value,
    mut request: Request,
    effect: Option<Effect>,
) -> Response {
    let Some((name, function)) = service.operations.iter().find(|(name, _)| *name == operation) else {
        return failure(service, &unknown_operation(service, &operation));
    };
    if effect == Some(Effect::LostTags) {
        for member in ["Tags", "tags", "TagSpecification"] {
            input.as_object_mut().map(|members| members.remove(member));
        }
        request.body = rest::without_tags(request.body);
    }
    let (name, function) = (*name, *function);
    let result = match function {
        Operation::Waiting(function) => {
            function(cloud.clone(), input).await.map(|output| success(service, name, output))
        }
        Operation::Call(function) => {
            blocking(cloud, service, input, effect, move |call| {
                function(call).map(|output| success(service, name, output))
            })
            .await
        }
        Operation::Rest(function) => {
            blocking(cloud, service, input, effect, move |call| function(call, &rest::Target::of(&request)?)).await
        }
    };
    result.unwrap_or_else(|error| failure(service, &error))
}

/// Runs a function over the world on a thread that may wait for the file lock.
async fn blocking(
    cloud: &Cloud,
    service: &'static Service,
    input: Value,
    effect: Option<Effect>,
    function: impl FnOnce(&mut Call<'_>) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let shared = cloud.clone();
    let joined = tokio::task::spawn_blocking(move || {
        let stale = effect == Some(Effect::StaleList);
        let on_world = |world: &mut Tracked| run(&shared, service, &input, effect, world, function);
        if stale {
            shared.store().with_previous(on_world).map(|(result, _)| (result, Vec::new()))
        } else {
            shared.store().with(|world| {
                let (result, afterwards) = on_world(world);
                (if result.is_ok() { Verdict::Keep } else { Verdict::Discard }, (result, afterwards))
            })
        }
    });
    let (result, afterwards) = match joined.await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Err(state_error(&error)),
        Err(_) => return Err(ApiError::new("InternalFailure", "the sandbox failed; this is a bug").status(500)),
    };
    if result.is_ok() {
        for work in afterwards {
            cloud.spawn(work(cloud.clone()));
        }
    }
    result
}

fn run(
    cloud: &Cloud,
    service: &'static Service,
    input: &Value,
    effect: Option<Effect>,
    world: &mut Tracked,
    function: impl FnOnce(&mut Call<'_>) -> Result<Response, ApiError>,
) -> (Result<Response, ApiError>, Vec<Afterwards>) {
    const SLOW: f64 = 5.0;
    let clock = if effect == Some(Effect::SlowState) { cloud.clock().slowed(SLOW) } else { cloud.clock() };
    let mut call = Call {
        world,
        input: Input::new(input, service.codes),
        clock,
        place: cloud.place(),
        vault: cloud.vault(),
        objects: cloud.objects(),
        quotas: cloud.quotas(),
        fate: match effect {
            Some(Effect::FailedState) => Fate::Failure,
            Some(Effect::NoCapacity) => Fate::NoCapacity,
            Some(Effect::IncompatibleNetwork) => Fate::Network,
            Some(Effect::RecoverableError) => Fate::Recoverable,
            _ => Fate::Success,
        },
        read_only: effect == Some(Effect::ReadOnly),
        afterwards: Vec::new(),
    };
    let result = function(&mut call);
    (result, call.afterwards)
}

fn success(service: &Service, operation: &str, output: Value) -> Response {
    match service.protocol {
        Protocol::Json { .. } => json::success(output),
        Protocol::Query { dialect, namespace } => query::success(dialect, namespace, operation, &output),
        Protocol::Rest => rest::document(operation, &output),
    }
}

fn failure(service: &Service, error: &ApiError) -> Response {
    match service.protocol {
        Protocol::Json { .. } => json::failure(error),
        Protocol::Query { dialect, namespace } => query::failure(dialect, namespace, error),
        Protocol::Rest => rest::failure(error),
    }
}

fn throttled(service: &Service) -> ApiError {
    match service.name {
        "ec2" => ApiError::new("RequestLimitExceeded", "Request limit exceeded.").status(503),
        "s3" => ApiError::new("SlowDown", "Please reduce your request rate.").status(503),
        "iam" | "sts" => ApiError::new("Throttling", "Rate exceeded"),
        _ => ApiError::new("ThrottlingException", "Rate exceeded"),
    }
}

fn server_error(service: &Service) -> ApiError {
    match service.name {
        "ec2" | "s3" => ApiError::new("InternalError", "An internal error has occurred").status(500),
        _ => ApiError::new("InternalFailure", "The request processing has failed because of an unknown error.")
            .status(500),
    }
}

/// What the service says of an object that is not there; the Data API, of a statement that is older than it keeps them.
fn not_found(service: &Service, operation: &str) -> ApiError {
    let message = "What the request names could not be found (a planted fault).";
    let names = |word: &str| operation.contains(word);
    match service.name {
        "ec2" if names("SecurityGroupRule") => ApiError::new("InvalidSecurityGroupRuleId.NotFound", message),
        "ec2" if names("SecurityGroup") => ApiError::new("InvalidGroup.NotFound", message),
        "ec2" if names("Subnet") => ApiError::new("InvalidSubnetID.NotFound", message),
        "ec2" if names("VpcEndpoint") => ApiError::new("InvalidVpcEndpointId.NotFound", message),
        "ec2" if names("NetworkInterface") => ApiError::new("InvalidNetworkInterfaceID.NotFound", message),
        "ec2" => ApiError::new("InvalidVpcID.NotFound", message),
        "iam" => ApiError::new("NoSuchEntity", message).status(404),
        "s3" if names("Bucket") => ApiError::new("NoSuchBucket", message).status(404),
        "s3" => ApiError::new("NoSuchKey", message).status(404),
        "dms" => ApiError::new("ResourceNotFoundFault", message),
        "redshift-data" => ApiError::new("ValidationException", "Query has expired: it is older than 24 hours."),
        _ => ApiError::new("ResourceNotFoundException", message),
    }
}

fn unknown_operation(service: &Service, operation: &str) -> ApiError {
    let message = format!("the sandbox does not play {}:{operation}", service.name);
    match service.protocol {
        Protocol::Json { .. } => ApiError::new("UnknownOperationException", message),
        Protocol::Query { .. } => ApiError::new("InvalidAction", message),
        Protocol::Rest => ApiError::new("NotImplemented", message).status(501),
    }
}

fn unsigned(service: &Service) -> ApiError {
    match service.protocol {
        Protocol::Json { .. } => ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token"),
        Protocol::Query { dialect: Dialect::Query, .. } => {
            ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token").status(403)
        }
        Protocol::Query { dialect: Dialect::Ec2, .. } => {
            ApiError::new("AuthFailure", "AWS was not able to validate the provided access credentials").status(401)
        }
        Protocol::Rest => ApiError::new("AccessDenied", "Access Denied").status(403),
    }
}

fn wrong_region(service: &Service, asked: &str, own: &str) -> ApiError {
    let message = format!("Credential should be scoped to a valid region: this sandbox plays {own}, not {asked}.");
    match service.protocol {
        Protocol::Json { .. } => ApiError::new("InvalidSignatureException", message),
        Protocol::Query { .. } => ApiError::new("SignatureDoesNotMatch", message).status(403),
        Protocol::Rest => ApiError::new(
            "AuthorizationHeaderMalformed",
            format!("The authorization header is malformed; the region '{asked}' is wrong; expecting '{own}'"),
        ),
    }
}

fn state_error(error: &StoreError) -> ApiError {
    ApiError::new("InternalFailure", format!("the sandbox's state: {error}")).status(500)
}

/// The service whose manner an unsigned request has.
fn unsigned_service(request: &Request) -> &'static Service {
    let by_target = json::target(request).and_then(|(prefix, _)| {
        SERVICES.iter().find(|service| matches!(service.protocol, Protocol::Json { target } if target == prefix))
    });
    let is_form =
        request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let by_name = |name| SERVICES.iter().find(|service| service.name == name);
    by_target.or_else(|| by_name(if is_form { "iam" } else { "s3" })).expect("the table has IAM and S3")
}

/// The credential scope of a signature.
struct Scope {
    region: String,
    service: String,
}

impl Scope {
    /// Out of the `Authorization` header, or out of the address of a presigned request.
    fn of(request: &Request) -> Option<Self> {
        let credential = match request.header("authorization") {
            Some(header) => header.split(['=', ',', ' ']).skip_while(|part| *part != "Credential").nth(1)?.to_owned(),
            None => query::form(request.uri.query()?).into_iter().find(|(key, _)| key == "X-Amz-Credential")?.1,
        };
        let mut parts = credential.rsplit('/');
        (parts.next() == Some("aws4_request")).then_some(())?;
        let service = parts.next()?.to_owned();
        Some(Self { region: parts.next()?.to_owned(), service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_read_from_header_or_address() {
        let mut request = Request {
            method: http::Method::GET,
            uri: "/b?X-Amz-Credential=AK%2F20260101%2Feu-north-1%2Fs3%2Faws4_request".parse().unwrap(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        let scope = Scope::of(&request).unwrap();
        assert_eq!((scope.service.as_str(), scope.region.as_str()), ("s3", "eu-north-1"));
        // Header of "Create a signed AWS API request", IAM user guide.
        let header = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20220830/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=calculated-signature";
        request.headers.insert("authorization", header.parse().unwrap());
        let scope = Scope::of(&request).unwrap();
        assert_eq!((scope.service.as_str(), scope.region.as_str()), ("ec2", "us-east-1"));
    }

    #[test]
    fn no_operation_is_listed_twice() {
        for service in SERVICES {
            let mut names: Vec<_> = service.operations.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), service.operations.len(), "{}", service.name);
        }
    }
}
