"""A worker's corner of the scratch disk: what clips of one recording share lives as long as somebody wants it."""

import threading
from pathlib import Path

from workers.scratch import CACHE, IDLE_CACHES, Scratch


def caches_in(root: Path) -> int:
    return len(list(root.glob(f"worker/{CACHE}/*")))


def test_attempts_on_one_recording_share_a_folder_and_others_do_not(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, "worker")
    with (
        scratch.cache("user-a/rec-1/source") as one,
        scratch.cache("user-a/rec-1/source") as same,
        scratch.cache("user-b/rec-1/source") as other,
    ):
        assert one == same
        assert one != other
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_folder_outlives_its_last_attempt_for_the_next_one(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, "worker")
    with scratch.cache("recording") as first:
        (first / "block").write_text("x")
    with scratch.cache("recording") as second:
        assert (second / "block").read_text() == "x"
    scratch.close()


def test_idle_folders_make_room_oldest_first_and_used_ones_stay(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, "worker")
    with scratch.cache("in use") as used:
        paths = []
        for number in range(IDLE_CACHES + 2):
            with scratch.cache(f"recording {number}") as path:
                paths.append(path)
        assert [path.exists() for path in paths] == [False, False, *[True] * IDLE_CACHES]
        assert used.exists()
    scratch.close()


def test_folder_is_removed_once_nobody_has_come_back(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, "worker", cache_idle_s=0.05)
    with scratch.cache("recording"):
        pass
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)
    assert caches_in(tmp_path) == 0
    with scratch.cache("recording") as again:
        assert again.is_dir()
    scratch.close()
