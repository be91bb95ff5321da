"""The `snuggles` command: its subcommands, and their exit statuses."""

import io
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from cli import accounts, fleet, mail, stripe
from cli.errors import CommandError
from cli.media import commands as media
from cli.output import complain
from pipeline import errors
from pipeline.errors import MediaError

BAD_INPUT, BROKEN_ENVIRONMENT, INTERRUPTED = 1, 3, 130
# Failures of media work that the media did not cause.
ENVIRONMENTAL = {errors.NO_SPACE.code, errors.OUT_OF_MEMORY.code}

WITH_INPUT = ("clip", "highlights", "cut", "probe")

app = typer.Typer(
    help="Find the moments worth sharing in a recording, and make clips of them.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
user = typer.Typer(help="Accounts.", rich_markup_mode=None)
for command in (
    fleet.up,
    media.clip,
    media.highlights,
    media.cut,
    media.probe,
    fleet.api,
    fleet.realtime,
    fleet.worker,
    fleet.dispatcher,
    fleet.migrate,
    fleet.doctor,
    stripe.stripe_setup,
    accounts.token,
):
    app.command()(command)
app.command(hidden=True)(fleet.demo)
app.command(hidden=True)(fleet.stripe_simulation)
user.command()(accounts.create)
app.add_typer(user, name="user")
mails = typer.Typer(help="Mails that users get.", rich_markup_mode=None)
mails.command()(mail.preview)
mails.callback()(lambda: None)
app.add_typer(mails, name="mail")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 1 for bad input, 2 for bad usage, 3 for a broken environment."""
    try:
        status = app(_input_last(arguments), standalone_mode=False, prog_name="snuggles")
    except TyperException as error:
        complain(_with_hint(error.format_message()))
        return error.exit_code
    except CommandError as error:
        complain(str(error))
        return error.exit_status
    except MediaError as error:
        complain(error.message)
        return BROKEN_ENVIRONMENT if error.code in ENVIRONMENTAL else BAD_INPUT
    except (Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone, so there is nothing to report
        return BAD_INPUT
    if status == INTERRUPTED:
        complain("Interrupted.")
    return status if isinstance(status, int) else 0


def _input_last(arguments: Sequence[str]) -> list[str]:
    """Allow options after `-- INPUT`, which the parser would take for more inputs; media commands have just one."""
    given = list(arguments)
    if "--" not in given or given[0] not in WITH_INPUT:
        return given
    at = given.index("--")
    return [*given[:at], *given[at + 2 :], *given[at : at + 2]]


def _with_hint(message: str) -> str:
    """Return the parser's message about wrong arguments, in words for users."""
    said = message.replace("Value error, ", "").rstrip(".")
    return f"{said} See `snuggles --help`." if said.endswith("?") else f"{said}; see `snuggles --help`."


def main() -> None:
    """Run the command that the process was started with."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
