"""The emulator as one WSGI application: faults and refusals first, then moto; and what tests set and ask under `/moto-plus/`."""

import io
import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

from moto.iam.models import get_account_id_from
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends

from . import blocks, disks, machines, queues, roles, scanners, speed, trails, wire
from .faults import BadRule, Faults, Rule

ADMIN = "/moto-plus/"
CALLS_MAX = 200_000
BODY_BYTES_MAX = 64 << 20
EXPIRED = {"ec2": "RequestExpired", "s3": "ExpiredToken", "sts": "ExpiredToken"}
Start = Callable[..., Any]


class MotoPlus:
    """moto and what it lacks."""

    def __init__(self, regions: list[str], closed: list[str], seed: int = 0) -> None:
        self.seed = seed
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.ec2, self.s3_conditions = Lock(), Lock()
        self.moto.debug = True  # type: ignore[attr-defined]
        self.faults, self.calls = Faults(seed), deque[dict[str, Any]](maxlen=CALLS_MAX)
        self.trails, self.queues, self.roles = trails.Store(), queues.Queues(), roles.Roles()
        trails.install(self.trails)
        queues.install(self.queues)
        roles.install(self.roles)
        machines.install(regions, closed)
        speed.install()
        self.disks, self.scanners = disks.Disks(), scanners.Scanners(self.ec2)
        disks.install(self.disks)
        scanners.install(self.scanners)

    def reset(self) -> None:
        """As at the start."""
        moto_api_backend.reset()
        self.faults.reset(self.seed)
        self.calls.clear()
        for part in (self.trails, self.queues, self.roles, self.disks, self.scanners):
            part.reset()

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        body, path = _body(environ), environ.get("PATH_INFO", "/")
        if path.startswith(ADMIN):
            return self._admin(environ["REQUEST_METHOD"], path.removeprefix(ADMIN), body, start_response)
        if path.startswith("/moto-api"):
            return self.moto(environ, start_response)
        call = self._call(environ, path, body)
        rule = self.faults.take(call)
        if rule is not None and rule.delay_ms:
            time.sleep(rule.delay_ms / 1000)
        if rule is not None and rule.refuse:
            rule.strike()
            return _hang_up(environ)
        status, headers, answer = self._answer(environ, call, rule)
        self.calls.append(call.to_json(int(status.split()[0])))
        return _send(environ, start_response, status, headers, answer, rule)

    def _call(self, environ: dict[str, Any], path: str, body: bytes) -> wire.Call:
        names = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        names["content-type"] = environ.get("CONTENT_TYPE", "")
        raw = environ.get("RAW_URI", path).split("?")[0]
        call = wire.parse(environ["REQUEST_METHOD"], raw, environ.get("QUERY_STRING", ""), names, body)
        call.account = names.get("x-moto-account-id") or get_account_id_from(call.key_id)
        return call

    def _answer(self, environ: dict[str, Any], call: wire.Call, rule: Rule | None) -> tuple[str, list[tuple[str, str]], bytes]:
        method = environ["REQUEST_METHOD"]

        def failed(status: int, code: str, message: str, more: dict[str, str] | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
            headers, answer = wire.failure(call, code, message, method)
            return f"{status} Injected", list((headers | (more or {})).items()), answer

        if rule is not None and rule.code is not None:
            return failed(rule.status, rule.code, rule.message, rule.headers)
        if self.roles.has_expired(call.key_id):
            return failed(400, EXPIRED.get(call.service, "ExpiredTokenException"), "The security token included in the request is expired")
        if call.service == "sts" and call.action == "AssumeRole" and (why := self.roles.refusal(call)):
            return failed(403, "AccessDenied", why)
        if call.service == "ec2" and call.params.get("DryRun") == "true":
            return failed(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        owner = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
        if call.service == "s3" and owner and owner != s3_backends.bucket_accounts.get(call.path.split("/")[1], ("", owner))[1]:
            return failed(403, "AccessDenied", "Access Denied")
        if call.service == "ebs" and (answered := blocks.answer(call)):
            status, headers, answer = answered
            return f"{status} {'OK' if status < 300 else 'Refused'}", list(headers.items()), answer
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            told[:] = [status, headers]

        with self._one_at_a_time(environ, call):
            chunks = self.moto(environ, start)
            try:
                answer = b"".join(chunks)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        return told[0], told[1], answer

    def _one_at_a_time(self, environ: dict[str, Any], call: wire.Call) -> AbstractContextManager[Any]:
        """EC2's answers show all of a change or nothing of it. Of those who write an object only if it is not there, S3 lets one."""
        if call.service == "ec2":
            return self.ec2
        is_condition = call.service == "s3" and ("HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ)
        return self.s3_conditions if is_condition and environ["REQUEST_METHOD"] == "PUT" else nullcontext()

    def _admin(self, method: str, what: str, body: bytes, start_response: Start) -> Iterable[bytes]:
        try:
            status, answer = "200 OK", self._do(method, what, json.loads(body or b"{}"))
        except (BadRule, machines.NotThere, KeyError, TypeError, ValueError) as error:
            status, answer = "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
        encoded = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(encoded)))])
        return [encoded]

    def _do(self, method: str, what: str, given: Any) -> Any:
        match method, what:
            case "POST", "reset":
                self.reset()
            case "POST", "faults":
                rules = [self.faults.add(one) for one in (given if isinstance(given, list) else [given])]
                return {"added": len(rules)}
            case "GET", "faults":
                return [{"service": r.service, "action": r.action, "code": r.code, "hits": r.hits} for r in self.faults.rules]
            case "DELETE", "faults":
                self.faults.reset(self.seed)
            case "GET", "calls":
                return list(self.calls)
            case "DELETE", "calls":
                self.calls.clear()
            case "POST", "lookup-events":
                self.trails.add(given["account"], given["region"], given["records"])
            case "POST", "lookup-rate":
                self.trails.per_second = given["per_second"]
            case "POST", "public-keys":
                self.trails.keys += given
            case "POST", "organisation-trails":
                return trails.add_organisation_trail(given)
            case "POST", "clock":
                return machines.set_clock(given)
            case "POST", "instances":
                with self.ec2:
                    return machines.change_instance(given)
            case "POST", "images":
                return machines.put_image(given)
            case "POST", "disks":
                return self.disks.change(given)
            case "POST", "scanners":
                return self.scanners.change(given)
            case "GET", "scanners":
                return list(self.scanners.started)
            case "GET", "tagged":
                with self.ec2:
                    return disks.tagged()
            case "GET", "shared":
                with self.ec2:
                    return disks.shared()
            case "POST", "roles":
                return self.roles.change(given)
            case "POST", "queues":
                return self.queues.change(given)
            case "POST", "hidden-messages":
                return self.queues.show_all(given)
            case _:
                raise ValueError(f"there is no {method} {what}")
        return {}


def _body(environ: dict[str, Any]) -> bytes:
    """The body, which stays to be read."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body = stream.read(BODY_BYTES_MAX)
    else:
        body = stream.read(min(int(environ.get("CONTENT_LENGTH") or 0), BODY_BYTES_MAX))
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return body


def _hang_up(environ: dict[str, Any]) -> Iterable[bytes]:
    """Ends the connection without a word."""
    _close(environ)
    raise ConnectionResetError("injected")


def _close(environ: dict[str, Any]) -> None:
    try:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was first


def _send(
    environ: dict[str, Any], start: Start, status: str, headers: list[tuple[str, str]], body: bytes, rule: Rule | None
) -> Iterable[bytes]:
    if rule is not None and rule.lose_reply:
        rule.strike()
        return _hang_up(environ)
    if rule is not None and rule.truncate is not None:
        body = body[: rule.truncate]
    head = environ["REQUEST_METHOD"] == "HEAD"
    if not head or rule is not None:
        headers = [header for header in headers if header[0].lower() != "content-length"] + [("Content-Length", str(len(body)))]
    if rule is not None and rule.cut_after_bytes is not None:
        start(status, headers)
        return _cut(environ, body[: rule.cut_after_bytes])
    start(status, headers)
    return [body]


def _cut(environ: dict[str, Any], part: bytes) -> Iterator[bytes]:
    yield part
    _close(environ)
    raise ConnectionResetError("injected")
