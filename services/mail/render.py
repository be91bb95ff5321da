"""Renders mails to subject, text, and HTML with inlined styles, from one template per kind and language."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from msgspec import Struct
from msgspec.structs import asdict

from services.language import DEFAULT, Language, day
from services.mail.message import Mail, kind_of
from services.sanitising import clean_name

TEMPLATES = Path(__file__).parent / "templates"
CURRENCY_SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}
BECAUSE: dict[Language, str] = {
    "en": "You get this mail because of your account at",
    "de": "Du bekommst diese Mail wegen deines Kontos bei",
}
"""The line before the installation's address, at the end of every mail."""


class Rendered(Struct, frozen=True, kw_only=True):
    """A rendered mail, without addresses."""

    subject: str
    text: str
    html: str
    link: str | None
    """The address behind the button."""


def render(mail: Mail, *, public_url: str, token: str | None = None, language: Language = DEFAULT) -> Rendered:
    """Render a mail; `token` completes the link, if it has one."""
    # Names may contain anything; a line break would begin a paragraph or a header.
    values = {name: clean_name(value) if isinstance(value, str) else value for name, value in asdict(mail).items()}
    values |= {"token": token, "public_url": public_url}
    environment = _environment(language)
    template = environment.get_template(f"{language}/{kind_of(mail)}.j2")
    content = template.make_module(values)
    subject = clean_name(str(vars(content)["subject"]))
    label, path = vars(content).get("action", (None, None))
    link: str | None = f"{public_url}{path}" if path else None
    parts = {
        "subject": subject,
        "paragraphs": [" ".join(part.split()) for part in str(content).split("\n\n") if part.strip()],
        "label": label,
        "link": link,
        "public_url": public_url,
        "language": language,
        "because": BECAUSE[language],
    }
    html = environment.get_template("layout.html.j2").render(parts)
    return Rendered(
        subject=subject,
        text=environment.get_template("layout.txt.j2").render(parts),
        html=_inliner().inline(html),
        link=link,
    )


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # The templates of the kinds make plain text; the layout escapes it for HTML.
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS[language]
    return environment


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False)


def _day(at: datetime) -> str:
    return day(at.astimezone(UTC), "en")


def _moment(at: datetime) -> str:
    return f"{_day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def _money(cents: int, currency: str) -> str:
    sign = CURRENCY_SIGNS.get(currency.lower())
    amount = f"{cents / 100:.2f}"
    return f"{sign}{amount}" if sign else f"{amount} {currency.upper()}"


def _german_day(at: datetime) -> str:
    return day(at.astimezone(UTC), "de")


def _german_moment(at: datetime) -> str:
    return f"{_german_day(at)}, {at.astimezone(UTC):%H:%M} Uhr UTC"


def _german_money(cents: int, currency: str) -> str:
    amount = f"{cents / 100:.2f}".replace(".", ",")
    return f"{amount} {CURRENCY_SIGNS.get(currency.lower(), currency.upper())}"


FILTERS: dict[Language, dict[str, Callable[..., str]]] = {
    "en": {"day": _day, "moment": _moment, "money": _money},
    "de": {"day": _german_day, "moment": _german_moment, "money": _german_money},
}
