"""Browsers for tests: opens a page in Chromium (or Firefox) without a window. The page itself reports to the test."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = (
    "--headless=new",
    "--no-sandbox",  # root, as in a container, has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
)
FIREFOX = ("--headless", "--no-remote", "--new-instance")
QUIET_FIREFOX = """\
user_pref("media.autoplay.default", 0);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
"""


def find_chromium() -> str:
    """Return Chromium's program. Skips the test where there is none; CI has no such excuse."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return found
    sentence = "Chromium is not installed; tests/chromium.sh installs it on Debian"
    if os.environ.get("CI") == "true":
        raise FileNotFoundError(sentence)
    pytest.skip(sentence)


@contextmanager
def page(program: str, url: str, folder: Path) -> Iterator[None]:
    """Show a page, in a profile of its own inside `folder`, while the block runs."""
    profile = folder / "profile"
    profile.mkdir()
    if "firefox" in program:
        (profile / "user.js").write_text(QUIET_FIREFOX, encoding="ascii")
        arguments: tuple[str, ...] = (*FIREFOX, "--profile", str(profile))
    else:
        arguments = (*CHROMIUM, f"--user-data-dir={profile}")
    with (folder / "browser.log").open("wb") as log:
        # A session of its own: browsers are many processes, which all have to go.
        process = subprocess.Popen(
            [program, *arguments, url], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            end_session(process)


def end_session(process: "subprocess.Popen[bytes]") -> None:
    """End a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
