"""The envelope of every answer."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

NextCursor = Annotated[
    str | None,
    Meta(description="Give it back as `cursor` for the next page; null on the last one.", examples=[None]),
]


class Answer(Struct, Generic[T], kw_only=True):
    """The answer to a request that succeeded."""

    success: Literal[True] = True
    data: T


class Items(Struct, Generic[T], kw_only=True):
    """One page of a list."""

    items: list[T]
    next_cursor: NextCursor = None


class Done(Struct, kw_only=True):
    """Success, without data."""

    status: Annotated[str, Meta(examples=["done"])] = "done"


class FailureBody(Struct, kw_only=True):
    """An error."""

    code: Annotated[str, Meta(description="Stable; for programs.", examples=["invalid_field"])]
    message: Annotated[
        str, Meta(description="What happened and what to do.", examples=["end_s must be after start_s."])
    ]
    retryable: Annotated[bool, Meta(description="Whether the same request may succeed later.", examples=[False])]
    details: Annotated[dict[str, Any], Meta(examples=[{"field": "end_s"}])]


class Failure(Struct, kw_only=True):
    """The answer to a request that failed."""

    error: FailureBody
    success: Literal[False] = False
