"""What is made of FFmpeg's words and signals."""

import resource
import signal

import pytest

from pipeline.rendering.encoding.ffmpeg import _failure, _share, telling_line


def test_the_first_real_error_is_the_telling_line() -> None:
    log = [
        "[mov,mp4 @ 0x55d0] [warning] stream 1, timescale not set",
        "[h264 @ 0x55d1] [dec:h264 @ 0x55d2] [error] Invalid NAL unit size (0 > 32).",
        "[error] Conversion failed!",
    ]
    assert telling_line(log) == "Invalid NAL unit size (0 > 32)."


def test_generic_errors_are_better_than_nothing() -> None:
    assert telling_line(["[vf#0:0 @ 0x1] [error] Error while processing the decoded data"]).startswith("Error while")
    assert telling_line([]) == ""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[error] av_interleaved_write_frame(): No space left on device", "no_space"),
        ("[libx264 @ 0x1] [error] malloc of size 3133440 failed", "out_of_memory"),
        ("[libvpx-vp9 @ 0x1] [error] Failed to initialize encoder: Memory allocation error", "out_of_memory"),
        (
            "[aost#0:0/libmp3lame @ 0x1] [error] Error while opening encoder - maybe incorrect parameters",
            "encode_failed",
        ),
        ("[h264 @ 0x1] [error] get_buffer() failed", "encode_failed"),
        ("[error] pthread_create() failed: Resource temporarily unavailable", "encode_failed"),
        ("[error] Error writing trailer: File too large", "output_too_large"),
        ("[error] Error opening input: Invalid data found when processing input", "decode_failed"),
        ("[error] Something else", "encode_failed"),
    ],
)
def test_known_words_name_the_cause_under_a_memory_limit_too(line: str, code: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, hard))
    try:
        error = _failure(1, [line])
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    assert error.code == code
    assert "0x1" not in error.message


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGXCPU, "timed_out"), (signal.SIGXFSZ, "output_too_large"), (signal.SIGSEGV, "crashed")],
)
def test_signals_name_the_cause(number: int, code: str) -> None:
    assert _failure(-number, []).code == code


def test_progress_lines_become_shares() -> None:
    assert _share(b"out_time_us=1500000", 3.0) == pytest.approx(0.5)
    assert _share(b"out_time_us=9000000", 3.0) == 1.0
    assert _share(b"out_time_us=N/A", 3.0) == 0.0
    assert _share(b"frame=12", 3.0) == 0.0
    assert _share(b"out_time_us=1500000", None) == 0.0
