"""A client of the server, as one user."""

import json
from dataclasses import dataclass, field
from typing import Any

import requests

ANSWER_SECONDS = 120


@dataclass
class Client:
    """Whoever has a token; without one, anybody."""

    url: str
    token: str | None = None
    name: str = ""
    password: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        """What the environment says of proxies is not for this machine."""
        self.session.trust_env = False

    def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> requests.Response:
        """An answer, whatever its status. Nothing is followed."""
        sent = {**({"Authorization": f"Token {self.token}"} if self.token else {}), **(headers or {})}
        return self.session.request(method, self.url + path, headers=sent, timeout=ANSWER_SECONDS, allow_redirects=False, **more)

    def get(self, path: str, expect: int = 200, **params: Any) -> Any:
        """A JSON document."""
        return told(self.ask("GET", path, params=params), expect)

    def send(self, method: str, path: str, body: Any = None, expect: int = 200, **params: Any) -> Any:
        """Changes something, and gives the document that is answered."""
        return told(self.ask(method, path, params=params, json=body), expect)

    def sql(self, query: str, expect: int = 200, **more: Any) -> Any:
        """The rows of a query, or what is wrong with it."""
        answer = self.send("POST", "/api/v1/sql", {"query": query, **more}, expect)
        return answer["rows"] if expect == 200 else answer

    def log_in(self, name: str, password: str, scope: str = "read", expect: int = 201, **more: Any) -> dict[str, Any]:
        """A new token, in words."""
        return self.send("POST", "/api/v1/tokens", {"name": name, "password": password, "scope": scope, **more}, expect)

    def as_user(self, name: str, password: str, scope: str = "read") -> "Client":
        """The same server, to somebody who logs in."""
        return Client(self.url, self.log_in(name, password, scope)["token"], name, password)

    def pages(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All items of a list of the first API."""
        return self.get(path, limit=1000, **params)["results"]


def told(answer: requests.Response, expect: int) -> Any:
    """The document of an answer, whose status is as expected."""
    assert answer.status_code == expect, f"{answer.request.method} {answer.request.url} gave {answer.status_code}, not {expect}: {answer.text[:2000]}"
    return json.loads(answer.content) if answer.content and "json" in answer.headers.get("content-type", "") else answer.content
