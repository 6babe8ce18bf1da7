"""What CloudTrail answers and moto does not: LookupEvents, ListPublicKeys, trails of an organisation."""

import json
import time
from collections import defaultdict, deque
from datetime import datetime, timezone
from threading import Lock
from typing import Any

from moto.cloudtrail.models import CloudTrailBackend, Trail, cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError

PAGE_MAX = 50
KEPT_SECONDS = 90 * 86400
ATTRIBUTES = {"EventId": "eventID", "EventName": "eventName", "EventSource": "eventSource"}


class Store:
    """Events that can be looked up, by account and region, and the rate at which they can."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Nothing to look up, at any rate."""
        with self._lock:
            self.events: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
            self.per_second: int | None = None
            self._asked: dict[tuple[str, str], deque[float]] = defaultdict(deque)
            self.keys: list[dict[str, Any]] = []

    def add(self, account: str, region: str, records: list[dict[str, Any]]) -> None:
        """Records as CloudTrail logs them."""
        with self._lock:
            self.events[account, region] += records

    def spend(self, place: tuple[str, str]) -> bool:
        """Whether one more question is allowed in this second."""
        with self._lock:
            if self.per_second is None:
                return True
            now, asked = time.monotonic(), self._asked[place]
            while asked and now - asked[0] >= 1.0:
                asked.popleft()
            if len(asked) >= self.per_second:
                return False
            asked.append(now)
            return True

    def find(self, place: tuple[str, str], question: dict[str, Any]) -> list[dict[str, Any]]:
        """What matches, the newest first."""
        earliest = max(_seconds(question.get("StartTime"), 0.0), time.time() - KEPT_SECONDS)
        latest = _seconds(question.get("EndTime"), float("inf"))
        wanted = [(attribute["AttributeKey"], attribute["AttributeValue"]) for attribute in question.get("LookupAttributes", [])]
        with self._lock:
            records = list(self.events[place])
        found = [record for record in records if earliest <= event_seconds(record) <= latest and _has(record, wanted)]
        return sorted(found, key=lambda record: (event_seconds(record), record["eventID"]), reverse=True)


def _seconds(moment: Any, otherwise: float) -> float:
    return otherwise if moment is None else float(moment)


def event_seconds(record: dict[str, Any]) -> float:
    """When a record says that it happened, in seconds since 1970."""
    return datetime.strptime(record["eventTime"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()


def _has(record: dict[str, Any], wanted: list[tuple[str, str]]) -> bool:
    return all(str(record.get(ATTRIBUTES.get(name, name))) == value for name, value in wanted)


def install(store: Store) -> None:
    """Teaches moto."""

    def lookup_events(self: CloudTrailResponse) -> str:
        place, question = (self.current_account, self.region), json.loads(self.body or "{}")
        if not store.spend(place):
            raise JsonRESTError("ThrottlingException", "Rate exceeded")
        size = question.get("MaxResults", PAGE_MAX)
        if not 1 <= size <= PAGE_MAX:
            raise JsonRESTError("InvalidMaxResultsException", f"MaxResults must be between 1 and {PAGE_MAX}")
        if len(question.get("LookupAttributes", [])) > 1:
            raise JsonRESTError("InvalidLookupAttributesException", "only one lookup attribute is allowed")
        asked = {name: value for name, value in question.items() if name not in ("NextToken", "MaxResults")}
        start = _position(question.get("NextToken"), asked)
        found = store.find(place, question)
        answer: dict[str, Any] = {"Events": [_event(record) for record in found[start : start + size]]}
        if start + size < len(found):
            answer["NextToken"] = json.dumps([start + size, asked], sort_keys=True)
        return json.dumps(answer)

    def list_public_keys(self: CloudTrailResponse) -> str:
        return json.dumps({"PublicKeyList": store.keys})

    CloudTrailResponse.lookup_events = lookup_events  # type: ignore[attr-defined]
    CloudTrailResponse.list_public_keys = list_public_keys  # type: ignore[attr-defined]
    _keep_trails_as_aws_does()


def _position(token: str | None, asked: dict[str, Any]) -> int:
    """A token belongs to one question."""
    if token is None:
        return 0
    try:
        position, of = json.loads(token)
    except ValueError:
        position, of = None, None
    if of != json.loads(json.dumps(asked)) or not isinstance(position, int):
        raise JsonRESTError("InvalidNextTokenException", "the token is not of this request")
    return position


def _event(record: dict[str, Any]) -> dict[str, Any]:
    """A record as LookupEvents wraps it."""
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "EventSource": record["eventSource"],
        "EventTime": event_seconds(record),
        "ReadOnly": "false",
        "Username": "tester",
        "Resources": [],
        "CloudTrailEvent": json.dumps(record),
    }


def _keep_trails_as_aws_does() -> None:
    """AWS knows one trail of a name in a region, where moto replaces it; and deletes one by its ARN too, where moto does nothing."""
    create = CloudTrailBackend.create_trail

    def once(self: CloudTrailBackend, name: str, *args: Any, **kwargs: Any) -> Trail:
        if name in self.trails:
            raise JsonRESTError("TrailAlreadyExistsException", f"Trail {name} already exists for customer: {self.account_id}")
        return create(self, name, *args, **kwargs)

    def delete(self: CloudTrailBackend, name: str) -> None:
        del self.trails[self.get_trail(name).trail_name]

    CloudTrailBackend.create_trail = once  # type: ignore[method-assign,assignment]
    CloudTrailBackend.delete_trail = delete  # type: ignore[method-assign]


def add_organisation_trail(given: dict[str, Any]) -> dict[str, Any]:
    """A trail of the organisation's management account, as a member account sees it."""
    account, owner, region = given["account"], given["owner"], given["region"]
    trail = Trail(owner, region, given["name"], given["bucket"], given.get("prefix"), None, True, True, True, True, None, None, None)  # type: ignore[arg-type]
    trail.start_logging()
    cloudtrail_backends[account][region].trails[given["name"]] = trail
    trail.event_selectors = [{"ReadWriteType": given.get("read_write", "All"), "IncludeManagementEvents": True, "DataResources": []}]
    return {"arn": trail.arn}
