"""What the tests of the deployment share: the files, and what the program measures.

No engine of containers is needed: what can be known without running anything is held against the files of this repository."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "readers"))

from rust_metrics import Metrics  # noqa: E402

DEPLOY = REPOSITORY / "deploy"
IMAGE = "cloudigrade:local"  # what the Dockerfile makes


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """The composition."""
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    """All services by name."""
    return compose["services"]


@pytest.fixture(scope="session")
def processes(services: dict[str, Any]) -> dict[str, Any]:
    """The services that are cloudigrade."""
    return {name: service for name, service in services.items() if service["image"] == IMAGE}


@pytest.fixture(scope="session")
def metrics() -> Metrics:
    """What the program measures, by its sources."""
    return Metrics.of(REPOSITORY)


@pytest.fixture(scope="session")
def dashboard() -> dict[str, Any]:
    """The dashboard."""
    return json.loads((DEPLOY / "grafana" / "dashboards" / "cloudigrade.json").read_text())


@pytest.fixture(scope="session")
def alerts() -> list[dict[str, Any]]:
    """The rules of all groups."""
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]
