from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.process.settings import Settings, load
from services.recordings.admission import require_disk

MIB = 1024**2


def settings(**environment: str) -> Settings:
    given = {"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://x", "JWT_SECRET": "x" * 32}
    return load({**given, "DISK_RESERVE_BYTES": str(100 * MIB), **environment})


def test_full_disk_takes_no_more() -> None:
    local = settings(STORAGE_DIR="/data/that/is/not/made/yet")
    require_disk(local, free_bytes=lambda _path: 100 * MIB)
    with pytest.raises(UnavailableError, match="disk is nearly full") as caught:
        require_disk(local, free_bytes=lambda _path: 100 * MIB - 1)
    assert caught.value.details["reason"] == "disk"
    assert caught.value.details["retry_after_s"] > 0


def test_recording_that_would_fill_the_disk_is_refused_before_it_is_sent() -> None:
    local = settings(STORAGE_DIR="/data")
    require_disk(local, size_bytes=50 * MIB, free_bytes=lambda _path: 150 * MIB)
    with pytest.raises(UnavailableError):
        require_disk(local, size_bytes=51 * MIB, free_bytes=lambda _path: 150 * MIB)


def test_storage_elsewhere_is_never_full_but_scratch_may_be() -> None:
    remote = {"S3_ENDPOINT": "https://s3", "S3_ACCESS_KEY": "x", "S3_SECRET_KEY": "x"}
    require_disk(settings(**remote), free_bytes=lambda _path: 0)
    with pytest.raises(UnavailableError):
        require_disk(settings(**remote, SCRATCH_DIR="/scratch"), free_bytes=lambda _path: 0)


def test_free_bytes_are_those_of_the_disk(tmp_path: Path) -> None:
    require_disk(settings(STORAGE_DIR=str(tmp_path / "new"), DISK_RESERVE_BYTES="1"))
    with pytest.raises(UnavailableError):
        require_disk(settings(STORAGE_DIR=str(tmp_path / "new")), size_bytes=2**60)
