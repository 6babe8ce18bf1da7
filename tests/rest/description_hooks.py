"""Who schemathesis is: it logs in as the user that the environment names, and again where a request ends its own token."""

import os
from typing import Any

import requests
import schemathesis

URL, NAME, PASSWORD = os.environ["TRIED_URL"], os.environ["TRIED_USER"], os.environ["TRIED_PASSWORD"]
SCOPE = os.environ["TRIED_SCOPE"]
LOGIN_SECONDS = 60
ENDS_TOKENS = {"v1DestroyToken", "revokeToken"}


def log_in() -> str:
    """A new token."""
    body = {"name": NAME, "password": PASSWORD, "scope": SCOPE}
    answer = requests.post(f"{URL}/api/v1/tokens", json=body, timeout=LOGIN_SECONDS)
    answer.raise_for_status()
    return answer.json()["token"]


@schemathesis.auth(refresh_interval=None)
class Token:
    """The header of each request."""

    kept: str | None = None

    def get(self, case: Any, _context: Any) -> str:
        """One token for all, and one of its own for what ends tokens."""
        if case.operation.definition.raw.get("operationId") in ENDS_TOKENS:
            return log_in()
        if self.kept is None:
            self.kept = log_in()
        return self.kept

    def set(self, case: Any, data: str, _context: Any) -> None:
        """As the first API's clients say it."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Token {data}"
