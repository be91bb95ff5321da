"""The envelope of every answer."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

NextCursor = Annotated[
    str | None,
    Meta(description="Give it back as `cursor` for the next page; null on the last one.", examples=[None]),
]


class Answer(Struct, Generic[T], kw_only=True):
    """What every request that worked is answered with."""

    success: Literal[True] = True
    data: T


class Items(Struct, Generic[T], kw_only=True):
    """One page of a list."""

    items: list[T]
    next_cursor: NextCursor = None


class Done(Struct, kw_only=True):
    """It is done, and there is nothing to show for it."""

    status: Annotated[str, Meta(examples=["done"])] = "done"


class FailureBody(Struct, kw_only=True):
    """What went wrong."""

    code: Annotated[str, Meta(description="Stable; for programs.", examples=["invalid_field"])]
    message: Annotated[
        str, Meta(description="What happened and what to do.", examples=["end_s must be after start_s."])
    ]
    retryable: Annotated[bool, Meta(description="Whether the same request can work later.", examples=[False])]
    details: Annotated[dict[str, Any], Meta(examples=[{"field": "end_s"}])]


class Failure(Struct, kw_only=True):
    """What every request that failed is answered with."""

    error: FailureBody
    success: Literal[False] = False
