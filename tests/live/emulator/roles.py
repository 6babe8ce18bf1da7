"""Roles that ask for an external id, refuse, and give sessions that end."""

import time
from dataclasses import dataclass
from typing import Any

from moto.sts.models import AssumedRole, STSBackend

from .wire import Call


@dataclass
class Role:
    """A role that can be assumed, or not."""

    arn: str
    external_id: str | list[str] | None = None  # any of several
    refuses: bool = False
    session_seconds: int | None = None  # whatever was asked for

    def takes(self, external_id: Any) -> bool:
        """Whether it can be assumed with an external id, or with none."""
        asked = [self.external_id] if isinstance(self.external_id, str) else self.external_id
        return asked is None or external_id in asked


class Roles:
    """The roles that there are. Those of accounts without any can all be assumed, unless `strict`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """No roles, no sessions."""
        self.roles: dict[str, Role] = {}
        self.sessions: dict[str, float] = {}  # key id -> end
        self.strict = False

    def change(self, given: dict[str, Any]) -> dict[str, Any]:
        """Makes or replaces a role, or says whether roles must have been made."""
        if "strict" in given:
            self.strict = given["strict"]
            return {"strict": self.strict}
        role = Role(**given)
        self.roles[role.arn] = role
        return {"arn": role.arn}

    def refusal(self, call: Call) -> str | None:
        """Why a role cannot be assumed: AWS tells all reasons in the same words."""
        arn = str(call.params.get("RoleArn", ""))
        role = self.roles.get(arn)
        known = role is not None or not (self.strict or any(_account(other) == _account(arn) for other in self.roles))
        allowed = role is None or (not role.refuses and role.takes(call.params.get("ExternalId")))
        if known and allowed:
            return None
        return f"User: arn:aws:iam::{call.account}:user/cloudigrade is not authorized to perform: sts:AssumeRole on resource: {arn}"

    def has_expired(self, key_id: str) -> bool:
        """Whether a session is over."""
        return self.sessions.get(key_id, float("inf")) <= time.time()


def _account(arn: str) -> str:
    return (arn.split(":") + [""] * 5)[4]


def install(roles: Roles) -> None:
    """Lets sessions end when the role says."""
    assume = STSBackend.assume_role

    def assumed(self: STSBackend, *args: Any, **kwargs: Any) -> AssumedRole:
        role = roles.roles.get(kwargs.get("role_arn", ""))
        if role is not None and role.session_seconds is not None:
            kwargs["duration"] = role.session_seconds
        session = assume(self, *args, **kwargs)
        roles.sessions[session.access_key_id] = time.time() + int(kwargs["duration"])
        return session

    STSBackend.assume_role = assumed  # type: ignore[method-assign,assignment]
