"""A small client of the HTTP API."""

from pathlib import Path
from typing import Any

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from cli.errors import BrokenEnvironmentError, CommandError

CONNECT_S = 10
ANSWER_S = 60
CHUNK_BYTES = 1 << 20


class Client:
    """A client of one service; with `token` set, it acts as a user."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.token: str | None = None
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S), retries=urllib3.Retry(3, other=0)
        )

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return `data` of the answer.

        CommandError with the message of the service when it refuses; BrokenEnvironmentError when it does not answer.
        """
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else msgspec.json.encode(body)
        try:
            answer = self._pool.request(method, self.url + path, headers=headers, body=content, redirect=False)
        except HTTPError as error:
            raise BrokenEnvironmentError(f"The service at {self.url} does not answer: {error}") from error
        try:
            document = msgspec.json.decode(answer.data) if answer.data else {}
        except msgspec.DecodeError as error:
            raise CommandError(f"{method} {path} was answered with status {answer.status} and no JSON") from error
        if not document.get("success"):
            raise CommandError(document.get("error", {}).get("message", f"{method} {path}: status {answer.status}"))
        return document["data"]

    def put(self, url: str, content: bytes) -> str:
        """Store one part of an upload at its signed URL and return its ETag."""
        try:
            answer = self._pool.request("PUT", url, body=content)
        except HTTPError as error:
            raise BrokenEnvironmentError(f"The storage does not answer: {error}") from error
        if answer.status not in {200, 201, 204}:
            raise CommandError(f"The storage refused a part with status {answer.status}")
        return answer.headers["ETag"]

    def download(self, path: str, target: Path) -> None:
        """Download a path of the service into a file."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = self._pool.request("GET", self.url + path, headers=headers, preload_content=False)
            if answer.status != 200:  # noqa: PLR2004 - an HTTP status
                raise CommandError(f"{path} was answered with status {answer.status}")
            with target.open("wb") as file:
                for chunk in answer.stream(CHUNK_BYTES):
                    file.write(chunk)
        except HTTPError as error:
            raise BrokenEnvironmentError(f"{path} could not be downloaded: {error}") from error
