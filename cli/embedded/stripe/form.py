"""Stripe's request encoding: `items[0][price]=…` as nested dictionaries and lists."""

import re
from collections.abc import Iterable
from typing import Any

PART = re.compile(r"\[([^\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return form fields as nested values. Text stays text, because each field decides its type."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        first, *_ = name.split("[", 1)
        _put(root, [first, *PART.findall(name)], value)
    return {name: _lists(value) for name, value in root.items()}


def is_true(value: Any) -> bool:
    """Read a boolean field."""
    return value is True or value == "true"


def _put(target: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        target = target.setdefault(part or str(len(target)), {})
    target[path[-1] or str(len(target))] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(each) for name, each in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
