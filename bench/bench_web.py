"""The web app in Chromium: what its pages load, when they have painted, and how long they block.

    python bench/bench_web.py [--rounds 5] [--slowdown 4]

Starts its own stack on a loopback address and opens each page as a new visitor, on a processor that is slowed down. The
bare page is `/health` on the same machine: what the browser and the address alone take. Medians of the rounds.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct
from playwright.sync_api import Browser, sync_playwright

from cli.embedded.port import free_port

PAGES = {"bare": "/health", "front": "/", "login": "/login", "recordings": "/recordings", "clips": "/clips"}
PRIVATE = {"recordings", "clips"}
PASSWORD = "a password for a benchmark"  # noqa: S105 - of an account that ends with the benchmark
SETTLED_MS = 1500
"""Time after which nothing more is drawn: the lists are empty, and their requests take milliseconds."""
WATCH = """
window.seen = { paint: 0, blocking: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.seen.paint = entry.startTime;
}).observe({ type: 'largest-contentful-paint', buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.seen.blocking += Math.max(0, entry.duration - 50);
}).observe({ type: 'longtask', buffered: true });
"""


class Seen(Struct, frozen=True, kw_only=True):
    """One page, opened once."""

    paint_ms: float
    blocking_ms: float
    script_bytes: int
    total_bytes: int


def main() -> None:
    """Open, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slowdown", type=float, default=4)
    arguments = parser.parse_args()
    with stack() as url, sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        body = {"email": "bench@example.org", "password": PASSWORD}
        httpx.post(f"{url}/api/auth/signup", json=body, timeout=30).raise_for_status()
        print(f"processor slowed down {arguments.slowdown:g} times, {arguments.rounds} rounds")
        print(f"{'page':12}{'largest paint':>14}{'to bare':>9}{'blocking':>10}{'script':>10}{'all':>10}")
        bare_ms = 0.0
        for name, path in PAGES.items():
            rounds = [look(browser, url, name, path, arguments.slowdown) for _ in range(arguments.rounds)]
            paint_ms = statistics.median(each.paint_ms for each in rounds)
            blocking_ms = statistics.median(each.blocking_ms for each in rounds)
            bare_ms = bare_ms or paint_ms
            script, total = rounds[0].script_bytes / 1000, rounds[0].total_bytes / 1000
            painted = f"{name:12}{paint_ms:11.0f} ms{paint_ms / bare_ms:9.1f}{blocking_ms:7.0f} ms"
            print(f"{painted}{script:7.0f} kB{total:7.0f} kB")
        browser.close()


def look(browser: Browser, url: str, name: str, path: str, slowdown: float) -> Seen:
    """Open a page with nothing in the cache."""
    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 844})
    if name in PRIVATE:
        login = {"email": "bench@example.org", "password": PASSWORD, "cookie": True}
        if not context.request.post("/api/auth/login", data=login).ok:
            raise RuntimeError("The login was refused.")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    kinds: dict[str, str] = {}
    loaded = {"Script": 0.0, "": 0.0}
    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))

    def note(event: dict[str, object]) -> None:
        number = float(str(event["encodedDataLength"]))
        loaded[""] += number
        if kinds.get(str(event["requestId"])) == "Script":
            loaded["Script"] += number

    session.on("Network.loadingFinished", note)
    page.add_init_script(WATCH)
    page.goto(path)
    page.wait_for_timeout(SETTLED_MS)
    seen = page.evaluate("window.seen")
    context.close()
    return Seen(
        paint_ms=seen["paint"],
        blocking_ms=seen["blocking"],
        script_bytes=int(loaded["Script"]),
        total_bytes=int(loaded[""]),
    )


@contextmanager
def stack() -> Iterator[str]:
    """Yield the address of an installation of its own."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w+") as output:
        command = [sys.executable, "-m", "cli.main", "up", "--port", str(free_port()), "--data", folder]
        # A file, because a pipe that nobody reads fills up, and then the stack neither serves nor stops.
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        try:
            yield ready_address(process, Path(output.name))
        finally:
            process.terminate()
            process.wait(timeout=60)


def ready_address(process: subprocess.Popen[bytes], output: Path) -> str:
    """Return the address that the stack prints once it serves."""
    while process.poll() is None:
        if found := re.search(r"^ready (http\S+)\n", output.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError("The stack ended before it served.")


if __name__ == "__main__":
    main()
