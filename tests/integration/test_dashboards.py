"""Dashboards and alert rules name only what `/metrics` really says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.api.server import Service, serving

from db.connection import SERVICE
from services.operations import totals
from services.process.settings import Settings

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
ALERTS = ROOT / "deploy" / "grafana" / "alerts.yaml"
PAGE = ROOT / "docs" / "observability.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
NAME = re.compile(r"\bsnuggles_\w+")
MATCHERS = re.compile(r"\b(snuggles_\w+)\{([^}]*)\}")
# One of everything whose labels only show once something has happened.
HISTORY = """
INSERT INTO job_totals VALUES ('render', 'render', 'failed', 'timed_out', 1, 5.0, 1.0, 2.0, %(counts)s, %(counts)s);
INSERT INTO job_event_totals VALUES ('render', 'retry_scheduled', 'worker_lost', 1), ('render', 'handed_back', '', 1);
INSERT INTO jobs (kind, queue) VALUES ('expire_clips', 'housekeeping');
"""


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    with serving(settings) as running:
        with running.deps.database.transaction(SERVICE) as tx:
            for statement in HISTORY.strip().split("\n"):
                counts = "{" + ",".join("1" for _ in range(len(totals.BUCKETS_S) + 1)) + "}"
                tx.execute(statement.replace("%(counts)s", f"'{counts}'").encode())
        running.client.get("/health")
        sockets = running.deps.socket_metrics
        sockets.connect("connected")
        sockets.answer("poll:vote", is_success=True)
        running.deps.metrics.receive_event("invoice.paid", "new")
        yield running


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return shown + [rule["expr"] for rule in rules]


def served(service: Service) -> dict[str, set[str]]:
    """Return the labels of each name that can be asked for."""
    names: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(service.metrics()):
        for suffix in SUFFIXES.get(family.type, ("",)):
            names[family.name + suffix] = set()
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


def test_every_metric_and_label_asked_for_is_served(service: Service) -> None:
    names = served(service)
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(asked) > 15
    assert asked - names.keys() == set()
    for expression in expressions():
        for name, matchers in MATCHERS.findall(expression):
            labels = set(re.findall(r"(\w+)\s*[=!]", matchers))
            assert labels <= names[name], f"{name} has no {labels - names[name]}"
        for grouping in re.findall(r"\bby \(([^)]*)\)", expression):
            known = set().union(*(names[name] for name in NAME.findall(expression)))
            assert {label.strip() for label in grouping.split(",")} <= known | {"le"}, expression


def test_every_metric_of_ours_is_described(service: Service) -> None:
    page = PAGE.read_text()
    ours = {name for name in served(service) if name.startswith("snuggles_") and not name.endswith("_created")}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours}
    assert [name for name in sorted(families) if f"`{name}`" not in page] == []


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    page = PAGE.read_text()
    alerts = [rule["alert"] for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]]
    assert [name for name in alerts if f"`{name}`" not in page] == []
