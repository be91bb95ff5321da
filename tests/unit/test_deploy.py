"""Examples for operators name commands, settings and files that exist."""

import json
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any

import yaml

from cli.main import app
from cli.stack.parts import SETTINGS
from services.process.settings import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands}
SECRET = secrets.token_hex(32)
NEEDED = "sum(max by (queue) (snuggles_slots_needed))"
"""What autoscalers go by: one number, however many API processes say it."""
KNOWN = {*SETTINGS, "PORT", "MIGRATION_DATABASE_URL"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def test_compose_runs_commands_that_exist_with_settings_that_exist() -> None:
    (compose,) = documents(ROOT / "compose.yaml")
    built = {name for name, service in compose["services"].items() if service.get("build")}
    assert built == {name for name, service in compose["services"].items() if service["image"] == "big-snuggles"}
    ours = {name: compose["services"][name] for name in built if "command" in compose["services"][name]}
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


def filled_in(value: str) -> str:
    """A value of compose.yaml with what Compose puts into it, as an operator who sets only what is demanded."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?)\}", lambda found: found[1] if found[1] is not None else SECRET, value)


def test_compose_gives_every_process_settings_that_it_starts_with() -> None:
    (compose,) = documents(ROOT / "compose.yaml")
    for name in ("api", "dispatcher", "worker"):
        environment = {key: filled_in(value) for key, value in compose["services"][name]["environment"].items()}
        assert load(environment).app_env == "production"
    (port,) = compose["services"]["api"]["ports"]
    assert port.endswith(f":{image_port()}")
    assert f":{image_port()}/health" in compose["services"]["api"]["healthcheck"]["test"][-1]


def image_port() -> str:
    """Where a process of the image listens."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (port,) = re.findall(r"\bPORT=(\d+)", dockerfile)
    assert f"EXPOSE {port}" in dockerfile
    return str(port)


def kubernetes() -> list[dict[str, Any]]:
    return [document for path in (DEPLOY / "kubernetes").glob("*.yaml") for document in documents(path)]


def test_kubernetes_gives_every_process_settings_that_it_starts_with() -> None:
    text = (DEPLOY / "kubernetes" / "snuggles.yaml").read_text()
    named = re.findall(r"--from-literal=([A-Z0-9_]+)=\\?\"?(\w+://|)", text)
    secret = {name: f"{scheme}host" if scheme else SECRET for name, scheme in named}
    (config,) = [document["data"] for document in kubernetes() if document["kind"] == "ConfigMap"]
    settings = load({**secret, **config})
    assert (settings.app_env, settings.storage_dir) == ("production", None)


def test_kubernetes_services_and_probes_lead_to_processes_that_answer() -> None:
    found = kubernetes()
    pods = [document["spec"]["template"] for document in found if document["kind"] == "Deployment"]
    for document in found:
        if document["kind"] == "Deployment":
            wanted = document["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= document["spec"]["template"]["metadata"]["labels"].items()
        if document["kind"] == "Service":
            (pod,) = [pod for pod in pods if document["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
            (port,) = document["spec"]["ports"]
            assert {"containerPort": port["targetPort"]} in pod["spec"]["containers"][0]["ports"]
    for container in (container for document in found for container in containers(document)):
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in container:
                request = container[probe]["httpGet"]
                assert request["path"] == {"livenessProbe": "/health", "readinessProbe": "/ready"}[probe]
                assert {"containerPort": request["port"]} in container["ports"]
        assert all(str(port["containerPort"]) == image_port() for port in container.get("ports", []))
        mounted = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
        scratch = {variable["value"] for variable in container.get("env", []) if variable["name"] == "SCRATCH_DIR"}
        assert scratch <= mounted


def test_kubernetes_runs_commands_that_exist_with_settings_that_exist() -> None:
    found = kubernetes()
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


def test_nginx_sends_each_path_to_a_process_and_holds_no_body_back() -> None:
    text = (DEPLOY / "nginx" / "snuggles.conf").read_text()
    assert text.count("{") == text.count("}")
    assert set(re.findall(r"proxy_pass http://(\w+);", text)) == set(re.findall(r"^upstream (\w+)", text, re.MULTILINE))
    # The port belongs to the host: pages, signed addresses and the check of a socket's origin are about both.
    assert set(re.findall(r"proxy_set_header Host (\S+);", text)) == {"$http_host"}
    for line in ("client_max_body_size 0;", "proxy_request_buffering off;", "proxy_buffering off;"):
        assert line in text


def test_railway_runs_every_process_of_a_fleet_and_lets_workers_finish() -> None:
    found = {path.stem: json.loads(path.read_text()) for path in (DEPLOY / "railway").iterdir()}
    assert set(found) == {"api", "dispatcher", "worker"}
    for name, service in found.items():
        assert (ROOT / service["build"]["dockerfilePath"]).is_file()
        commands = [service["deploy"]["startCommand"], *service["deploy"].get("preDeployCommand", [])]
        # A start command takes the place of the image's entry point there.
        assert all(command.split()[0] == "snuggles" and command.split()[1] in COMMANDS for command in commands)
        assert commands[0].split()[1] == name
    assert found["api"]["deploy"]["preDeployCommand"] == ["snuggles migrate"]
    (compose,) = documents(ROOT / "compose.yaml")
    assert f"{found['worker']['deploy']['drainingSeconds']}s" == compose["services"]["worker"]["stop_grace_period"]


def test_static_hosts_answer_every_address_with_a_document_that_is_built() -> None:
    documents = {"/app.html", "/ops.html"}
    rewrites = json.loads((DEPLOY / "vercel.json").read_text())["rewrites"]
    redirects = tomllib.loads((DEPLOY / "netlify.toml").read_text())["redirects"]
    assert {each["destination"] for each in rewrites} == documents
    assert {each["to"] for each in redirects} == documents
    assert all(each["status"] == 200 for each in redirects)
    assert all((DEPLOY.parent / "web" / document.removeprefix("/")).is_file() for document in documents)
