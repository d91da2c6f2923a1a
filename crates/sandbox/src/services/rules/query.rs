//! Refusals of EC2, IAM and STS.

use super::Proof::{Call, Never, Test};
use super::Rule;

const EC2: &str = "\"Error codes for the Amazon EC2 API\"";
const IAM: &str = "IAM API reference, errors of the operation";
/// The test of the quotas of EC2.
const QUOTAS: &str = "ec2_refuses_what_goes_beyond_its_quotas";
const IAM_QUOTA: &str = "\"IAM and AWS STS quotas\"";

const fn ec2(code: &'static str, when: &'static str, proof: super::Proof) -> Rule {
    Rule { service: "ec2", code, when, source: EC2, proof }
}

const fn iam(code: &'static str, when: &'static str, source: &'static str, proof: super::Proof) -> Rule {
    Rule { service: "iam", code, when, source, proof }
}

pub(super) const RULES: &[Rule] = &[
    ec2("MissingParameter", "a required member is absent", Call("CreateSubnet", "CidrBlock=172.31.250.0/24")),
    ec2(
        "InvalidParameterValue",
        "a member has a wrong form, a group's name begins with `sg-`",
        Call("CreateSecurityGroup", "GroupName=sg-one&GroupDescription=d"),
    ),
    ec2(
        "InvalidParameter",
        "a gateway endpoint is given subnets or groups",
        Call(
            "CreateVpcEndpoint",
            "VpcId={vpc}&ServiceName=com.amazonaws.eu-north-1.s3&VpcEndpointType=Gateway&SubnetId.1={subnet}",
        ),
    ),
    ec2(
        "InvalidParameterCombination",
        "a changed rule names no peer, or one of another kind",
        Call(
            "ModifySecurityGroupRules",
            "GroupId={group}&SecurityGroupRule.1.SecurityGroupRuleId={rule}&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=tcp",
        ),
    ),
    ec2(
        "DryRunOperation",
        "`DryRun` was asked for and the call would succeed",
        Call("CreateVpc", "CidrBlock=10.99.0.0/16&DryRun=true"),
    ),
    ec2(
        "InvalidNextToken",
        "a page is asked for by no token of EC2",
        Call("DescribeSecurityGroups", "MaxResults=5&NextToken=nonsense"),
    ),
    ec2("InvalidVpcID.NotFound", "there is no such VPC", Call("DescribeVpcs", "VpcId.1=vpc-0123456789abcdef0")),
    ec2(
        "InvalidSubnetID.NotFound",
        "there is no such subnet",
        Call("DeleteSubnet", "SubnetId=subnet-0123456789abcdef0"),
    ),
    ec2(
        "InvalidGroup.NotFound",
        "there is no such security group",
        Call("DeleteSecurityGroup", "GroupId=sg-0123456789abcdef0"),
    ),
    ec2(
        "InvalidGroupId.Malformed",
        "an id is no id of a security group",
        Call("DeleteSecurityGroup", "GroupId=nonsense"),
    ),
    ec2(
        "InvalidSecurityGroupRuleId.NotFound",
        "there is no such rule in the group",
        Call("RevokeSecurityGroupIngress", "GroupId={group}&SecurityGroupRuleId.1=sgr-0123456789abcdef0"),
    ),
    ec2(
        "InvalidNetworkInterfaceID.NotFound",
        "there is no such network interface",
        Call("DeleteNetworkInterface", "NetworkInterfaceId=eni-0123456789abcdef0"),
    ),
    ec2(
        "InvalidAttachmentID.NotFound",
        "there is no such attachment",
        Call("DetachNetworkInterface", "AttachmentId=eni-attach-0123456789abcdef0"),
    ),
    ec2(
        "InvalidInternetGatewayID.NotFound",
        "there is no such internet gateway",
        Call("DescribeInternetGateways", "InternetGatewayId.1=igw-0123456789abcdef0"),
    ),
    ec2(
        "InvalidVpcEndpointId.NotFound",
        "there is no such VPC endpoint",
        Call("DescribeVpcEndpoints", "VpcEndpointId.1=vpce-0123456789abcdef0"),
    ),
    ec2(
        "InvalidRouteTableID.NotFound",
        "there is no such route table",
        Call("DescribeRouteTables", "RouteTableId.1=rtb-0123456789abcdef0"),
    ),
    ec2(
        "InvalidRouteTableId.NotFound",
        "an endpoint names a route table that is not there",
        Call(
            "CreateVpcEndpoint",
            "VpcId={vpc}&ServiceName=com.amazonaws.eu-north-1.s3&VpcEndpointType=Gateway&RouteTableId.1=rtb-0123456789abcdef0",
        ),
    ),
    ec2(
        "InvalidServiceName",
        "an endpoint is for a service of another region",
        Call("CreateVpcEndpoint", "VpcId={vpc}&ServiceName=com.amazonaws.us-east-1.s3&VpcEndpointType=Gateway"),
    ),
    ec2(
        "DuplicateSubnetsInSameZone",
        "an interface endpoint names two subnets of a zone",
        Test("vpc_endpoints_refuse_as_ec2_does"),
    ),
    ec2(
        "RouteAlreadyExists",
        "a route table has a gateway endpoint of the service",
        Test("vpc_endpoints_refuse_as_ec2_does"),
    ),
    ec2("IncorrectState", "an endpoint is not available yet", Test("vpc_endpoints_refuse_as_ec2_does")),
    ec2("MalformedPolicyDocument", "an endpoint's policy is no JSON", Test("vpc_endpoints_refuse_as_ec2_does")),
    ec2(
        "InvalidPermission.Duplicate",
        "the group has the rule already",
        Call(
            "AuthorizeSecurityGroupIngress",
            "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1&IpPermissions.1.ToPort=1&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
        ),
    ),
    ec2(
        "InvalidPermission.NotFound",
        "a rule to revoke is not there; in the default VPC that is ignored",
        Call(
            "RevokeSecurityGroupIngress",
            "GroupId={far-group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=7&IpPermissions.1.ToPort=7&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
        ),
    ),
    ec2(
        "InvalidGroup.Duplicate",
        "the VPC has a group of that name, in any case",
        Call("CreateSecurityGroup", "GroupName=HELD&GroupDescription=d"),
    ),
    ec2("CannotDelete", "the group is a VPC's default group", Test("security_groups_refuse_as_ec2_does")),
    ec2(
        "DependencyViolation",
        "an interface or another group's rule needs the object",
        Call("DeleteVpc", "VpcId={vpc}"),
    ),
    ec2(
        "VPCIdNotSpecified",
        "there is no default VPC to make a group in",
        Never("the sandbox's account always has a default VPC until it is deleted"),
    ),
    ec2("InvalidVpc.Range", "a VPC's block is not between /16 and /28", Call("CreateVpc", "CidrBlock=10.0.0.0/8")),
    ec2(
        "InvalidSubnet.Range",
        "a subnet's block is not inside its VPC's",
        Call("CreateSubnet", "VpcId={vpc}&CidrBlock=10.0.0.0/24"),
    ),
    ec2(
        "InvalidSubnet.Conflict",
        "a subnet's block overlaps another's",
        Call("CreateSubnet", "VpcId={vpc}&CidrBlock=172.31.0.0/24"),
    ),
    ec2("VpcLimitExceeded", "a region has as many VPCs as it may have", Call("CreateVpc", "CidrBlock=10.200.0.0/16")),
    ec2("SubnetLimitExceeded", "a VPC has as many subnets as it may have", Test(QUOTAS)),
    ec2("SecurityGroupLimitExceeded", "a region has as many security groups as it may have", Test(QUOTAS)),
    ec2(
        "SecurityGroupsPerInterfaceLimitExceeded",
        "an interface endpoint gets more security groups than a network interface may have",
        Test(QUOTAS),
    ),
    ec2(
        "VpcEndpointLimitExceeded",
        "a region has as many gateway endpoints, or a VPC as many interface endpoints, as it may have",
        Test(QUOTAS),
    ),
    ec2(
        "RulesPerSecurityGroupLimitExceeded",
        "a group has as many rules of a direction as it may have",
        Call("AuthorizeSecurityGroupIngress", "GroupId={group}&{ports}"),
    ),
    ec2("TagLimitExceeded", "an object has 50 tags", Call("CreateTags", "ResourceId.1={group}&{tags}")),
    iam(
        "ValidationError",
        "a member is absent or has a wrong form",
        IAM,
        Call("CreateRole", "AssumeRolePolicyDocument=x"),
    ),
    iam(
        "InvalidInput",
        "a policy's ARN is none",
        IAM,
        Call("AttachRolePolicy", "RoleName=dms-vpc-role&PolicyArn=nonsense"),
    ),
    iam("NoSuchEntity", "there is no such role or policy (404)", IAM, Call("GetRole", "RoleName=nobody")),
    iam(
        "EntityAlreadyExists",
        "there is a role of that name, in any case (409)",
        IAM,
        Call(
            "CreateRole",
            "RoleName=DMS-VPC-ROLE&AssumeRolePolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22dms.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D",
        ),
    ),
    iam("DeleteConflict", "a role still has policies (409)", IAM, Call("DeleteRole", "RoleName=dms-vpc-role")),
    iam(
        "MalformedPolicyDocument",
        "a document is no policy",
        IAM,
        Call("UpdateAssumeRolePolicy", "RoleName=dms-vpc-role&PolicyDocument=nonsense"),
    ),
    iam(
        "LimitExceeded",
        "too many roles, policies of a role or tags, or a document over its size (409)",
        IAM_QUOTA,
        Call("UpdateAssumeRolePolicy", "RoleName=dms-vpc-role&PolicyDocument={long}"),
    ),
    Rule {
        service: "sts",
        code: "ValidationError",
        when: "a member has a wrong form",
        source: "STS API reference, common errors",
        proof: Never("`GetCallerIdentity` has no members"),
    },
];
