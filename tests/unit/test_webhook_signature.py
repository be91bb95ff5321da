"""The signature, and the ways to check it that docs/webhooks.md shows: the very text of the page is run."""

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from services.outbound.signature import sign

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
SECRET = "whsec_0123456789abcdef0123456789abcdef"
BODY = '{"type":"clip.completed","data":{"title":"Ü"}}\n'.encode()


def example(language: str, mark: str) -> str:
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if mark in text]
    return found


@pytest.fixture
def is_ours() -> Any:
    names: dict[str, Any] = {}
    exec(example("python", "def is_ours"), names)  # noqa: S102 - our own page
    return names["is_ours"]


def test_known_signature_is_reproduced() -> None:
    # Computed with: printf '17.{}' | openssl dgst -sha256 -hmac key
    assert (
        sign("key", b"{}", at_s=17)
        == "t=17,v1="
        + subprocess.run(
            ["openssl", "dgst", "-sha256", "-hmac", "key"], input=b"17.{}", capture_output=True, check=True
        )
        .stdout.decode()
        .split()[-1]
    )


def test_python_of_the_page_accepts_ours_and_nothing_else(is_ours: Any) -> None:
    now_s = int(time.time())
    good = sign(SECRET, BODY, at_s=now_s)
    assert is_ours(SECRET, good, BODY)
    assert not is_ours(SECRET, good, BODY + b" ")
    assert not is_ours("whsec_another", good, BODY)
    assert not is_ours(SECRET, good.replace(f"t={now_s}", f"t={now_s - 1}"), BODY)
    assert not is_ours(SECRET, sign(SECRET, BODY, at_s=now_s - 301), BODY)
    assert not is_ours(SECRET, sign(SECRET, BODY, at_s=now_s + 400), BODY)
    for header in ("", "t=1", "v1=ab", "t=x,v1=ab", "nonsense", "t=1,v1=ü"):
        assert not is_ours(SECRET, header, BODY)


@pytest.mark.parametrize(("body", "said"), [(BODY, "genuine\n"), (BODY + b"x", "")])
def test_shell_of_the_page_tells_ours_from_others(tmp_path: Path, body: bytes, said: str) -> None:
    (tmp_path / "body.json").write_bytes(body)
    stamp, signature = (field.partition("=")[2] for field in sign(SECRET, BODY, at_s=1_700_000_000).split(","))
    environment = {"PATH": "/usr/bin:/bin", "T": stamp, "V1": signature, "SECRET": SECRET}
    ran = subprocess.run(
        ["sh", "-c", example("sh", "openssl dgst")], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert ran.stdout.decode() == said
    assert ran.stderr == b""
