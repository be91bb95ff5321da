"""The API's page for people: every operation with its request, its answers, its errors and a curl line to copy."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from api.http.errors import HTTP_CODES, STATUS
from api.openapi.document import METHODS, example
from services.errors import DomainError

PATH = "/api/docs"
SITE = Path(__file__).parents[1] / "site"
STYLESHEET_LINK = re.compile(r'<link[^>]*rel="stylesheet"[^>]*href="(/assets/[^"]+\.css)"')
BACKQUOTED = re.compile(r"`([^`]+)`")
FILES = Path(__file__).parent
STYLE, SCRIPT = "page.css", "page.js"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
BEAR = (
    '<svg class="bear" viewBox="0 0 32 32" aria-hidden="true"><path class="b" stroke-width="4.9" '
    'd="M5 14.5v7.5M10.5 7.5v18M16 11v16M21.5 7.5v18M27 14.5v7.5"/>'
    '<circle class="f" cx="10.7" cy="15.6" r="1.45"/><circle class="f" cx="21.3" cy="15.6" r="1.45"/>'
    '<path class="f" d="M14.1 19.6c0-.9.9-1.2 1.9-1.2s1.9.3 1.9 1.2c0 1-1.2 1.8-1.9 1.8s-1.9-.8-1.9-1.8z"/></svg>'
)


def page(document: dict[str, Any], *, site: Path = SITE) -> str:
    """Return the document as HTML, with the style sheets of the web app built into `site`, if any."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["Other"])[0]
                groups.setdefault(tag, []).append(_operation(document, path, method, item[method]))
    links = "".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag in groups)
    sections = "".join(
        f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{"".join(operations)}</section>'
        for tag, operations in groups.items()
    )
    info = document["info"]
    intro = "".join(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(info['title'])} API</title>{''.join(_stylesheets(site))}"
        f'<script src="{PATH}/{SCRIPT}" defer></script></head><body class="api-docs">'
        '<a class="skip" href="#main">Skip to content</a>'
        f'<header class="api-top"><a class="brand" href="/" aria-label="{escape(info["title"])}">{BEAR}'
        f"<span>{escape(info['title'])}</span></a>"
        '<label class="api-search"><span class="sr">Search operations</span>'
        '<input class="input" type="search" id="search" placeholder="Search" autocomplete="off"></label>'
        '<nav class="api-links" aria-label="More"><a href="/api/docs/openapi.json">openapi.json</a>'
        '<a href="/ops">Operations</a></nav></header>'
        f'<div class="api-body"><nav class="api-nav" aria-label="Subjects">{links}<a href="#errors">Errors</a></nav>'
        f'<main id="main"><h1 class="h1">API <span class="faint">{escape(info["version"])}</span></h1>{intro}'
        '<p id="nothing" class="faint" hidden>No operation matches.</p>'
        f"{sections}{_errors()}</main></div></body></html>"
    )


def _stylesheets(site: Path) -> Iterator[str]:
    document = site / "app.html"
    if document.is_file():
        for address in STYLESHEET_LINK.findall(document.read_text("utf-8")):
            yield f'<link rel="stylesheet" href="{address}">'
    yield f'<link rel="stylesheet" href="{PATH}/{STYLE}">'


def _anchor(tag: str) -> str:
    return escape(tag.lower().replace(" ", "-"))


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    components = document["components"]["schemas"]
    is_public = operation.get("security") == []
    bodies = [content.get("schema", {}) for content in operation.get("requestBody", {}).get("content", {}).values()]
    parts = [f"<p>{_prose(operation.get('description', ''))}</p>"]
    if is_public:
        parts.append('<p class="faint">Anybody may call this.</p>')
    if operation.get("parameters"):
        parts.append(_parameters(operation["parameters"]))
    request = example(bodies[0], components) if bodies else None
    parts.append(_block("curl", _curl(path, method, operation, request, is_public=is_public), is_copied=True))
    for status, answer in operation["responses"].items():
        if status == "default":
            continue
        contents = list(answer.get("content", {}).values())
        parts += [_block(f"Answer {status}", _json(example(each.get("schema", {}), components))) for each in contents]
        if not contents:
            parts.append(f'<p class="faint">Answer {status}, without a body.</p>')
    name = (
        f'<span class="method" data-method="{method}">{method.upper()}</span>'
        f"<code>{escape(path).replace('/', '/<wbr>')}</code>"
    )
    gist = f'<span class="gist">{_prose(_first_sentence(operation.get("description", "")))}</span>'
    return (
        f'<details class="card" id="{escape(operation["operationId"])}"><summary>{name} {gist}</summary>'
        f'<div class="card-pad">{"".join(parts)}</div></details>'
    )


def _curl(path: str, method: str, operation: Mapping[str, Any], body: Any, *, is_public: bool) -> str:
    """Return a command for a shell in which SNUGGLES and TOKEN are set."""
    address = re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", path)
    required = [each for each in operation.get("parameters", []) if each["in"] == "query" and each.get("required")]
    query = "&".join(f"{each['name']}=…" for each in required)
    lines = [f'curl -X {method.upper()} "$SNUGGLES{address}{"?" if query else ""}{query}"']
    if not is_public:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if body is not None:
        quoted = msgspec.json.encode(body).decode().replace("'", "'\\''")
        lines += ["-H 'Content-Type: application/json'", f"-d '{quoted}'"]
    return " \\\n  ".join(lines)


def _errors() -> str:
    rows = [(status, code, message) for status, (code, message) in HTTP_CODES.items()]
    rows += [(_status(kind), kind.code, (kind.__doc__ or "").strip()) for kind in _kinds(DomainError)]
    listed = {code: (status, text) for status, code, text in rows}
    body = "".join(
        f"<tr><td>{status}</td><td><code>{escape(code)}</code></td><td>{_prose(text)}</td></tr>"
        for code, (status, text) in sorted(listed.items(), key=lambda row: (row[1][0], row[0]))
    )
    return (
        '<section id="errors"><h2>Errors</h2><p>Every failure has a code for programs and a message for people.</p>'
        '<div class="scroll-x"><table><thead><tr><th scope="col">Status</th><th scope="col">Code</th>'
        f'<th scope="col">Meaning</th></tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _kinds(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


def _status(kind: type[DomainError]) -> int:
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def _first_sentence(text: str) -> str:
    return text.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")


def _prose(text: str) -> str:
    """Return text as HTML; backquotes become code, as in Markdown."""
    return BACKQUOTED.sub(r"<code>\1</code>", escape(text))


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}"
        f"{'' if parameter.get('required') else ', optional'}</td>"
        f"<td>{_prose(parameter.get('description') or '')}</td></tr>"
        for parameter in parameters
    )
    return (
        '<div class="scroll-x"><table><thead><tr><th scope="col">Parameter</th><th scope="col">Place</th>'
        f'<th scope="col">Meaning</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _block(title: str, text: str, *, is_copied: bool = False) -> str:
    button = '<button class="btn btn-quiet btn-sm" type="button" data-copy>Copy</button>' if is_copied else ""
    return (
        f'<div class="api-block"><div class="api-block-head"><h3>{escape(title)}</h3>{button}</div>'
        f'<pre tabindex="0">{escape(text)}</pre></div>'
    )
