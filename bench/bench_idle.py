"""The processor time of an idle worker's consumers: woken by notifications, or polling every 20 ms without them.

python bench/bench_idle.py [--seconds 20]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import dramatiq
from bench_queue import servers

from services.jobs.service import QUEUES
from workers.queue.broker import IDLE_POLL_MS, NotifyingBroker, open_broker
from workers.queue.notifier import Notifier
from workers.queue.slots import SlotLimit

POLL_MS = 20
SETTLE_S = 2.0


class Silent(Notifier):
    """A notifier that nothing notifies: every wait lasts until the next poll."""

    def wait(self, queue: str, seen: int, timeout_s: float) -> bool:  # noqa: ARG002 - the signature of Notifier
        """Sleep until the next poll."""
        time.sleep(timeout_s)
        return False


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as settings:
        notified = measure(settings.broker_url, IDLE_POLL_MS, seconds, is_notified=True)
        polling = measure(settings.broker_url, POLL_MS, seconds, is_notified=False)
    print(f"idle worker with {len(QUEUES)} queues, share of one core:")
    print(f"  notified, polls every {IDLE_POLL_MS} ms in case one is lost {notified:.1%}")
    print(f"  not notified, polls every {POLL_MS} ms {polling:.1%} (at most 1 % to drop the notifications)")


def measure(broker_url: str, poll_ms: int, seconds: float, *, is_notified: bool) -> float:
    """Return the share of a core that the consumers of one process use while all queues are empty."""
    broker = open_broker(broker_url, slots=SlotLimit(2), connections=16)
    if not is_notified and isinstance(broker, NotifyingBroker):
        broker.notifier = Silent()
    for queue in QUEUES:
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(lambda _job_id, _dispatch_no: None)
    worker = dramatiq.Worker(broker, queues=set(QUEUES), worker_timeout=poll_ms, worker_threads=2)
    worker.start()
    try:
        time.sleep(SETTLE_S)
        before_s, began_s = cpu_s(), time.monotonic()
        time.sleep(seconds)
        return (cpu_s() - before_s) / (time.monotonic() - began_s)
    finally:
        worker.stop(timeout=1000)
        broker.close()


def cpu_s() -> float:
    """Return the processor time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
