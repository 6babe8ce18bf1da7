"""The names and labels of what the program measures, read from its sources."""

import re
from dataclasses import dataclass, field
from pathlib import Path

CRATES = ("src", "schemas/src", "pipeline/src", "connectors/src", "inspect/src", "query/src")
TEST_FOLDERS = {"tests", "benches", "examples"}
MACRO = re.compile(r"\b(counter|gauge|histogram)!\(")
TEXT = re.compile(r'"([^"\\]*)"')
CONST = re.compile(r'\bconst (\w+): &(?:\'static )?str = "([^"]*)";')
WORD = re.compile(r'"([\w/.-]+)"')
LABEL = re.compile(r'"(\w+)"\s*=>')
# What Prometheus adds to each series.
ADDED = frozenset({"instance", "job"})


@dataclass
class Metrics:
    """Metrics as Prometheus sees them."""

    labels: dict[str, set[str]] = field(default_factory=dict)  # by name
    words: set[str] = field(default_factory=set)  # all words that are texts of the sources: what values of labels can be

    @staticmethod
    def of(repository: Path) -> "Metrics":
        """Reads all sources but those of tests."""
        texts = {path: without_tests(path.read_text()) for crate in CRATES for path in (repository / crate).rglob("*.rs") if not is_test(path)}
        constants = {name: value for text in texts.values() for name, value in CONST.findall(text)}
        # Without buckets the exporter makes summaries, which have quantiles.
        has_buckets = any("set_buckets" in text for text in texts.values())
        metrics = Metrics()
        for path, text in texts.items():
            metrics.words.update(WORD.findall(text))
            for macro in MACRO.finditer(text):
                arguments = within_parentheses(text, macro.end())
                name = name_of(arguments, dict(CONST.findall(text)), constants)
                assert name, f"{path}: which metric this is cannot be read: {macro[0]}{arguments})"
                metrics.add(macro[1], name, set(LABEL.findall(arguments)), has_buckets)
        return metrics

    def add(self, kind: str, name: str, labels: set[str], has_buckets: bool) -> None:
        """One place that measures."""
        series = {name: set()}
        if kind == "histogram":
            series = {f"{name}_sum": set(), f"{name}_count": set()}
            series |= {f"{name}_bucket": {"le"}} if has_buckets else {name: {"quantile"}}
        for name, own in series.items():
            self.labels.setdefault(name, set(ADDED)).update(labels | own)


def is_test(path: Path) -> bool:
    """Whether a file is of tests only."""
    return path.name == "tests.rs" or not TEST_FOLDERS.isdisjoint(path.parts)


def without_tests(text: str) -> str:
    """A source without the module of its tests, which is at its end."""
    return re.split(r"#\[cfg\(test\)\]\n(?:#\[.*\]\n)*mod \w+ \{", text)[0]


def within_parentheses(text: str, start: int) -> str:
    """What is between a parenthesis that opens before `start` and the one that closes it."""
    depth, in_text = 1, False
    for end in range(start, len(text)):
        if text[end] == '"':
            in_text = not in_text
        elif not in_text:
            depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0:
            return text[start:end]
    raise AssertionError(f"parentheses do not close: {text[start : start + 80]}")


def name_of(arguments: str, here: dict[str, str], everywhere: dict[str, str]) -> str | None:
    """The name that a macro's first argument is: a text, or a constant."""
    first = arguments.split(",")[0].strip()
    if text := TEXT.fullmatch(first):
        return text[1]
    constant = first.rsplit("::", 1)[-1]
    return here.get(constant) or everywhere.get(constant)
