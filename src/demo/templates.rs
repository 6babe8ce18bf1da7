//! The JSON of simulated records, with blanks: `$name` stands for a value or for another template.
//!
//! The shapes are those of records that CloudTrail delivered. Line ends and indentation are not written.

pub(super) const API_CALL: &str = r#"{"eventVersion":"1.09","userIdentity":$identity,"eventTime":"$time","eventSource":"$source",
    "eventName":"$event","awsRegion":"$region","sourceIPAddress":"$address","userAgent":"$agent",
    $refusal"requestParameters":$request,"responseElements":$response,"requestID":"$uuid","eventID":"$uuid","readOnly":$readonly,
    "eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"$account","eventCategory":"Management"$tls}"#;
pub(super) const SERVICE_EVENT: &str = r#"{"eventVersion":"1.08","userIdentity":$identity,"eventTime":"$time",
    "eventSource":"ec2.amazonaws.com","eventName":"$event","awsRegion":"$region","sourceIPAddress":"ec2.amazonaws.com",
    "userAgent":"ec2.amazonaws.com","requestParameters":null,"responseElements":null,"requestID":"$uuid","eventID":"$uuid",
    "readOnly":false,"eventType":"AwsServiceEvent","managementEvent":true,"recipientAccountId":"$account",
    "serviceEventDetails":{"instanceIdSet":[$ids]},"eventCategory":"Management"}"#;
pub(super) const TLS: &str = r#","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",
    "clientProvidedHostHeader":"$host.$region.amazonaws.com"}"#;
pub(super) const REFUSAL: &str = r#""errorCode":"$errorcode","errorMessage":"$errormessage","#;

pub(super) const PERSON: &str = r#"{"type":"IAMUser","principalId":"AIDA$principal","arn":"arn:aws:iam::$account:user/$caller",
    "accountId":"$account","accessKeyId":"AKIA$key","userName":"$caller"}"#;
pub(super) const ROLE: &str = r#"{"type":"AssumedRole","principalId":"AROA$principal:session",
    "arn":"arn:aws:sts::$account:assumed-role/$caller/session","accountId":"$account","accessKeyId":"ASIA$key",
    "sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA$principal","arn":"arn:aws:iam::$account:role/$caller",
    "accountId":"$account","userName":"$caller"},"attributes":{"creationDate":"$session","mfaAuthenticated":"false"}}}"#;
pub(super) const SERVICE_ROLE: &str = r#"{"type":"AssumedRole","principalId":"AROA$principal:AutoScaling",
    "arn":"arn:aws:sts::$account:assumed-role/$caller/AutoScaling","accountId":"$account",
    "sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA$principal",
    "arn":"arn:aws:iam::$account:role/aws-service-role/autoscaling.amazonaws.com/$caller","accountId":"$account",
    "userName":"$caller"},"attributes":{"creationDate":"$session","mfaAuthenticated":"false"}},
    "invokedBy":"autoscaling.amazonaws.com"}"#;
pub(super) const SERVICE: &str = r#"{"accountId":"$account","invokedBy":"ec2.amazonaws.com"}"#;

pub(super) const LAUNCH_BY_REQUEST: &str = r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":$count,"maxCount":$count}]},
    "instanceType":"$type","blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,
    "disableApiStop":false,"clientToken":"$uuid","ebsOptimized":false}"#;
pub(super) const LAUNCH_BY_TEMPLATE: &str = r#"{"instancesSet":{"items":[{"minCount":$count,"maxCount":$count}]},
    "blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"disableApiStop":false,
    "clientToken":"$uuid","launchTemplate":{"launchTemplateId":"lt-$hexadecimal","version":"7"}}"#;
pub(super) const LAUNCH_SPOT: &str = r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":$count,"maxCount":$count}]},
    "instanceType":"$type","instanceMarketOptions":{"marketType":"spot","spotOptions":{"spotInstanceType":"one-time"}},
    "blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"disableApiStop":false,
    "clientToken":"$uuid","ebsOptimized":false}"#;
pub(super) const REFUSED_LAUNCH: &str = r#"{"instancesSet":{"items":[{"imageId":"ami-$hexadecimal","minCount":1,"maxCount":8}]},
    "instanceType":"p4d.24xlarge","blockDeviceMapping":{},"clientToken":"$uuid"}"#;
pub(super) const LAUNCHED: &str = r#"{"requestId":"$uuid","reservationId":"r-$hexadecimal","ownerId":"$account","groupSet":{},
    "instancesSet":{"items":[$items]}}"#;
pub(super) const LAUNCHED_INSTANCE: &str = r#"{"instanceId":"$instance","imageId":"$image","instanceState":{"code":0,
    "name":"pending"},"privateDnsName":"ip-$dashedip.$region.compute.internal","amiLaunchIndex":0,"productCodes":{},
    "instanceType":"$type","launchTime":$milliseconds,"placement":{"availabilityZone":"$zone","tenancy":"default"},
    "monitoring":{"state":"disabled"},"subnetId":"subnet-0a1b2c3d4e5f60718","vpcId":"vpc-0f1e2d3c4b5a69788",
    "privateIpAddress":"$ip","stateReason":{"code":"pending","message":"pending"},"architecture":"x86_64","rootDeviceType":"ebs",
    "rootDeviceName":"/dev/sda1","blockDeviceMapping":{},"virtualizationType":"hvm","hypervisor":"xen"$spot,"clientToken":"$uuid",
    "groupSet":{"items":[{"groupId":"sg-0c1d2e3f405162738","groupName":"default"}]},"sourceDestCheck":true,
    "networkInterfaceSet":{"items":[{"networkInterfaceId":"eni-$hexadecimal","subnetId":"subnet-0a1b2c3d4e5f60718",
    "vpcId":"vpc-0f1e2d3c4b5a69788","ownerId":"$account","status":"in-use","privateIpAddress":"$ip","sourceDestCheck":true,
    "interfaceType":"interface","attachment":{"attachmentId":"eni-attach-$hexadecimal","deviceIndex":0,"networkCardIndex":0,
    "status":"attaching","attachTime":$milliseconds,"deleteOnTermination":true}}]},"ebsOptimized":false,"enaSupport":true,
    "cpuOptions":{"coreCount":1,"threadsPerCore":2},"capacityReservationSpecification":{"capacityReservationPreference":"open"},
    "enclaveOptions":{"enabled":false},"metadataOptions":{"state":"pending","httpTokens":"required","httpPutResponseHopLimit":2,
    "httpEndpoint":"enabled"},"maintenanceOptions":{"autoRecovery":"default"}}"#;
pub(super) const SPOT: &str = r#","instanceLifecycle":"spot","spotInstanceRequestId":"sir-$hexadecimal""#;

pub(super) const SWITCH: &str = r#"{"instancesSet":{"items":[$items]}}"#;
pub(super) const STOP: &str = r#"{"instancesSet":{"items":[$items]},"force":false}"#;
pub(super) const SWITCHED: &str = r#"{"requestId":"$uuid","instancesSet":{"items":[$states]}}"#;
pub(super) const SWITCHED_INSTANCE: &str = r#"{"instanceId":"$instance","currentState":{"code":$aftercode,"name":"$aftername"},
    "previousState":{"code":$beforecode,"name":"$beforename"}}"#;
pub(super) const NAMED_INSTANCE: &str = r#"{"instanceId":"$instance"}"#;
pub(super) const RETYPE: &str = r#"{"instanceId":"$instance","instanceType":{"value":"$type"}}"#;
pub(super) const SUCCESS: &str = r#"{"requestId":"$uuid","_return":true}"#;
pub(super) const NOTHING: &str = "null";
