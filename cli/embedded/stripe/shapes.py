"""Blank objects with the fields that Stripe's official fixtures have (shapes.json, from stripe/openapi, MIT)."""

import copy
import json
from functools import cache
from importlib.resources import files
from typing import Any

Json = dict[str, Any]


def blank(kind: str) -> Json:
    """Return a new object of a kind, with every field that Stripe documents, all empty."""
    return copy.deepcopy(_shapes()[kind])


@cache
def _shapes() -> dict[str, Json]:
    text = files("cli.embedded.stripe").joinpath("shapes.json").read_text()
    shapes: dict[str, Json] = json.loads(text)
    return shapes
