//! Who may reach a bucket or an object: access control lists, as far as buckets without them have any, and whether a
//! policy makes a bucket public. Nothing is authorised by them here.
//!
//! Source: Amazon S3 user guide, "Controlling ownership of objects and disabling ACLs for your bucket".

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{bucket, objects};
use crate::call::{ApiError, Call};
use crate::protocol::Response;
use crate::protocol::rest::{NAMESPACE, Target, document};

/// The canonical user id of the account: 64 hexadecimal digits.
pub(super) fn owner(call: &Call<'_>) -> String {
    hex::encode(Sha256::digest(format!("canonical user of {}", call.place.account)))
}

/// The list of a bucket or object whose owner alone may do everything, which is all there is without ACLs.
fn owner_only(call: &Call<'_>) -> Response {
    let id = owner(call);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AccessControlPolicy xmlns=\"{NAMESPACE}\"><Owner><ID>{id}</ID></Owner>\
         <AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>{id}</ID></Grantee>\
         <Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
    );
    Response::new(200, "application/xml", body)
}

pub(super) fn get_bucket_acl(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    bucket(call, target)?;
    Ok(owner_only(call))
}

pub(super) fn get_object_acl(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    objects::wanted(call, target)?;
    Ok(owner_only(call))
}

pub(super) fn put_bucket_acl(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    refuse(call, target)
}

pub(super) fn put_object_acl(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    objects::wanted(call, target)?;
    refuse(call, target)
}

/// "Requests to set ACLs or update ACLs fail and return the AccessControlListNotSupported error code": every new bucket
/// is like this, and lists of others are not kept.
fn refuse(call: &Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let controls = bucket(call, target)?.settings.get("ownershipControls");
    if controls.is_some_and(|controls| controls.contains("BucketOwnerEnforced")) {
        return Err(ApiError::new("AccessControlListNotSupported", "The bucket does not allow ACLs"));
    }
    Err(ApiError::new("NotImplemented", "the sandbox does not keep access control lists").status(501))
}

/// `GetBucketPolicyStatus`: public is a policy that allows something to everybody under no condition.
pub(super) fn policy_status(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let policy = bucket(call, target)?.policy.as_deref();
    let policy = policy.ok_or_else(super::settings::no_policy)?;
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        statement => vec![statement.clone()],
    };
    let everybody = |principal: &Value| {
        let named = [principal, &principal["AWS"]];
        named.into_iter().any(|who| *who == "*" || who.as_array().is_some_and(|all| all.contains(&json!("*"))))
    };
    let is_public = statements.iter().any(|statement| {
        statement["Effect"] == "Allow" && everybody(&statement["Principal"]) && statement["Condition"].is_null()
    });
    Ok(document("PolicyStatus", &json!({ "IsPublic": is_public })))
}
