"""Turns msgspec's errors about a body or a parameter into sentences that name the field."""

import re
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from services.errors import InvalidFieldError

PATH = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]+)`")
WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
BOUND = re.compile(r"Expected `[^`]+` (?P<operator>>=|<=|>|<) (?P<bound>\S+)")
LENGTH = re.compile(r"Expected `(?P<kind>[^`]+)` of length (?P<operator>>=|<=|==) (?P<bound>\d+)")
MAX_SHOWN = 60  # of a name that a client made up

NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
    "uuid": "an id",
    "datetime": "a time such as 2026-01-31T12:00:00Z",
}
OPERATORS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "==": "exactly"}
FORMS = {
    "Invalid UUID": "must be an id (a UUID)",
    "Invalid RFC3339 encoded datetime": "must be a time such as 2026-01-31T12:00:00Z",
    "Number out of range": "must be a number of ordinary size",
    "Invalid datetime": "must be a time such as 2026-01-31T12:00:00Z",
    "Expected `datetime` with a timezone component": (
        "must say its time zone: 2026-01-31T12:00:00Z for UTC, or 2026-01-31T13:00:00+01:00"
    ),
}


def invalid_body(error: msgspec.ValidationError, schema: Any) -> InvalidFieldError:
    """Return the error for a body that is JSON but does not match `schema`."""
    text = str(error)
    found = PATH.search(text)
    path = found["path"].lstrip(".") if found else ""
    text = PATH.sub("", text)
    if name := MISSING.search(text):
        where = _join(path, name["name"])
        return _invalid(where, f"{where} is missing.")
    if name := UNKNOWN.search(text):
        where = _join(path, name["name"])[:MAX_SHOWN]
        return _invalid(where, f"There is no field {where} here; check the spelling.")
    where = path or "body"
    if text.startswith("Invalid enum value"):
        allowed = _allowed(schema, path)
        return _invalid(where, f"{where} must be one of {', '.join(map(str, allowed))}.", allowed=allowed)
    return _invalid(where, sentence(where, text))


def invalid_parameter(name: str, message: str, kind: Any) -> InvalidFieldError:
    """Return the error for a parameter of the address that has the wrong type."""
    if message.startswith("Invalid enum value") and (allowed := _allowed(kind, "")):
        return InvalidFieldError(name, f"{name} must be one of {', '.join(map(str, allowed))}.", allowed=allowed)
    return InvalidFieldError(name, sentence(name, message))


def sentence(field: str, message: str) -> str:
    """Turn msgspec's words about a value into a sentence about a field."""
    if match := LENGTH.search(message):
        one, many = ("character", "characters") if match["kind"] == "str" else ("entry", "entries")
        things = one if match["bound"] == "1" else many
        return f"{field} must have {OPERATORS[match['operator']]} {match['bound']} {things}."
    if match := BOUND.search(message):
        return f"{field} must be {OPERATORS[match['operator']]} {_number(match['bound'])}."
    if match := WRONG_TYPE.search(message):
        if match["got"] == "float" and "int" in match["wanted"]:
            return f"{field} must be a whole number, without a fraction."
        wanted = " or ".join(NAMES.get(part.strip(), part.strip()) for part in match["wanted"].split("|"))
        return f"{field} must be {wanted}, not {NAMES.get(match['got'], match['got'])}."
    for start, form in FORMS.items():
        if message.startswith(start):
            return f"{field} {form}."
    return f"{field} is not valid; /api/docs says what it takes."


def _invalid(where: str, message: str, **details: Any) -> InvalidFieldError:
    """Return the error with the field that a form would mark; inside a list, `details.path` has the position."""
    field, bracket, _ = where.partition("[")
    if bracket and field:
        return InvalidFieldError(field, message, path=where, **details)
    return InvalidFieldError(where, message, **details)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _number(text: str) -> str:
    return text.removesuffix(".0")


def _allowed(schema: Any, path: str) -> list[Any]:
    """Return the values that the literal at `path` takes."""
    kind = schema
    for step in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        kind = _step(kind, step)
    return [value for member in _members(kind) if get_origin(member) is Literal for value in get_args(member)]


def _step(kind: Any, step: str) -> Any:
    for member in _members(kind):
        if step.startswith("["):
            arguments = get_args(member)
            if arguments:
                return arguments[-1]
        elif isinstance(member, type) and issubclass(member, msgspec.Struct):
            names = {field.encode_name: field.name for field in msgspec.structs.fields(member)}
            return get_type_hints(member, include_extras=True)[names[step]]
    return Any


def _members(kind: Any) -> Sequence[Any]:
    """Return the alternatives of a type, without annotations."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [inner for member in get_args(kind) for inner in _members(member)]
    return [kind]
