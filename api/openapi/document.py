"""The OpenAPI document: Litestar's, completed so that generated clients compile and name who may call an operation."""

import re
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.types import Method

from api.auth import PUBLIC, SESSION_COOKIE
from api.http.idempotency import HEADER as IDEMPOTENCY_KEY
from api.schemas.answers import Failure
from services.idempotency import MAX_KEY_LENGTH

REFERENCE = "#/components/schemas/"
METHODS = ("get", "post", "put", "patch", "delete")
GENERIC_NAME = re.compile(r"\b(?:Answer|Items)_[\w.]+")
MODULE = re.compile(r"(?<=_)[a-z0-9]+\.(?:[a-z0-9_]+\.)*")
JSON_TYPES = {bool: "boolean", str: "string", int: "integer"}
NO_CONTENT: tuple[dict[str, Any], ...] = ({"type": "null"}, {})
MAX_DEPTH = 8  # of nested schemas in an example; ours have five levels
CREATED = ("201", "202")
OPERATORS = ("ops", "admin")
SELF_EXPLANATORY = ("auth", "me", "events")
"""Areas whose handlers need no subject: `login`, not `loginAuth`."""
SECURITY = Components(
    security_schemes={
        "bearer": SecurityScheme(type="http", scheme="bearer", description="A JWT, or an API key (snk_…)."),
        "session": SecurityScheme(
            type="apiKey",
            name=SESSION_COOKIE,
            security_scheme_in="cookie",
            description="The web app's session. Requests that change something also send X-CSRF-Token.",
        ),
    }
)
KEY_PARAMETER = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "A repeat with the same key and body gets the first answer for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}


def operation_id(handler: HTTPRouteHandler, _method: Method, path: list[Any]) -> str:
    """Return a name such as `createClip`: the handler's name, with the subject of its path if that is one word."""
    steps = [part for part in path if isinstance(part, str)]
    words = handler.handler_name.split("_")
    if steps[:1] != ["api"]:
        return _camel(words)
    area = steps[1]
    if area in OPERATORS:
        return _camel([area, *words])
    if len(words) == 1 and area not in SELF_EXPLANATORY:
        subject = steps[-2] if steps[-1] == "create" else area
        words = [*words, subject.removesuffix("s")]
    return _camel(words)


def _camel(words: list[str]) -> str:
    return words[0] + "".join(word.capitalize() for word in words[1:])


def complete(app: Litestar, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with what the framework cannot know: failures, access, headers and examples."""
    document = _constants(msgspec.json.decode(_short_names(msgspec.json.encode(document).decode())))
    components = document["components"]["schemas"]
    failure, failures = _failure_schema()
    components.update(_constants(failures))
    public = _public_operations(app)
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                _complete_operation(item[method], failure, is_public=(path, method) in public)
                if method == "post" and path.startswith("/api/") and (path, method) not in public:
                    _add_key_parameter(item[method])
    for schema in components.values():
        if "properties" in schema and "examples" not in schema:
            schema["examples"] = [example(schema, components)]
    _close_request_bodies(document)
    return document


def _constants(node: Any) -> Any:
    """Return the document with each literal of one value as `const`, typed: code generators reject untyped enums."""
    if isinstance(node, list):
        return [_constants(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _constants(value) for key, value in node.items()}
    values = node.get("enum")
    if isinstance(values, list) and len(values) == 1:
        node.pop("enum")
        node["const"] = values[0]
        node["type"] = JSON_TYPES[type(values[0])]
    return node


def _add_key_parameter(operation: dict[str, Any]) -> None:
    if any(status in operation["responses"] for status in CREATED):
        operation.setdefault("parameters", []).append(KEY_PARAMETER)


def _close_request_bodies(document: dict[str, Any]) -> None:
    """Mark every object in a request as closed, since its struct forbids unknown fields."""
    components = document["components"]["schemas"]
    pending = [
        content.get("schema", {})
        for item in document["paths"].values()
        for method in METHODS
        for content in item.get(method, {}).get("requestBody", {}).get("content", {}).values()
    ]
    seen: set[str] = set()
    while pending:
        schema = pending.pop()
        name = schema.get("$ref", "").removeprefix(REFERENCE)
        if name and name not in seen:
            seen.add(name)
            pending.append(components[name])
        if "properties" in schema:
            schema["additionalProperties"] = False
        pending += [inner for key in ("oneOf", "anyOf", "allOf") for inner in schema.get(key, [])]
        pending += schema.get("properties", {}).values()
        pending += [schema["items"]] if isinstance(schema.get("items"), dict) else []


def _short_names(text: str) -> str:
    """Remove modules from the names of generic schemas, as in Answer_ClipView."""
    return GENERIC_NAME.sub(lambda found: MODULE.sub("", found[0]).rstrip("_"), text)


def example(schema: dict[str, Any], components: dict[str, Any], depth: int = 0) -> Any:
    """Return an example of a schema, built from the examples of its fields."""
    if "$ref" in schema:
        return example(components[schema["$ref"].removeprefix(REFERENCE)], components, depth)
    if found := _given_examples(schema):
        return found[0]
    if depth > MAX_DEPTH:
        return None
    if "properties" in schema:
        return {name: example(field, components, depth + 1) for name, field in schema["properties"].items()}
    members = [member for member in schema.get("oneOf", schema.get("anyOf", [])) if member != {"type": "null"}]
    return example(members[0], components, depth + 1) if members else _plain_example(schema, components, depth)


def _given_examples(schema: dict[str, Any]) -> list[Any]:
    fixed = [schema[key] for key in ("const", "default") if key in schema]
    return list(schema.get("examples") or fixed or schema.get("enum") or [])


def _plain_example(schema: dict[str, Any], components: dict[str, Any], depth: int) -> Any:
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "array":
        return [example(schema.get("items", {}), components, depth + 1)]
    if kind == "object":
        inner = schema.get("additionalProperties")
        return {"mp4": example(inner, components, depth + 1)} if isinstance(inner, dict) and inner else {}
    formats = {"uuid": "0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e", "date-time": "2026-01-31T12:00:00Z"}
    plain = {"string": "text", "integer": 1, "number": 1.0, "boolean": True}
    return formats.get(schema.get("format", ""), plain.get(kind or ""))


def _failure_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    (schema,), definitions = msgspec.json.schema_components([Failure], ref_template=REFERENCE + "{name}")
    return schema, definitions


def _public_operations(app: Litestar) -> set[tuple[str, str]]:
    return {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if handler.opt.get(PUBLIC)
    }


def _complete_operation(operation: dict[str, Any], failure: dict[str, Any], *, is_public: bool) -> None:
    if is_public:
        operation["security"] = []
    operation["responses"].pop("400", None)
    for answer in operation["responses"].values():
        if any(content.get("schema") in NO_CONTENT for content in answer.get("content", {}).values()):
            del answer["content"]
    content = {"application/json": {"schema": failure}}
    operation["responses"]["default"] = {"description": "The request failed; the error says why.", "content": content}
