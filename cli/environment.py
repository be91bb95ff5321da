"""Settings and connections of commands, with errors that name the broken part."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.errors import BrokenEnvironmentError, CommandError

if TYPE_CHECKING:
    from services.process.settings import Settings


def read_settings(environment: Mapping[str, str] | None = None) -> "Settings":
    """Read the environment, or the one given; BrokenEnvironmentError names the missing or wrong setting."""
    from services.process.settings import SettingsError, load

    try:
        return load(environment)
    except SettingsError as error:
        raise BrokenEnvironmentError(str(error)) from error


@contextmanager
def explained() -> Iterator[None]:
    """Turn failures of servers and settings into a sentence and an exit status."""
    from db.connection import DatabaseUnavailableError
    from db.migrate import MigrationError
    from services.errors import DomainError, UnavailableError
    from services.process.settings import SettingsError
    from storage.store import StorageError

    try:
        yield
    except (SettingsError, MigrationError, DatabaseUnavailableError, StorageError, UnavailableError) as error:
        raise BrokenEnvironmentError(str(error)) from error
    except DomainError as error:
        raise CommandError(error.message) from error
