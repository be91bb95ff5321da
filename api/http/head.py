"""HEAD for every route that answers GET (RFC 9110 §9.3.2): the same status and headers, without the body."""

from litestar.types import HTTPScope, Message, Send

STORAGE_PREFIX = "/storage/"
"""Storage routes answer HEAD themselves: they need not open the object for it."""


def as_get(scope: HTTPScope, send: Send) -> tuple[HTTPScope, Send]:
    """Return the GET request that a HEAD request stands for, and a `send` that drops the body."""
    if scope["method"] != "HEAD" or scope["path"].startswith(STORAGE_PREFIX):
        return scope, send

    is_ended = False

    async def send_head(message: Message) -> None:
        nonlocal is_ended
        if message["type"] != "http.response.body":
            await send(message)
        elif not is_ended:
            is_ended = True  # with the first chunk, so that HEAD does not wait for a stream
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return {**scope, "method": "GET"}, send_head
