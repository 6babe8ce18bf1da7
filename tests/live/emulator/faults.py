"""Rules that say which calls fail, and how. The same for the emulator and for the proxy in front of it."""

import os
import random
import select
import signal
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from threading import Lock

from .wire import Call

RULES_MAX = 1000
DEATH_MS = 30_000


class BadRule(ValueError):
    """A rule that says nothing, or what there is not."""


@dataclass
class Rule:
    """Calls that match all that is given fail in the way that is given. Only delayed where nothing else is."""

    service: str | None = None
    action: str | None = None
    path: str | None = None  # a glob, of the decoded path
    account: str | None = None
    region: str | None = None
    params: dict[str, object] = field(default_factory=dict)  # a subset of the call's; null is any value
    skip: int = 0  # matching calls that pass unharmed first
    count: int | None = 1  # calls that fail; without end if null
    probability: float = 1.0

    code: str | None = None
    status: int = 500
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    cut_after_bytes: int | None = None  # the connection ends after so many bytes of the body
    truncate: int | None = None  # a body of so many bytes, and a length that says so
    lose_reply: bool = False  # done, and never told
    refuse: bool = False  # never done: the connection ends before
    kill: int | None = None  # the process that dies instead of seeing its connection end: before the call is done, or after

    hits: int = 0

    @classmethod
    def of(cls, given: dict[str, object]) -> "Rule":
        """A rule as a test states it."""
        unknown = set(given) - {known.name for known in fields(cls)}
        if unknown:
            raise BadRule(f"rules have no {', '.join(sorted(unknown))}")
        rule = cls(**given)  # type: ignore[arg-type]
        if rule.kill is not None and rule.refuse == rule.lose_reply:
            raise BadRule("a rule that kills needs one of refuse and lose_reply: before the call is done, or after")
        harmful = rule.code or rule.delay_ms or rule.lose_reply or rule.refuse
        if not harmful and rule.cut_after_bytes is None and rule.truncate is None:
            raise BadRule("a rule needs one of code, delay_ms, cut_after_bytes, truncate, lose_reply, refuse")
        return rule

    def matches(self, call: Call) -> bool:
        """Whether it is about a call."""
        wanted = ((self.service, call.service), (self.action, call.action), (self.account, call.account), (self.region, call.region))
        if any(given is not None and given != found for given, found in wanted):
            return False
        if self.path is not None and not fnmatchcase(call.path, self.path):
            return False
        return all(name in call.params and value in (None, call.params[name]) for name, value in self.params.items())

    def strike(self) -> None:
        """Ends the process that is to die, as a power cut does. It is dead when this returns: it sees nothing of what comes then."""
        if self.kill is None:
            return
        process = os.pidfd_open(self.kill)
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            dead = select.poll()
            dead.register(process, select.POLLIN)
            if not dead.poll(DEATH_MS):
                raise TimeoutError(f"process {self.kill} does not die")
        finally:
            os.close(process)


class Faults:
    """The rules, the oldest first. The first that matches and is not used up holds."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = Lock()
        self.reset(seed)

    def reset(self, seed: int = 0) -> None:
        """No rules, and the dice of a seed."""
        with self._lock:
            self.rules: list[Rule] = []
            self._dice = random.Random(seed)

    def add(self, given: dict[str, object]) -> Rule:
        """One rule more."""
        rule = Rule.of(given)
        with self._lock:
            if len(self.rules) >= RULES_MAX:
                raise BadRule(f"there are {RULES_MAX} rules already")
            self.rules.append(rule)
        return rule

    def take(self, call: Call) -> Rule | None:
        """The rule for a call, which counts as used."""
        with self._lock:
            for rule in self.rules:
                if not rule.matches(call) or (rule.count is not None and rule.hits >= rule.count):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.probability < 1.0 and self._dice.random() >= rule.probability:
                    continue
                rule.hits += 1
                return rule
        return None
