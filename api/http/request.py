"""Requests whose bodies are decoded strictly, with errors that say in words what is wrong."""

import json
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State

from api.auth import Principal
from api.http.errors import MalformedBodyError
from api.http.validation import invalid_body
from services.errors import InvalidFieldError, UnsupportedMediaTypeError
from services.language import Language, preferred

NUL_ESCAPE = b"\\u0000"
TRUNCATED = "input data was truncated"
LONE_SURROGATE = "unexpected end of escaped utf-16 surrogate pair"
"""msgspec's message for half a surrogate pair, unless too few bytes for the other half follow it."""


class ApiRequest(Request[Principal, Any, State]):
    """A request to the API."""

    async def json(self) -> Any:
        """Decode the body into the type that the handler declares.

        UnsupportedMediaTypeError, MalformedBodyError, InvalidFieldError.
        """
        declared = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await self.body()
        # Without a type too: a form of another site could send that.
        if body and declared != "application/json" and not declared.endswith("+json"):
            raise UnsupportedMediaTypeError("Send JSON, with Content-Type: application/json.")
        self.scope["state"]["body"] = body
        field = self.route_handler.parsed_data_field
        schema = field.annotation if field else Any
        try:
            value = msgspec.json.decode(body, type=schema)
        except msgspec.ValidationError as error:
            raise invalid_body(error, schema) from error
        except UnicodeDecodeError as error:
            raise MalformedBodyError("The body is not JSON: its text is not UTF-8.") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedBodyError(f"The body is not JSON: {_why(error, body)}.") from error
        if NUL_ESCAPE in body and _holds_nul(msgspec.to_builtins(value)):
            raise InvalidFieldError("body", "Text must not hold the character U+0000.")
        return value

    @property
    def trace_id(self) -> str:
        """The id that follows this request through jobs and logs."""
        return str(self.scope["state"].get("trace_id", ""))

    @property
    def raw_body(self) -> bytes:
        """The body as it came; empty when there was none."""
        return bytes(self.scope["state"].get("body", b""))


def _why(error: Exception, body: bytes) -> str:
    """Return msgspec's message about a body, corrected where it mistakes half a pair for a missing end."""
    said = str(error).removeprefix("JSON is malformed: ").lower()
    if said != TRUNCATED:
        return said
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return said
    return LONE_SURROGATE


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def language_of(request: ApiRequest) -> Language:
    """Return the language that the reader prefers."""
    return preferred(request.headers.get("accept-language", ""))
