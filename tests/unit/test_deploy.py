"""Examples for operators name commands, settings and files that exist."""

import re
from pathlib import Path
from typing import Any

import yaml

from cli.main import app
from cli.stack.parts import SETTINGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands}
NEEDED = "sum(max by (queue) (snuggles_slots_needed))"
"""What autoscalers go by: one number, however many API processes say it."""
KNOWN = {*SETTINGS, "PORT", "MIGRATION_DATABASE_URL"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def test_compose_runs_commands_that_exist_with_settings_that_exist() -> None:
    (compose,) = documents(ROOT / "compose.yaml")
    ours = {name: service for name, service in compose["services"].items() if service.get("build")}
    assert set(ours) == {"api", "dispatcher", "worker", "migrate"}
    for name, service in ours.items():
        assert service["command"][0] in COMMANDS, name
        assert set(service["environment"]) <= KNOWN, name
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith(".") else source in compose["volumes"]
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_kubernetes_runs_commands_that_exist_with_settings_that_exist() -> None:
    found = [document for path in (DEPLOY / "kubernetes").glob("*.yaml") for document in documents(path)]
    names = {(document["kind"], document["metadata"]["name"]) for document in found}
    assert len(names) == len(found)
    for document in found:
        if document["kind"] == "ConfigMap":
            assert set(document["data"]) <= KNOWN
        for container in containers(document):
            assert container["args"][0] in COMMANDS
            assert {variable["name"] for variable in container.get("env", [])} <= KNOWN
        if document["kind"] == "ScaledObject":
            assert ("Deployment", document["spec"]["scaleTargetRef"]["name"]) in names
            (trigger,) = document["spec"]["triggers"]
            assert trigger["metadata"]["query"] == NEEDED
            assert f"`{NEEDED}`" in (ROOT / "docs/observability.md").read_text()


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []) if document else []


def test_systemd_units_start_commands_that_exist() -> None:
    started = []
    for unit in (DEPLOY / "systemd").iterdir():
        (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
        started.append(line.split()[1])
    assert sorted(started) == ["%i", "up"]
    assert "up" in COMMANDS


def test_dockerfile_copies_every_package_and_only_what_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert all((ROOT / name).exists() for name in names)
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
    assert packages <= names
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == allowed


def test_settings_of_the_readme_exist() -> None:
    table = re.search(r"\| name \| instead of.*?\n\n", (ROOT / "README.md").read_text(), re.DOTALL)
    assert table
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table.group()))
    assert named <= KNOWN
    assert {"DATABASE_URL", "REDIS_URL", "S3_ENDPOINT", "JWT_SECRET"} <= named
