"""What an expression of PromQL names: metrics, the labels it asks for, and the labels its result has."""

import re
from dataclasses import dataclass, field
from typing import Any

import promql_parser as parser

# What Grafana puts into an expression before it asks.
VARIABLES = {"$__rate_interval": "5m", "$__range": "6h", "$__interval": "30s"}
# Values of a regular expression that only lists them.
ALTERNATIVES = re.compile(r"[\w.]+(?:\|[\w.]+)*")


@dataclass
class Selector:
    """One metric that is asked for."""

    metric: str
    labels: list[tuple[str, str, str]]  # name, kind of comparison, value


@dataclass
class Named:
    """All that an expression names."""

    selectors: list[Selector] = field(default_factory=list)
    groupings: list[tuple[list[str], list[str]]] = field(default_factory=list)  # labels, and the metrics that they are of

    def values(self) -> list[tuple[Selector, str, str]]:
        """Each value that a label is compared with, as far as values are listed."""
        found = []
        for selector in self.selectors:
            for name, kind, value in selector.labels:
                if kind in ("Equal", "NotEqual") or ALTERNATIVES.fullmatch(value):
                    found += [(selector, name, each) for each in value.split("|")]
        return found


def named(expression: str) -> Named:
    """Parses an expression as Prometheus does."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    found = Named()
    parser.walk(parser.parse(expression), lambda node: visit(node, found))
    return found


def visit(node: Any, found: Named) -> bool:
    if isinstance(node, parser.VectorSelector):
        found.selectors.append(selector(node))
    elif isinstance(node, parser.AggregateExpr) and node.modifier is not None:
        below: list[Selector] = []
        parser.walk(node.expr, lambda inner: bool(below.append(selector(inner))) or True if isinstance(inner, parser.VectorSelector) else True)
        found.groupings.append((list(node.modifier.labels), [each.metric for each in below]))
    return True


def selector(node: Any) -> Selector:
    assert node.name, f"a metric must be named, not matched: {node.prettify()}"
    kinds = [(each.name, str(each.op).rsplit(".", 1)[-1], each.value) for each in node.matchers.matchers]
    return Selector(node.name, kinds)
