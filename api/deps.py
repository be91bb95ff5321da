"""The dependencies of handlers, made once by the composition root."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from msgspec import field

from api.base_deps import BaseDeps
from api.threads import open_threads
from services.billing.sync import Billing
from services.mail.transport import Mailer
from services.outbound.fetch import SafeFetcher
from storage.factory import Buckets


class Deps(BaseDeps, frozen=True, kw_only=True):
    """Clients for everything outside the process, and state shared within it."""

    buckets: Buckets
    mailer: Mailer
    fetcher: SafeFetcher
    billing: Billing | None
    """None where the service takes no payments."""
    outside_threads: ThreadPoolExecutor = field(default_factory=open_threads)
    """For handlers that call storage or the network (`api.threads`)."""

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """Return a check for each service this process depends on, by name. It raises if there is no answer."""
        return {**super().checks(), "storage": self.buckets.recordings.ping}

    def close(self) -> None:
        """Close what was opened."""
        self.outside_threads.shutdown(wait=False, cancel_futures=True)
        super().close()
