"""The bell: Dramatiq on Redis (or RabbitMQ), which carries `(job_id, dispatch_no)` and nothing else."""

import logging
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import dramatiq
import redis
from dramatiq import Broker, Message
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer

from services.jobs import QUEUES
from services.settings import SettingsError
from workers.gate import Gate
from workers.middleware.drain import Drain
from workers.middleware.heartbeat import Heartbeat

NAMESPACE = "snuggles"
IDLE_POLL_MS = 20
"""The longest pause between two looks at an empty queue: half of it is what an idle system adds to a job's start."""
REDIS_TIMEOUT_S = 5.0
RABBITMQ_BLOCKED_S = 5.0
"""How long a broker that is short of memory or disk may keep us waiting: less than a silent dispatcher's lease."""


class _GatedConsumer(_RedisConsumer):
    """Fetches only what the whole process has room for, and as soon as there is room."""

    @property
    def outstanding_message_count(self) -> int:
        held: int = super().outstanding_message_count
        self.broker.gate.hold(self.queue_name, held)
        return int(self.prefetch) - int(self.broker.gate.room)

    def ack(self, message: MessageProxy) -> None:
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        finally:
            self.broker.gate.hold(self.queue_name, super().outstanding_message_count)

    def __next__(self) -> MessageProxy | None:
        if not self.message_cache and not self.broker.gate.wait_for_room(self.timeout / 1000):
            return None
        fetched: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        return fetched


class BellBroker(RedisBroker):
    """Dramatiq's Redis broker without delayed queues: `run_at` is a column, and their consumers only cost polls."""

    def __init__(self, *, gate: Gate, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.gate = gate

    @property
    def consumer_class(self) -> type[Consumer]:
        """Return the consumer that asks the gate."""
        return _GatedConsumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue once."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def open_broker(url: str, *, gate: Gate, connections: int = 8) -> Broker:
    """Return the broker for a redis:// or amqp:// URL; asks nothing of the server yet.

    SettingsError when the URL is neither, or the client library for RabbitMQ is not installed.
    """
    middleware = [Heartbeat(), Drain(gate)]
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
        )
        return BellBroker(
            gate=gate, client=redis.Redis(connection_pool=pool), middleware=middleware, namespace=NAMESPACE
        )
    if scheme in ("amqp", "amqps"):
        return _open_rabbitmq(url, middleware)
    raise SettingsError("BROKER_URL must begin with redis://, rediss:// or amqp://")


def _open_rabbitmq(url: str, middleware: list[dramatiq.Middleware]) -> Broker:
    try:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker
    except ImportError as error:
        raise SettingsError(
            "BROKER_URL points to RabbitMQ; install its client: pip install 'big-snuggles[rabbitmq]'"
        ) from error
    # It logs each lost connection with all its insides; who uses the connection says so in a line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # Unconfirmed, a message that is written to a connection which the broker has closed is lost without a word.
    broker = RabbitmqBroker(url=url, middleware=middleware, confirm_delivery=True)
    for parameters in broker.parameters if isinstance(broker.parameters, list) else [broker.parameters]:
        parameters.blocked_connection_timeout = RABBITMQ_BLOCKED_S
    return broker


def message(*, queue: str, job_id: UUID, dispatch_no: int) -> Message[Any]:
    """Return what rings for a job; the actor of a queue carries its name."""
    return Message(queue_name=queue, actor_name=queue, args=(str(job_id), dispatch_no), kwargs={}, options={})


def declare_queues(broker: Broker) -> None:
    """Declare every queue, as a process that only sends must."""
    for queue in QUEUES:
        broker.declare_queue(queue)
