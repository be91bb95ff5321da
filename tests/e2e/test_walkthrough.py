"""The commands of the walk-through, run as they stand against a running service."""

import re
import shutil
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from support.api.command import PLAIN
from support.servers.stack import Stack

WALK_THROUGH = Path(__file__).parents[2] / "docs" / "walkthrough.md"
# More than two parts of an upload.
PADDING_BYTES = 40 * 1024 * 1024


def shell_of(section: str) -> str:
    inside = re.search(rf"<!-- {section} -->\n(.*)<!-- /{section} -->", WALK_THROUGH.read_text(), re.DOTALL)
    assert inside, section
    return "".join(re.findall(r"^```sh\n(.*?)^```$", inside.group(1), re.DOTALL | re.MULTILINE))


def padded(sample: Path, target: Path) -> Path:
    """Make the recording longer in bytes only: a `free` box (ISO/IEC 14496-12, 8.1.2) is skipped by every reader."""
    shutil.copy(sample, target)
    with target.open("ab") as file:
        file.write(PADDING_BYTES.to_bytes(4, "big") + b"free" + bytes(PADDING_BYTES - 8))
    return target


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["folder", "s3"])
def test_walk_through_ends_with_clips_that_decode(
    request: pytest.FixtureRequest, tmp_path: Path, sample: Path, storage: str
) -> None:
    environment = request.getfixturevalue("swift_server").environment if storage == "s3" else {}
    for tool in ("bash", "curl", "python3", "split"):
        assert shutil.which(tool), f"{tool} is needed to follow the walk-through"
    recording = padded(sample, tmp_path / "talk.mp4")
    with Stack(tmp_path / "data", environment=environment) as stack:
        url = stack.ready()
        work = tmp_path / "work"
        work.mkdir()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shell_of("walk-through")],
            cwd=work,
            env=PLAIN | {"API": url, "FILE": str(recording)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert stack.stop() == 0
    assert "the recording is ready" in done.stdout
    assert done.stdout.count("is completed") == 2
    assert re.search(r"^ +\d+\.\d s  [01]\.\d\d  \w+, above all for \w+$", done.stdout, re.MULTILINE)
    assert len(list(work.glob("part-*"))) > 2
    for clip in [*work.glob("clip-*.mp4"), *work.glob("clip-*.mp3")]:
        decoded = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "warning", "-i", clip, "-f", "null", "-"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert decoded.stderr == "", clip
        with av.open(str(clip)) as container:
            assert float(container.duration) / av.time_base > 4
    assert len(list(work.glob("clip-*"))) == 4
    assert (tmp_path / "data/storage").exists() == (storage == "folder")
