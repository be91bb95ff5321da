"""A client that records a room: it sends the parts of a recording that was made before, as a browser would."""

import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Browser, Playwright
from support.api.browser import launch_chromium
from support.media.audio import Sound, applause, mixed, speech
from support.media.live import RATE, split, webm
from support.servers.fleet import wait_for
from support.sockets.house import House, Member

from pipeline.live.parts import CLUSTER

PART_MS = 2000
REQUEST_S = 10.0


def conversation(seconds: float, *moments_s: float) -> Sound:
    """Somebody speaks, and is applauded for five seconds at each of these times."""
    parts = [(at, applause(5.0, rate=RATE, seed=round(at))) for at in moments_s]
    return mixed(speech(seconds, rate=RATE), *parts, rate=RATE)


def parts_of(path: Path, sound: Sound) -> list[bytes]:
    """Return what a recorder hands out every two seconds."""
    return split(webm(path, sound).read_bytes(), CLUSTER, back=0, every=PART_MS // 1000)


def launch_talking(playwright: Playwright, path: Path, sound: Sound) -> Browser:
    """Start a Chromium whose microphone plays this sound again and again; it is kept at `path`."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return launch_chromium(playwright, f"--use-file-for-fake-audio-capture={path}")


class Recorder:
    """One person's microphone in a room."""

    def __init__(self, house: House, member: Member, room_id: object) -> None:
        self.house = house
        self.member = member
        self.path = f"/api/rooms/{room_id}/recording"
        self.track_id = ""

    def ask(self, method: str, path: str = "", body: Any = None) -> Any:
        """Ask until there is an answer, as the page does: a service may be away."""

        def answer() -> httpx.Response | None:
            try:
                found = self.house.http(self.member, method, self.path + path, body)
            except httpx.TransportError:
                return None
            return None if found.status_code in {502, 503} else found

        found = wait_for(answer, what=f"an answer to {method} {path}")
        assert found.is_success, found.text
        return found.json()["data"]

    def begin(self) -> None:
        body = {"source": "microphone", "content_type": "audio/webm;codecs=opus", "client_now_ms": 0}
        self.track_id = self.ask("POST", "/tracks", body)["track"]["id"]

    def send(self, number: int, data: bytes) -> None:
        """Bring a part to storage, again from the start where something is away."""
        body = {
            "number": number,
            "size_bytes": len(data),
            "start_ms": (number - 1) * PART_MS,
            "duration_ms": PART_MS,
        }
        announced = self.ask("POST", f"/tracks/{self.track_id}/parts", body)

        def put() -> httpx.Response | None:
            try:
                return httpx.put(announced["url"], content=data, timeout=REQUEST_S)
            except httpx.TransportError:
                return None

        stored = wait_for(put, what="storage")
        assert stored.is_success, stored.text
        self.ask("POST", f"/tracks/{self.track_id}/parts/{number}/stored", {"etag": stored.headers["ETag"]})

    def ready(self, recording_id: str) -> Any:
        """Wait until the recording is ready, and return it."""

        def found() -> Any:
            shown = self.house.http(self.member, "GET", f"/api/recordings/{recording_id}").json()["data"]
            assert shown["status"] != "failed", shown["error"]
            return shown if shown["status"] == "ready" else None

        return wait_for(found, what="the recording to be ready")

    def conversations(self) -> tuple[int, int]:
        """Return how many conversations are counted and reserved."""
        items = self.house.http(self.member, "GET", "/api/subscription/usage").json()["data"]["items"]
        [row] = [item for item in items if item["feature"] == "conversations_per_month"]
        return row["used"], row["reserved"]


def overlaps(one: Any, other: Any) -> bool:
    """Return whether two highlights hold the same moment, whichever way their fields are spelled."""
    start_s, end_s = (one.get(name) or one[camel] for name, camel in (("start_s", "startS"), ("end_s", "endS")))
    return bool(other["start_s"] < end_s and start_s < other["end_s"])
