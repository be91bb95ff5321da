"""Socket.IO's spelling: the shapes of HTTP with their keys in camelCase."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

UNDERSCORE = re.compile(r"_([a-z0-9])")


@lru_cache(1024)  # the few names of our structs, spelt for each event
def camel(name: str) -> str:
    """Return a name in camelCase: `last_seq` is `lastSeq`."""
    return UNDERSCORE.sub(lambda found: found[1].upper(), name)


def snake(name: str) -> str:
    """Return a name in snake_case: `lastSeq` is `last_seq`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


def to_wire(value: Any) -> Any:
    """Return plain data whose keys are in camelCase, ready for JSON."""
    return _rename(msgspec.to_builtins(value), camel)


def encode(value: Any) -> bytes:
    """Return the JSON of a payload."""
    return msgspec.json.encode(to_wire(value))


def _rename(value: Any, spell: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {spell(key): _rename(item, spell) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rename(item, spell) for item in value]
    return value
