"""An owner in a storm: asks for things through the public API, again and again until each has been answered."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import httpx

EVENTS = ["recording.ready", "recording.failed", "highlights.ready", "clip.completed", "clip.failed", "clip.expired"]
REQUEST_S = 30.0
AGAIN_S = 0.2
LOOK_S = 0.4
TRY_AGAIN = (429, 502, 503, 504)
ACTIONS = {
    "clip": 12,
    "auto": 2,
    "cancel": 3,
    "delete_clip": 2,
    "abandon": 1,
    "retry": 1,
    "upload": 2,
    "import": 2,
    "delete": 1,
}
"""What owners do, and how often."""
IN_VAIN = 0.25
"""How many imports ask for what is not there."""
TWINS = 0.3
"""How many clips are the same as the one before."""


class Abandoned(Exception):  # noqa: N818 - no error: the test is over
    """The storm is over, whatever is still to be done."""


class Owner(threading.Thread):
    """Does `actions` things, each decided by dice of its own. What it was promised is kept for the count at the end."""

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        *,
        user_id: UUID,
        token: str,
        addresses: Sequence[str],
        media: bytes,
        seed: str,
        actions: int,
        hook: str,
        source: str,
    ) -> None:
        super().__init__(name=f"owner-{seed}")
        self.user_id = user_id
        self.jobs: set[str] = set()
        """Accepted jobs whose subject was not deleted since."""
        self.clips: set[str] = set()
        self.recordings: set[str] = set()
        self.deleted_clips: set[str] = set()
        self.deleted_recordings: set[str] = set()
        self.error: BaseException | None = None
        self.abandoned = threading.Event()
        self._dice = random.Random(seed)  # noqa: S311 - a seed that replays, no secret
        self._addresses = list(addresses)
        self._media = media
        self._actions = actions
        self._hook = hook
        self._source = source
        self._client = httpx.Client(timeout=REQUEST_S, headers={"Authorization": f"Bearer {token}"})
        self._jobs_of: dict[str, set[str]] = {}
        self._last_clip: dict[str, Any] | None = None

    def run(self) -> None:
        try:
            with self._client:
                self._live()
        except BaseException as error:  # noqa: BLE001 - the edge of a thread: the test reports it
            self.error = error

    def _live(self) -> None:
        self._ask("POST", "/api/webhooks", {"url": self._hook, "events": EVENTS}, expect=(201,))
        self.upload()
        acts: dict[str, Callable[[], None]] = {
            "clip": self.clip,
            "auto": self.auto,
            "cancel": self.cancel,
            "delete_clip": self.delete_clip,
            "abandon": self.abandon,
            "retry": self.retry,
            "upload": self.upload,
            "import": self.import_url,
            "delete": self.delete,
        }
        for action in self._dice.choices(list(ACTIONS), list(ACTIONS.values()), k=self._actions):
            acts[action]()
            self._sleep(self._dice.uniform(0.0, 0.5))

    def upload(self) -> None:
        """Send a recording and wait until it can be cut."""
        while True:
            data = self._announce()
            recording_id = data["recording"]["id"]
            tags = [self._put(part) for part in data["upload"]["parts"]]
            path = f"/api/recordings/{recording_id}"
            done = self._ask("POST", f"{path}/complete", {"parts": tags}, expect=(202,))
            self._note_job(recording_id, done["job"])
            self.recordings.add(recording_id)
            while (status := self._ask("GET", path)["status"]) == "processing":
                self._sleep(LOOK_S)
            if status == "ready":
                return

    def import_url(self) -> None:
        """Name an address and do not wait."""
        name = "gone.mp4" if self._dice.random() < IN_VAIN else "talk.mp4"
        data = self._ask("POST", "/api/recordings/import", {"url": f"{self._source}/{name}"}, expect=(202,))
        self.recordings.add(data["recording"]["id"])
        self._note_job(data["recording"]["id"], data["job"])

    def abandon(self) -> None:
        """Begin an upload and think better of it."""
        for part in self._announce()["upload"]["parts"]:
            self._put(part)

    def clip(self) -> None:
        self._clip()

    def auto(self) -> None:
        body = {"recording_id": self._recording(), "top": 2, "formats": ["mp3"]}
        made = self._ask("POST", "/api/clips/auto-generate", body, expect=(202, 409))
        for clip, job in zip(made.get("clips", []), made.get("jobs", []), strict=False):
            self.clips.add(clip["id"])
            self._note_job(clip["id"], job)

    def cancel(self) -> None:
        clip_id = self._clip()
        self._sleep(self._dice.uniform(0.0, 2.0))
        self._ask("POST", f"/api/clips/{clip_id}/cancel", expect=(200, 202, 409))

    def delete_clip(self) -> None:
        """Delete one that is being made, or was."""
        clip_id = self._clip()
        self._sleep(self._dice.uniform(0.0, 2.0))
        self._forget(clip_id, f"/api/clips/{clip_id}")
        self.clips.discard(clip_id)
        self.deleted_clips.add(clip_id)

    def retry(self) -> None:
        """Make one again that was not made."""
        for clip in self._ask("GET", "/api/clips?status=cancelled&limit=1")["items"]:
            answer = self._ask("POST", f"/api/clips/{clip['id']}/retry", expect=(202, 409))
            if "job" in answer:
                self._note_job(clip["id"], answer["job"])

    def delete(self) -> None:
        """Delete a recording while it is being looked at."""
        data = self._announce()
        recording_id = data["recording"]["id"]
        tags = [self._put(part) for part in data["upload"]["parts"]]
        self._ask("POST", f"/api/recordings/{recording_id}/complete", {"parts": tags}, expect=(202,))
        self._sleep(self._dice.uniform(0.0, 2.0))
        self._forget(recording_id, f"/api/recordings/{recording_id}")
        self.deleted_recordings.add(recording_id)

    def _announce(self) -> dict[str, Any]:
        body = {"filename": "talk.mp4", "size_bytes": len(self._media), "content_type": "video/mp4"}
        return self._ask("POST", "/api/recordings", body, expect=(201,))

    def _put(self, part: dict[str, Any]) -> dict[str, Any]:
        while True:
            try:
                answer = self._client.put(part["url"], content=self._media, headers={"Authorization": ""})
            except httpx.TransportError:
                self._sleep(AGAIN_S)
                continue
            if answer.status_code == 200:
                return {"number": part["number"], "etag": answer.headers["ETag"]}
            assert answer.status_code >= 500, answer.text
            self._sleep(AGAIN_S)

    def _clip(self) -> str:
        """Ask for a clip: a new one, or one that was asked for before and may share what is made."""
        if self._last_clip is None or self._dice.random() > TWINS:
            self._last_clip = self._new_clip()
        made = self._ask("POST", "/api/clips", self._last_clip, expect=(202,))
        clip_id: str = made["clip"]["id"]
        self.clips.add(clip_id)
        self._note_job(clip_id, made["job"])
        return clip_id

    def _new_clip(self) -> dict[str, Any]:
        start_s = self._dice.uniform(0.0, 6.0)
        return {
            "recording_id": self._recording(),
            "start_s": start_s,
            "end_s": start_s + self._dice.uniform(5.0, 6.0),
            "formats": self._dice.choice([["mp4"], ["mp3"], ["mp4", "mp3"]]),
            "accuracy": self._dice.choice(["exact", "fast", "encode"]),
        }

    def _recording(self) -> str:
        ready = self._ask("GET", "/api/recordings?status=ready&limit=1")["items"]
        return str(ready[0]["id"])

    def _note_job(self, subject: str, job: dict[str, Any]) -> None:
        self.jobs.add(job["id"])
        self._jobs_of.setdefault(subject, set()).add(job["id"])

    def _forget(self, subject: str, path: str) -> None:
        self._ask("DELETE", path, expect=(200, 204, 404))
        self.jobs -= self._jobs_of.pop(subject, set())

    def _ask(self, method: str, path: str, body: Any = None, *, expect: Sequence[int] = (200,)) -> dict[str, Any]:
        """Ask either API until there is an answer that counts; a repeat carries the same key."""
        key = f"{self._dice.getrandbits(128):032x}"
        address = self._dice.randrange(len(self._addresses))
        while True:
            try:
                answer = self._client.request(
                    method, self._addresses[address] + path, json=body, headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:
                address = (address + 1) % len(self._addresses)
                self._sleep(AGAIN_S)
                continue
            if answer.status_code in TRY_AGAIN or '"request_in_progress"' in answer.text:
                self._sleep(AGAIN_S)
                continue
            assert answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text}"
            data: dict[str, Any] = answer.json().get("data") or {} if answer.content else {}
            return data

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)
        if self.abandoned.is_set():
            raise Abandoned
