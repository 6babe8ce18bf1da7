//! What the codec claims, by claim.

mod damage;
mod equal;
mod gzip;
mod shapes;

use cloudigrade_schemas::DeadLetterReason;

use super::*;

/// A record as CloudTrail writes it, cut short.
pub(super) fn record(name: &str, id: &str) -> String {
    format!(
        concat!(
            r#"{{"eventVersion":"1.08","userIdentity":{{"type":"Root","accountId":"012345678901"}},"eventTime":"2023-07-10T12:03:24Z","#,
            r#""eventSource":"ec2.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","#,
            r#""requestParameters":{{"instancesSet":{{"items":[{{"instanceId":"i-1"}}]}}}},"responseElements":null,"#,
            r#""eventID":"{id}","recipientAccountId":"012345678901"}}"#
        ),
        name = name,
        id = id
    )
}

/// What came out of an object: its kind, how many records, the relevant ones and the rejected ones, with their places.
pub(super) type Summary = (ObjectKind, u64, Vec<u64>, Vec<(Option<u64>, DeadLetterReason)>);

pub(super) fn summary(decoded: &Decoded<'_>) -> Summary {
    let relevant = decoded.relevant.iter().map(|record| record.index).collect();
    let rejected = decoded.rejected.iter().map(|rejected| (rejected.index, rejected.reason)).collect();
    (decoded.kind, decoded.records, relevant, rejected)
}

/// Decodes an object that is not gzip, by all implementations, which must agree.
pub(super) fn decode(object: &(impl AsRef<[u8]> + ?Sized)) -> Summary {
    let limits = CodecLimits::default();
    let expected = slow::decode(object.as_ref(), &limits);
    for isa in Isa::all() {
        assert_eq!(decode_text(object.as_ref(), None, &limits, isa), expected);
    }
    summary(&expected)
}
