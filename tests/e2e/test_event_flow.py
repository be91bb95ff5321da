"""Webhooks, the stream of events, metrics and traces of a whole running stack."""

import json
import threading
from pathlib import Path
from queue import Queue
from uuid import uuid4

import httpx
from support.api.receiver import Receiver, receiver
from support.servers.stack import Stack

TRACE_ID = uuid4().hex
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def sign_up(url: str) -> dict[str, str]:
    answer = httpx.post(f"{url}/api/auth/signup", json={"email": "ada@example.org", "password": "a long password"})
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['data']['token']}"}


def follow(url: str, headers: dict[str, str], heard: Queue[tuple[str, str]]) -> None:
    """Put each event's type and data into `heard` until the server goes."""
    with httpx.Client(timeout=httpx.Timeout(30)) as client, client.stream("GET", url, headers=headers) as answer:
        event = ""
        heard.put(("open", str(answer.status_code)))
        try:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    heard.put((event, value))
        except httpx.HTTPError:
            return


def ping(url: str, headers: dict[str, str], told: Receiver) -> str:
    made = httpx.post(f"{url}/api/webhooks", headers=headers, json={"url": told.url, "events": ["clip.completed"]})
    assert made.status_code == 201, made.text
    webhook_id = made.json()["data"]["id"]
    tested = httpx.post(f"{url}/api/webhooks/{webhook_id}/test", headers={**headers, "traceparent": TRACEPARENT})
    assert tested.headers["x-request-id"] == TRACE_ID
    return str(webhook_id)


def test_event_reaches_the_receiver_and_the_stream_under_one_trace(tmp_path: Path) -> None:
    with receiver() as told:
        environment = {"IMPORT_ALLOW_HOSTS": told.authority, "APP_ENV": "development"}
        with Stack(tmp_path / "data", environment=environment) as stack:
            url = stack.ready()
            headers = sign_up(url)
            heard: Queue[tuple[str, str]] = Queue()
            follower = threading.Thread(target=follow, args=(f"{url}/api/events", headers, heard))
            follower.start()
            assert heard.get(timeout=30) == ("open", "200")
            webhook_id = ping(url, headers, told)
            stack.until(lambda: told.received, "the webhook's message")
            event, data = heard.get(timeout=30)
            deliveries = f"{url}/api/webhooks/{webhook_id}/deliveries?status=delivered"
            stack.until(lambda: httpx.get(deliveries, headers=headers).json()["data"]["items"], "the delivery")
            metrics = httpx.get(f"{url}/metrics").text
            stack.stop()
            follower.join(30)

        assert event == "webhook.test"
        assert json.loads(data) == told.received[0].body
        assert "snuggles_dispatcher_active 1.0" in metrics
        assert 'snuggles_workers{state="active"} 1.0' in metrics
        of_trace = [line for line in stack.said.splitlines() if TRACE_ID in line]
        for said in ("request", "jobs_sent", "job_started", "webhook_sent", "job_ended"):
            assert any(said in line for line in of_trace), f"{said} is not in the trace:\n{stack.said}"
