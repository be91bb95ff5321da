"""Frames a second of a long list of clips and of a recording of six hours, in Chromium.

    python bench/bench_scroll.py [--clips 10000] [--seconds 4]

The stack is real; what the API would answer about the clips and the recording is made here, as nobody wants to wait for
six hours of sound. `scrolled` moves by 60 pixels a frame, `zoomed` in and out of the whole recording.
"""

import argparse
import math
import random
import re
import shutil
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from bench_web import PASSWORD, stack
from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

DURATION_S = 6 * 3600.0
RATE = 10
RECORDING = str(UUID(int=5))
AT = "2026-01-31T12:00:00Z"
FRAMES = """([ms, move]) => new Promise((done) => {
  const gaps = [], step = new Function('n', move), first = performance.now();
  let last = first;
  requestAnimationFrame(function frame(now) {
    gaps.push(now - last);
    last = now;
    step(gaps.length);
    if (now - first < ms) requestAnimationFrame(frame);
    else done(gaps.slice(2));
  });
})"""
LANE = (
    "document.querySelector('.main-lane').dispatchEvent(new WheelEvent('wheel', {cancelable: true, clientX: 600, %s}))"
)
BACK_AND_FORTH = "(n % 60 < 30 ? -40 : 40)"


def main() -> None:
    """Open, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with stack() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 844}, bypass_csp=True)
        account = {"email": "bench@example.org", "password": PASSWORD, "cookie": True}
        if not context.request.post("/api/auth/signup", data=account).ok:
            raise RuntimeError("The sign-up was refused.")
        page = context.new_page()
        print(f"{'what':34}{'a second':>10}{'worst gap':>12}")
        show_list(context, page, arguments.clips, arguments.seconds)
        show_timeline(context, page, arguments.seconds)
        browser.close()


def show_list(context: BrowserContext, page: Page, number: int, seconds: float) -> None:
    """Scroll a list while it loads, and again once it is there."""
    context.route(re.compile(r"/api/clips\?"), clips_of(number))
    page.goto("/clips")
    page.wait_for_selector(".ccard")
    measure(page, "clips, scrolled while they load", "scrollBy(0, 60)", seconds)
    while page.locator(".more").count():
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(10)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    measure(page, f"{number} clips, scrolled", "scrollBy(0, 60)", seconds)


def show_timeline(context: BrowserContext, page: Page, seconds: float) -> None:
    """Scroll a minute of six hours, then zoom out and in, and along the whole."""
    context.route(re.compile(f"/api/recordings/{RECORDING}"), recording_of())
    page.goto(f"/recordings/{RECORDING}")
    page.wait_for_selector(".main-lane canvas")
    page.wait_for_timeout(1500)
    measure(page, "six hours, scrolled close by", LANE % "deltaX: 30", seconds)
    measure(page, "six hours, zoomed out", LANE % "deltaY: 40, ctrlKey: true", seconds)
    measure(page, "six hours, zoomed in and out", LANE % f"deltaY: {BACK_AND_FORTH}, ctrlKey: true", seconds)


def measure(page: Page, name: str, move: str, seconds: float) -> None:
    """Do something in every frame, and print how many came."""
    gaps = page.evaluate(FRAMES, [1000 * seconds, move])
    print(f"{name:34}{1000 * len(gaps) / sum(gaps):10.1f}{max(gaps):9.0f} ms", flush=True)


def clips_of(number: int) -> Callable[[Route], None]:
    """Return what answers pages of a list of so many clips."""

    def answer(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        first = int(query.get("cursor", ["0"])[0])
        last = min(number, first + int(query["limit"][0]))
        items = [clip(place) for place in range(first, last)]
        fulfil(route, {"items": items, "next_cursor": str(last) if last < number else None})

    return answer


def clip(place: int) -> dict[str, Any]:
    """Return one clip, as far as its card asks for it."""
    return {
        "id": str(UUID(int=place + 1)),
        "status": "completed",
        "recording_id": RECORDING,
        "title": f"Moment {place} of a long evening with friends",
        "start_s": 1.0,
        "duration_s": 9.0,
        "preset": "original",
        "formats": ["mp4"],
        "kind": "humor",
        "view_count": place % 90,
        "share_count": place % 7,
        "thumbnail_url": "/icon-192.png",
    }


def recording_of() -> Callable[[Route], None]:
    """Return what answers everything about the recording of six hours with 300 highlights."""
    chance = random.Random(1)  # noqa: S311 - the same figures each time
    peaks = [int(140 * abs(math.sin(place / 500)) * chance.random()) for place in range(int(DURATION_S) * RATE)]
    values = [abs(math.sin(place / 3000)) * chance.random() for place in range(int(DURATION_S) * RATE)]
    timeline = {
        "recording_id": RECORDING,
        "duration_s": DURATION_S,
        "waveform": {"rate": RATE, "peaks": peaks, "duration_s": DURATION_S},
        "curve": {"rate": RATE, "values": values},
        "tagger": None,
        "keyframes_s": [],
        "activity": [],
        "activity_bin_s": 6.0,
        "moments": [],
    }
    answers: dict[str, Any] = {
        "/timeline": timeline,
        "/highlights": {"items": [highlight(place) for place in range(300)], "next_cursor": None, "sensitivity": 0.5},
        "/playback": {"url": "/sample.mp4", "poster_url": None, "content_type": "video/mp4", "expires_at": AT},
    }
    recording = {"id": RECORDING, "status": "ready", "title": "Six hours", "created_at": AT, "duration_s": DURATION_S}
    recording |= {"has_audio": True, "has_video": True, "filename": "six.mp4", "ready_at": AT, "highlight_count": 300}

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        fulfil(route, next((found for end, found in answers.items() if path.endswith(end)), recording))

    return answer


def highlight(place: int) -> dict[str, Any]:
    """Return one of 300 highlights."""
    start_s = DURATION_S * place / 300
    times = {"start_s": start_s, "end_s": start_s + 10, "core_start_s": start_s + 1, "core_end_s": start_s + 9}
    score = 0.3 + 0.6 * ((place * 37) % 100) / 100
    kind = ("humor", "celebration", "surprise")[place % 3]
    more = {"peak_s": start_s + 5, "score": score, "kind": kind, "kind_confidence": 0.8, "reasons": []}
    return {"id": str(UUID(int=100 + place)), **times, **more}


def fulfil(route: Route, data: Any) -> None:
    """Answer as the API does."""
    route.fulfill(json={"success": True, "data": data})


if __name__ == "__main__":
    main()
