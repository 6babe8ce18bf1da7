"""What is asked of which service of AWS, read from a request; and failures in each service's own form."""

import json
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

JSON_TYPES = {"sqs": "application/x-amz-json-1.0", "cloudtrail": "application/x-amz-json-1.1"}
QUERY_NAMESPACES = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/", "iam": "https://iam.amazonaws.com/doc/2010-05-08/"}
REQUEST_ID = "00000000-0000-4000-8000-000000000000"
# `?name` in a path of S3 -> what it is about.
SUBRESOURCES = {
    "location": "BucketLocation",
    "notification": "BucketNotification",
    "policy": "BucketPolicy",
    "versioning": "BucketVersioning",
    "encryption": "BucketEncryption",
    "acl": "Acl",
    "tagging": "Tagging",
    "uploads": "MultipartUploads",
}


@dataclass
class Call:
    """One request, as far as faults and tests care."""

    service: str
    action: str
    region: str
    path: str
    key_id: str
    account: str = ""
    params: dict[str, object] = field(default_factory=dict)

    def to_json(self, status: int) -> dict[str, object]:
        """A line of the record of calls."""
        known = {"service": self.service, "action": self.action, "region": self.region, "account": self.account}
        return {**known, "path": self.path, "params": self.params, "status": status}


def parse(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Call:
    """Reads a request. `headers` have names in lower case."""
    key_id, region, service = _credential(headers.get("authorization", ""))
    params: dict[str, object] = {}
    target = headers.get("x-amz-target", "")
    if target:
        action = target.rpartition(".")[2]
        service = service or target.partition("_")[0].lower()
        params = _json(body)
    elif headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        params = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        action = str(params.get("Action", ""))
    elif service == "ebs":
        params = dict(parse_qsl(query, keep_blank_values=True))
        action = _ebs_action(method, path)
    else:
        service = service or "s3"
        params = dict(parse_qsl(query, keep_blank_values=True))
        action = _s3_action(method, path, params, headers)
    return Call(service=service, action=action, region=region, path=unquote(path), key_id=key_id, params=params)


def _credential(authorization: str) -> tuple[str, str, str]:
    """Key, region and service of `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`."""
    _, found, rest = authorization.partition("Credential=")
    parts = rest.split(",")[0].split("/")
    return (parts[0], parts[2], parts[3]) if found and len(parts) == 5 else ("", "", "")


def _json(body: bytes) -> dict[str, object]:
    try:
        read = json.loads(body or b"{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _ebs_action(method: str, path: str) -> str:
    parts = path.strip("/").split("/")
    is_reading = method == "GET" and parts[0] == "snapshots" and parts[2:3] == ["blocks"]
    return {3: "ListSnapshotBlocks", 4: "GetSnapshotBlock"}.get(len(parts), method) if is_reading else method


def _s3_action(method: str, path: str, query: dict[str, object], headers: dict[str, str]) -> str:
    bucket, _, key = path.lstrip("/").partition("/")
    if not bucket:
        return "ListBuckets"
    for name, about in SUBRESOURCES.items():
        if name in query:
            return {"GET": "Get", "PUT": "Put", "POST": "Post", "DELETE": "Delete"}.get(method, "Get") + about
    if not key:
        return {"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(method, method)
    if method == "PUT" and "x-amz-copy-source" in headers:
        return "CopyObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}.get(method, method)


def failure(call: Call, code: str, message: str, method: str = "POST") -> tuple[dict[str, str], bytes]:
    """Headers and body of a failure, in the form of the service."""
    if call.service in JSON_TYPES:
        headers = {"Content-Type": JSON_TYPES[call.service], "x-amzn-RequestId": REQUEST_ID}
        kind = f"com.amazonaws.sqs#{code}" if call.service == "sqs" else code
        return headers, json.dumps({"__type": kind, "message": message}).encode()
    if call.service == "ebs":
        return {"Content-Type": "application/json", "x-amzn-ErrorType": code}, json.dumps({"Message": message}).encode()
    headers = {"Content-Type": "text/xml"}
    code, message = _escaped(code), _escaped(message)
    if call.service == "s3":
        headers |= {"Content-Type": "application/xml", "x-amz-request-id": REQUEST_ID}
        inner = f"<Code>{code}</Code><Message>{message}</Message><Resource>{_escaped(call.path)}</Resource>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}<RequestId>{REQUEST_ID}</RequestId><HostId>host</HostId></Error>'
        return headers, b"" if method == "HEAD" else body.encode()
    if call.service == "ec2":
        inner = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{REQUEST_ID}</RequestID>"
        return headers, f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{inner}</Response>'.encode()
    inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId>"
    return headers, f'<ErrorResponse xmlns="{QUERY_NAMESPACES.get(call.service, "")}">{inner}</ErrorResponse>'.encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
