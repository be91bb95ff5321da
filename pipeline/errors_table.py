"""Writes docs/errors.md from the taxonomy: `python -m pipeline.errors_table docs/errors.md`."""

import sys
from pathlib import Path

from pipeline import errors
from pipeline.cutting.plan import REASONS
from pipeline.cutting.stretch.extract import WHY_DECODED
from pipeline.errors import Cause
from pipeline.reading.problems import PROBLEMS
from pipeline.rendering.eligibility import NOTES, OTHER_NOTES

_HEAD = """# Errors of media work

Generated from `pipeline/errors.py` by `python -m pipeline.errors_table docs/errors.md`; a test compares the two.

Every failure is a `MediaError` with one of these codes, a detail and, if known, the stream (its number in the file) and
the time in seconds. The message for people consists of them: meaning, place, detail, remedy; where an error has a field
`remedy`, its message ends before it. *Again* says whether the same work on the same file may succeed later: jobs are
retried only then.

| code | what it means | what to do | again |
| --- | --- | --- | --- |
"""
_NOTES = """
## Notes of a cut

If an `exact` or `fast` cut cannot copy, it encodes instead, and says why in `notes`.

| code | why |
| --- | --- |
| `codec_not_allowed` | The recording's video codec cannot be kept in this kind of output. |
| `cannot_join` | Its pictures cannot be joined to newly encoded ones; the message names the codec or the property. |
"""
_OTHERS = """
Other notes of a cut:

| code | what it means |
| --- | --- |
"""
_PROBLEMS = """
## Notes of a recording

Problems of a recording that can still be used are listed under `problems` by `snuggles probe` and the API: a code, a
message with the figures and, if known, the stream and the time.

| code | what it means |
| --- | --- |
"""


def causes() -> list[Cause]:
    """Return every cause of the taxonomy, by code."""
    return sorted((c for c in vars(errors).values() if isinstance(c, Cause)), key=lambda cause: cause.code)


def table() -> str:
    """Return the whole page."""
    rows = [
        f"| `{cause.code}` | {cause.meaning}. | {cause.remedy} | {'yes' if cause.retryable else 'no'} |\n"
        for cause in causes()
    ]
    reasons: dict[str, str] = {**dict(REASONS.items()), **WHY_DECODED, **NOTES}
    notes = [f"| `{code}` | {text.format(codec='other codecs')} |\n" for code, text in sorted(reasons.items())]
    others = [f"| `{code}` | {text} |\n" for code, text in sorted(OTHER_NOTES.items())]
    problems = [f"| `{code}` | {text} |\n" for code, text in sorted(PROBLEMS.items())]
    return _HEAD + "".join(rows) + _NOTES + "".join(notes) + _OTHERS + "".join(others) + _PROBLEMS + "".join(problems)


def main(arguments: list[str]) -> int:
    """Write the page to the named file."""
    Path(arguments[0]).write_text(table(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
