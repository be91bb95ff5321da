"""Clients that others generate from our OpenAPI document: they type-check, and run the main path."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.api.product import Person, Product, running_product
from support.clients import TESTS, run_tool
from support.servers.fleet import make_media

from cli.embedded import postgres, valkey

WEB = TESTS.parent / "web"
MAIN_PATH = """
import sys
import time

import httpx

from snuggles_client import AuthenticatedClient
from snuggles_client.api.clips import create_clip, get_clip
from snuggles_client.api.recordings import complete_recording, create_recording, get_recording
from snuggles_client.models import ClipRequest, CompleteRequest, Failure, PartTagRequest, RecordingRequest


def main(url: str, token: str, path: str) -> None:
    client = AuthenticatedClient(base_url=url, token=token)
    content = open(path, "rb").read()
    asked = RecordingRequest(filename="talk.mp4", size_bytes=len(content), content_type="video/mp4")
    created = create_recording.sync(client=client, body=asked)
    assert created is not None and not isinstance(created, Failure)
    recording, upload = created.data.recording, created.data.upload
    parts = []
    for place, part in enumerate(upload.parts):
        start = place * upload.part_size_bytes
        answer = httpx.put(part.url, content=content[start : start + upload.part_size_bytes])
        parts.append(PartTagRequest(number=part.number, etag=answer.headers["ETag"]))
    done = complete_recording.sync(recording.id, client=client, body=CompleteRequest(parts=parts))
    assert done is not None and not isinstance(done, Failure)
    for _ in range(600):
        found = get_recording.sync(recording.id, client=client)
        assert found is not None and not isinstance(found, Failure)
        if found.data.status == "ready":
            break
        time.sleep(0.1)
    clip = create_clip.sync(client=client, body=ClipRequest(recording_id=recording.id, start_s=2, end_s=8))
    assert clip is not None and not isinstance(clip, Failure)
    for _ in range(600):
        made = get_clip.sync(clip.data.clip.id, client=client)
        assert made is not None and not isinstance(made, Failure)
        if made.data.status == "completed":
            print("completed", sorted(made.data.outputs.to_dict()))
            return
        time.sleep(0.1)


main(*sys.argv[1:])
"""
# The generator's own client does not check: it hands `*args: object` on to httpx.
MYPY = """
[mypy]
[mypy-snuggles_client.client]
disable_error_code = arg-type
"""
TYPESCRIPT = """
import type { paths, components } from './snuggles';

type Created = paths['/api/recordings']['post']['responses'][201]['content']['application/json'];
type Timeline = components['schemas']['TimelineView'];

export function partsOf(created: Created): string[] {
  const isDone: true = created.success;
  return isDone ? created.data.upload.parts.map((part) => part.url) : [];
}
export function loudest(timeline: Timeline): number {
  return Math.max(...(timeline.curve?.values ?? [0]));
}
export const asked: paths['/api/clips']['post']['requestBody']['content']['application/json']['start_s'] = 2;
"""


@pytest.fixture(scope="module")
def product(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Product]:
    with running_product(postgres_server, valkey_server, tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="module")
def person(product: Product) -> Person:
    return product.person()


@pytest.fixture(scope="module")
def document(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(httpx.get(f"{product.url}/api/docs/openapi.json", timeout=30).text)
    return path


def test_python_client_is_whole_checks_and_makes_a_clip(product: Product, person: Person, document: Path) -> None:
    folder = document.parent
    told = run_tool(
        "openapi-python-client",
        *("generate", "--path", document, "--output-path", folder / "snuggles_client", "--meta", "none"),
        "--fail-on-warning",
        folder=folder,
    )
    assert "warning" not in told.lower(), told
    (folder / "main_path.py").write_text(MAIN_PATH)
    (folder / "mypy.ini").write_text(MYPY)
    run_tool("mypy", "main_path.py", folder=folder)
    media = make_media(folder / "talk.mp4", duration_s=12)
    token = person.client.headers["Authorization"].removeprefix("Bearer ")
    assert (
        run_tool("python", "main_path.py", product.url, token, media, folder=folder)
        == "completed ['jpeg', 'mp4', 'webp']\n"
    )


def test_typescript_types_check(document: Path) -> None:
    folder = document.parent
    (folder / "main_path.ts").write_text(TYPESCRIPT)
    for command in (
        ["openapi-typescript", document, "--output", "snuggles.d.ts"],
        ["tsc", "--noEmit", "--strict", "main_path.ts"],
    ):
        program = WEB / "node_modules" / ".bin" / command[0]
        ended = subprocess.run(
            [program, *command[1:]], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_requests_that_the_document_allows_meet_no_fault_of_ours(
    product: Product, person: Person, document: Path
) -> None:
    written = json.loads(document.read_text())
    assert len(written["paths"]) > 50
    configuration = TESTS / "clients" / "schemathesis.toml"
    run_tool(
        "schemathesis",
        *("--config-file", configuration, "run", document, "--url", product.url, "--seed", "1", "--workers", "2"),
        *("-H", f"Authorization: {person.client.headers['Authorization']}"),
        *("--phases", "examples,fuzzing", "--max-examples", "3", "--warnings", "off"),
        *(
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ),
        # Ends the session that asks, waits for events, or belongs to operators.
        *("--exclude-path-regex", "^/api/(me$|auth|events|me/sessions|ops|admin|jobs/[^/]+/events)"),
        folder=document.parent,
    )
