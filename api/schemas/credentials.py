"""Marks the fields of answers that give access (signed addresses, tokens, keys), which are never stored."""

from functools import cache
from typing import Any, Final, get_type_hints

import msgspec
from msgspec import Struct

CREDENTIAL: Final = "credential"
"""Stands in the `Annotated` of a field whose value gives access."""


def without_credentials(value: Any) -> tuple[Any, bool]:
    """Return a view as plain JSON data with null for its credentials, and whether it had any."""
    if isinstance(value, list | tuple):
        items = [without_credentials(each) for each in value]
        return [item for item, _ in items], any(found for _, found in items)
    if isinstance(value, dict):
        pairs = {name: without_credentials(each) for name, each in value.items()}
        return {name: item for name, (item, _) in pairs.items()}, any(found for _, found in pairs.values())
    if not isinstance(value, Struct):
        return msgspec.to_builtins(value), False
    plain: dict[str, Any] = {}
    has_any = False
    marked = credentials_of(type(value))
    for field in msgspec.structs.fields(value):
        item = getattr(value, field.name)
        if item is msgspec.UNSET:
            continue
        if field.name in marked:
            plain[field.encode_name], found = None, item is not None
        else:
            plain[field.encode_name], found = without_credentials(item)
        has_any = has_any or found
    return plain, has_any


@cache
def credentials_of(kind: type[Struct]) -> frozenset[str]:
    """Return the names of a struct's fields that hold credentials."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name, hint in hints.items() if CREDENTIAL in getattr(hint, "__metadata__", ()))
