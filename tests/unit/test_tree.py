"""What must stand nowhere in the repository."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Put together here, so that this file does not hold what it looks for. An address of a package index, or a mirror of
# one, in a lock file or a setting would tie everybody who installs this to the machine that wrote it.
INDEXES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "registry.yarn" + "pkg.com",
    "/sim" + "ple/",
]
SETTINGS = [r"index-" + r"url\s*[=:]?\s*\S*//", r"find-" + r"links\s*[=:]?\s*\S*/", r'"resol' + r'ved":\s*"http']
FORBIDDEN = re.compile("|".join([re.escape(host) for host in INDEXES] + SETTINGS), re.IGNORECASE)


def tracked_texts() -> dict[str, str]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = {}
    for name in filter(None, names.split("\0")):
        path = ROOT / name
        if path.is_file():
            texts[name] = path.read_bytes().decode("utf-8", errors="replace")
    return texts


def test_no_address_of_a_package_index_stands_in_the_tree() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in tracked_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def test_every_locked_package_has_a_hash() -> None:
    for lock in (
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-web.lock",
        "tests/clients/requirements.lock",
        "tests/swift/requirements.lock",
    ):
        text = (ROOT / lock).read_text()
        pins = re.findall(r"^[\w.-]+(?:\[.*\])?==[^\n]*\n(?P<next>[^\n]*)", text, re.MULTILINE)
        assert pins, lock
        assert all(following.strip().startswith("--hash=sha256:") for following in pins), lock


def test_every_locked_package_of_the_pages_has_a_hash() -> None:
    packages = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    fetched = {name: package for name, package in packages.items() if name}
    assert fetched
    assert [name for name, package in fetched.items() if not package.get("integrity", "").startswith("sha512-")] == []
