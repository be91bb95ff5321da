"""OpenAPI with an example on every schema, and a page of it that needs no script and no other host."""

import base64
import re
from hashlib import sha256
from html import escape
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.enums import MediaType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.status_codes import HTTP_404_NOT_FOUND

from api.auth import PUBLIC
from api.http.errors import status_response
from api.schemas.answers import Failure

DISTRIBUTION = "big-snuggles"
PATH = "/api/docs"
REFERENCE = "#/components/schemas/"
METHODS = ("get", "post", "put", "patch", "delete")
GENERIC_NAME = re.compile(r"\b(?:Answer|Items)_[\w.]+")
MODULE = re.compile(r"(?<=_)[a-z0-9]+\.(?:[a-z0-9_]+\.)*")
BACKQUOTED = re.compile(r"`([^`]+)`")
MAX_DEPTH = 8  # of nested schemas in an example; ours have five levels
DESCRIPTION = """Give a recording, get its best moments as clips.

Every answer is `{"success": true, "data": …}`, or `{"success": false, "error": {code, message, retryable, details}}`.
Send the token of a login, or an API key, as `Authorization: Bearer …`. A `POST` that creates something takes an
`Idempotency-Key`: the same key with the same body gets the first answer for 24 hours."""

STYLE = """
:root { color-scheme: light dark; --fg: #1b1b1f; --bg: #fbfaf8; --soft: #5d5b66; --accent: #6b3fd4; --line: #d9d6df;
  --block: #f1eff4; }
@media (prefers-color-scheme: dark) {
  :root { --fg: #ecebf0; --bg: #17161b; --soft: #a8a5b3; --accent: #b79bff; --line: #3a3743; --block: #221f29; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .5rem .75rem; overflow-wrap: anywhere; }
.gist { display: block; padding-left: 1.1rem; color: var(--soft); font-size: .875rem; }
details[open] .gist { display: none; }
details > div { padding: 0 .75rem .75rem; }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: var(--block); padding: .75rem; border-radius: .375rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid var(--line); }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; color: var(--accent); }
.soft { color: var(--soft); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
"""
STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class JsonDocument(OpenAPIRenderPlugin):
    """The document itself."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document, made once."""
        if self._rendered is None:
            self._rendered = msgspec.json.encode(complete(request.app, openapi_schema))
        return self._rendered


class HumanPage(OpenAPIRenderPlugin):
    """The same as a page to read."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page, made once."""
        if self._rendered is None:
            self._rendered = page(complete(request.app, openapi_schema)).encode()
        return self._rendered


def openapi_config() -> OpenAPIConfig:
    """Return where and how the API describes itself."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="The token of a login, or an API key (snk_…).")
    return OpenAPIConfig(
        title="Big Snuggles",
        version=version(DISTRIBUTION),
        description=DESCRIPTION,
        path=PATH,
        openapi_router=Router(PATH, route_handlers=[], include_in_schema=False, after_request=_in_an_envelope),
        render_plugins=[HumanPage(), JsonDocument()],
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
    )


def _in_an_envelope(response: Response[Any]) -> Response[Any]:
    """Replace the framework's own page for an address below the documentation that does not exist."""
    return status_response(HTTP_404_NOT_FOUND) if response.status_code == HTTP_404_NOT_FOUND else response


def complete(app: Litestar, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with what the framework cannot know: our failures, who may call, examples."""
    document = msgspec.json.decode(_short_names(msgspec.json.encode(document).decode()))
    components = document["components"]["schemas"]
    failure, failures = _failure_schema()
    components.update(failures)
    public = _public_operations(app)
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                _complete_operation(item[method], failure, is_public=(path, method) in public)
    for schema in components.values():
        if "properties" in schema and "examples" not in schema:
            schema["examples"] = [example(schema, components)]
    return document


def _short_names(text: str) -> str:
    """Leave the modules out of the names of generic schemas: Answer_ClipView says it all."""
    return GENERIC_NAME.sub(lambda found: MODULE.sub("", found[0]).rstrip("_"), text)


def example(schema: dict[str, Any], components: dict[str, Any], depth: int = 0) -> Any:
    """Return an example of a schema, put together from those of its fields."""
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
    content = {"application/json": {"schema": failure}}
    operation["responses"]["default"] = {"description": "It did not work; the error says why.", "content": content}


def page(document: dict[str, Any]) -> str:
    """Return the document as HTML."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["Other"])[0]
                groups.setdefault(tag, []).append(_operation(document, path, method, item[method]))
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    sections = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(operations)}' for tag, operations in groups.items()
    )
    info = document["info"]
    intro = "".join(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{escape(info["title"])} API <span class="soft">{escape(info["version"])}</span></h1>{intro}'
        f'<nav>{links}<a href="/api/docs/openapi.json">openapi.json</a>'
        f'<a href="/ops">for operators</a></nav>{sections}</main></body></html>'
    )


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    components = document["components"]["schemas"]
    parts = [f"<p>{_prose(operation.get('description', ''))}</p>"]
    if operation.get("security") == []:
        parts.append('<p class="soft">Anybody may call this.</p>')
    if operation.get("parameters"):
        parts.append(_parameters(operation["parameters"]))
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    parts += [_example("Request", content.get("schema", {}), components) for content in bodies]
    for status, answer in operation["responses"].items():
        if status != "default":
            contents = answer.get("content", {}).values()
            parts += [_example(f"Answer {status}", content.get("schema", {}), components) for content in contents]
    name = f'<code><span class="method">{method.upper()}</span>{escape(path)}</code>'
    gist = f'<span class="gist">{_prose(_first_sentence(operation.get("description", "")))}</span>'
    return f"<details><summary>{name} {gist}</summary><div>{''.join(parts)}</div></details>"


def _first_sentence(text: str) -> str:
    """Return what a description begins with, for a list in which each has one line."""
    return text.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")


def _prose(text: str) -> str:
    """Return Markdown's one mark that our texts use, backquotes around code, as HTML."""
    return BACKQUOTED.sub(r"<code>\1</code>", escape(text))


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}"
        f"{'' if parameter.get('required') else ', optional'}</td>"
        f"<td>{_prose(parameter.get('description') or '')}</td></tr>"
        for parameter in parameters
    )
    return f"<table><tr><th>Parameter</th><th>Where</th><th>What</th></tr>{rows}</table>"


def _example(title: str, schema: dict[str, Any], components: dict[str, Any]) -> str:
    shown = msgspec.json.format(msgspec.json.encode(example(schema, components)), indent=2).decode()
    return f"<h4>{escape(title)}</h4><pre>{escape(shown)}</pre>"
