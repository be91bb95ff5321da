"""Previews of mails."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import UsageError

Kind = Annotated[str | None, typer.Argument(help="One kind, such as verification [default: all].")]


def preview(
    kind: Kind = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Folder for an .html and a .txt file of each.")] = None,
    public_url: Annotated[str, typer.Option(help="Address at which links begin.")] = "https://clips.example.com",
) -> None:
    """Render mails with example values: to files with --out, else the text to standard output."""
    from services.mail.example import EXAMPLES, TOKEN
    from services.mail.render import render

    if kind is not None and kind not in EXAMPLES:
        raise UsageError(f"There is no mail {kind!r}; there are {', '.join(EXAMPLES)}.")
    for name in [kind] if kind else EXAMPLES:
        rendered = render(EXAMPLES[name], public_url=public_url, token=TOKEN)
        if out is None:
            typer.echo(f"=== {name}\n{rendered.text}")
            continue
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.html").write_text(rendered.html, encoding="utf-8")
        (out / f"{name}.txt").write_text(f"Subject: {rendered.subject}\n\n{rendered.text}", encoding="utf-8")
        typer.echo(str(out / f"{name}.html"))
