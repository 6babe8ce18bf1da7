"""The dashboard and the alerts name what the program measures, and nothing else."""

import re
import subprocess
from collections import Counter
from typing import Any

import cloudigrade
import pytest
import yaml
from conftest import DEPLOY
from promql import Named, named
from rust_metrics import ADDED, Metrics

# What Prometheus measures by itself.
OF_PROMETHEUS = {"up": set(ADDED), "ALERTS": ADDED | {"alertname", "alertstate"}}
# Labels whose values are no words of the sources: those that Prometheus gives, and numbers.
NOT_WORDS = ADDED | {"quantile", "status", "alertname", "alertstate"}
QUANTILES = {"0", "0.5", "0.9", "0.95", "0.99", "0.999", "1"}
# Grafana shows a unit that it does not know as it is written.
UNITS = {"short", "s", "bytes", "Bps", "cps", "reqps", "percentunit"}
GRID_COLUMNS = 24


@pytest.fixture(scope="module")
def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def expressions(dashboard: dict[str, Any], panels: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> dict[str, str]:
    """All expressions, by where they are."""
    of_panels = {f"{panel['title']}, {target['refId']}": target["expr"] for panel in panels for target in panel["targets"]}
    of_annotations = {f"annotation {each['name']}": each["expr"] for each in dashboard["annotations"]["list"]}
    of_variables = {f"variable {each['name']}": each["query"]["query"] for each in dashboard["templating"]["list"]}
    asks_for = re.compile(r"label_values\((.*), \w+\)")
    return {
        **of_panels,
        **of_annotations,
        **{where: asks_for.fullmatch(query)[1] for where, query in of_variables.items()},
        **{rule["alert"]: rule["expr"] for rule in alerts},
    }


@pytest.fixture(scope="module")
def all_named(expressions: dict[str, str]) -> dict[str, Named]:
    """What each expression names."""
    return {where: named(expression) for where, expression in expressions.items()}


def known(metrics: Metrics) -> dict[str, set[str]]:
    return metrics.labels | OF_PROMETHEUS


def test_sources_are_read_as_they_are(metrics: Metrics) -> None:
    assert metrics.labels["cloudigrade_log_lag_records"] == ADDED | {"task"}
    assert metrics.labels["cloudigrade_source_queue_messages"] == ADDED | {"state"}  # named by a constant
    assert metrics.labels["cloudigrade_http_request_seconds_sum"] == ADDED | {"path"}
    assert len(metrics.labels) > 40
    assert not [name for name in metrics.labels if not name.startswith("cloudigrade_")]


def test_every_metric_that_is_asked_for_exists(all_named: dict[str, Named], metrics: Metrics) -> None:
    wrong = [f"{where}: {each.metric}" for where, found in all_named.items() for each in found.selectors if each.metric not in known(metrics)]
    assert not wrong
    assert len(all_named) > 50


def test_every_label_exists_and_has_the_value_that_is_asked_for(all_named: dict[str, Named], metrics: Metrics) -> None:
    labels = known(metrics)
    wrong = []
    for where, found in all_named.items():
        for each in found.selectors:
            wrong += [f"{where}: {each.metric} has no {name}" for name, _, _ in each.labels if name not in labels[each.metric]]
        for grouped, of in found.groupings:
            has = set().union(*(labels[metric] for metric in of))
            wrong += [f"{where}: {of} have no {name}" for name in grouped if name not in has]
        for each, name, value in found.values():
            if name == "quantile" and value not in QUANTILES:
                wrong.append(f"{where}: the exporter tells no quantile {value}")
            if name not in NOT_WORDS and value not in metrics.words:
                wrong.append(f"{where}: {each.metric} never has {name}={value}")
    assert not wrong


def test_quantiles_are_never_added_up(expressions: dict[str, str], metrics: Metrics) -> None:
    summaries = {name for name, labels in metrics.labels.items() if "quantile" in labels}
    mixed = [
        where
        for where, expression in expressions.items()
        for each in named(expression).selectors
        if each.metric in summaries and "quantile" not in [name for name, _, _ in each.labels]
    ]
    assert not mixed
    assert not [where for where, expression in expressions.items() if re.search(r"(sum|avg)\b[^{]*_seconds\{[^}]*quantile", expression)]


def test_legends_and_texts_name_labels_that_results_have(panels: list[dict[str, Any]], alerts: list[dict[str, Any]], metrics: Metrics) -> None:
    told = [(panel["title"], each["expr"], re.findall(r"\{\{\s*(\w+)\s*\}\}", each["legendFormat"])) for panel in panels for each in panel["targets"]]
    told += [(rule["alert"], rule["expr"], re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) for rule in alerts]
    for where, expression, names in told:
        found = named(expression)
        left = {name for grouped, _ in found.groupings for name in grouped}
        # What is not grouped keeps all labels.
        has = left if found.groupings else set().union(*(known(metrics)[each.metric] for each in found.selectors))
        assert set(names) <= has, f"{where}: {names} of {has}"


def test_every_panel_says_what_it_shows_and_in_which_unit(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), panel["title"]


def test_units_are_those_of_the_metrics(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            metric = named(target["expr"]).selectors[0].metric
            if "rate(" in target["expr"] and unit != "s":
                expected = {"Bps"} if metric.endswith("_bytes_total") else {"cps", "reqps", "short"}
                assert unit in expected, f"{panel['title']}: {metric} in {unit}"
            elif metric.endswith(("_seconds", "_seconds_sum")):
                assert unit == "s", f"{panel['title']}: {metric} in {unit}"
            elif metric.endswith("_bytes"):
                assert unit == "bytes", f"{panel['title']}: {metric} in {unit}"
            else:
                assert unit == "short", f"{panel['title']}: {metric} in {unit}"


def test_panels_lie_beside_each_other(dashboard: dict[str, Any]) -> None:
    ids = Counter(panel["id"] for panel in dashboard["panels"])
    assert not [each for each, times in ids.items() if times > 1]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= GRID_COLUMNS, panel["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells


def test_the_dashboard_asks_the_source_that_is_provisioned(dashboard: dict[str, Any], panels: list[dict[str, Any]], services: dict[str, Any]) -> None:
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert [source["url"] for source in provisioned] == ["http://prometheus:9090"]
    uids = {source["uid"] for source in provisioned}
    asked = [each["datasource"] for panel in panels for each in (panel, *panel["targets"])]
    asked += [each["datasource"] for each in (*dashboard["templating"]["list"], *dashboard["annotations"]["list"])]
    assert {each["uid"] for each in asked} == uids
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    used = {name for panel in panels for target in panel["targets"] for name in re.findall(r"\$(\w+)", target["expr"]) if not name.startswith("__")}
    assert used == variables
    # Where the provider looks is where the composition puts it.
    providers = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/cloudigrade.yml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2][::-1] for mount in services["grafana"]["volumes"])
    assert [mounts[provider["options"]["path"]] for provider in providers] == ["./deploy/grafana/dashboards"]
    assert mounts["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"


def test_every_process_is_asked_and_the_alerts_are_read(processes: dict[str, Any], services: dict[str, Any]) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    targets = [target for each in job["static_configs"] for target in each["targets"]]
    assert sorted(targets) == sorted(f"{name}:8080" for name in processes)
    mounts = dict(mount.split(":")[:2][::-1] for mount in services["prometheus"]["volumes"])
    assert [mounts[path] for path in config["rule_files"]] == ["./deploy/alerts.yml"]
    assert mounts["/etc/prometheus/prometheus.yml"] == "./deploy/prometheus.yml"
    assert "--config.file=/etc/prometheus/prometheus.yml" in services["prometheus"]["command"]


def test_alerts_select_the_job_that_there_is(all_named: dict[str, Named]) -> None:
    jobs = {value for found in all_named.values() for _, name, value in found.values() if name == "job"}
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert jobs == {job["job_name"] for job in config["scrape_configs"]}


def test_every_alert_says_what_is_and_what_to_do(alerts: list[dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in alerts}) == len(alerts) >= 5
    for rule in alerts:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["alert"].startswith("Cloudigrade")
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        for text in ("summary", "runbook"):
            assert rule["annotations"][text].strip().endswith("."), f"{rule['alert']}: {text}"
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s")), rule["alert"]


def test_every_command_that_an_alert_names_exists(alerts: list[dict[str, Any]]) -> None:
    for command in sorted({text for rule in alerts for text in re.findall(r"cloudigrade ((?:[a-z-]+ ?)+)", str(rule["annotations"]))}):
        cloudigrade.run(*command.split(), "--help")
    flags = {text for rule in alerts for text in re.findall(r"`cloudigrade ([a-z-]+ --[a-z-]+)`", rule["annotations"]["runbook"])}
    for command, flag in (each.split() for each in flags):
        assert flag in subprocess.run([cloudigrade.BINARY, command, "--help"], capture_output=True, text=True).stdout
