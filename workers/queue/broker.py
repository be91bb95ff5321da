"""Dramatiq on Redis or RabbitMQ, which carries `(job_id, dispatch_no)` and nothing else."""

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import dramatiq
import redis
from dramatiq import Broker, Message
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker

from services.jobs.service import QUEUES
from services.process.settings import SettingsError
from workers.queue.consumer import NotifiedConsumer
from workers.queue.drain import Drain
from workers.queue.heartbeat import Heartbeat
from workers.queue.notifier import Listener, Notifier
from workers.queue.outage import Outage
from workers.queue.slots import SlotLimit

NAMESPACE = "snuggles"
CHANNEL = f"{NAMESPACE}:sent"
IDLE_POLL_MS = 100
"""How often an empty queue is polled, in case a notification was lost."""
REDIS_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 10.0
RABBITMQ_BLOCKED_S = 5.0
"""How long to wait for a broker without free memory or disk; less than the lease of the active dispatcher."""


class NotifyingBroker(RedisBroker):
    """Dramatiq's Redis broker with notifications and without delayed queues, which `jobs.run_at` replaces."""

    def __init__(self, *, slots: SlotLimit, notifier: Notifier, outage: Outage, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.slots = slots
        self.notifier = notifier
        self.outage = outage

    @property
    def consumer_class(self) -> type[Consumer]:
        """Return the consumer that respects the slot limit and waits for notifications."""
        return NotifiedConsumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue once."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def close(self) -> None:
        """Close the connections to Redis, which Dramatiq leaves open until the process ends."""
        super().close()
        self.client.connection_pool.disconnect()

    def send(self, messages: Sequence[Message[Any]]) -> None:
        """Add messages to their queues and notify the workers, all or nothing, in one round trip to Redis.

        Writes the same keys as `enqueue` in Dramatiq's dispatch.lua: the message in a hash, its id in a list.
        """
        with self.client.pipeline(transaction=True) as exchange:
            for queue, group in groupby(messages, key=lambda one: one.queue_name):
                texts: dict[Any, Any] = {one.message_id: _addressed(one).encode() for one in group}
                exchange.hset(f"{self.namespace}:{queue}.msgs", mapping=texts)
                exchange.rpush(f"{self.namespace}:{queue}", *texts)
                exchange.publish(CHANNEL, queue)
            exchange.execute()

    def list_waiting(self, queue: str) -> set[str]:
        """Return the ids of the messages that no worker has fetched yet."""
        names: Any = self.client.lrange(f"{self.namespace}:{queue}", 0, -1)
        return {name.decode() for name in names}


def open_broker(url: str, *, slots: SlotLimit, connections: int = 8) -> Broker:
    """Return the broker for a redis:// or amqp:// URL, without connecting yet.

    SettingsError for another scheme, or when the client library for RabbitMQ is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # Otherwise a connection that only listens would not notice that the server is gone.
            health_check_interval=HEALTH_CHECK_S,
        )
        client, notifier, outage = redis.Redis(connection_pool=pool), Notifier(), Outage()
        middleware = [Heartbeat(outage), Listener(client, CHANNEL, notifier, outage), Drain(slots)]
        return NotifyingBroker(
            slots=slots, notifier=notifier, outage=outage, client=client, middleware=middleware, namespace=NAMESPACE
        )
    if scheme in ("amqp", "amqps"):
        return _open_rabbitmq(url, [Drain(slots)])
    raise SettingsError("BROKER_URL must begin with redis://, rediss:// or amqp://")


def _open_rabbitmq(url: str, middleware: list[dramatiq.Middleware]) -> Broker:
    try:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker
    except ImportError as error:
        raise SettingsError(
            "BROKER_URL points to RabbitMQ; install its client: pip install 'big-snuggles[rabbitmq]'"
        ) from error
    # pika logs every lost connection with a traceback; the callers log it in one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # Without confirmation, a message written to a connection that the broker has closed is lost silently.
    broker = RabbitmqBroker(url=url, middleware=middleware, confirm_delivery=True)
    for parameters in broker.parameters if isinstance(broker.parameters, list) else [broker.parameters]:
        parameters.blocked_connection_timeout = RABBITMQ_BLOCKED_S
    return broker


def message(*, queue: str, job_id: UUID, dispatch_no: int) -> Message[Any]:
    """Return the message that announces a job; the actor of a queue has the name of the queue."""
    return Message(
        queue_name=queue,
        actor_name=queue,
        args=(str(job_id), dispatch_no),
        kwargs={},
        options={},
        message_id=message_id(job_id, dispatch_no),
    )


def message_id(job_id: UUID, dispatch_no: int) -> str:
    """Return the id of the message for a job and its dispatch number."""
    return f"{job_id}/{dispatch_no}"


def send(broker: Broker, messages: Sequence[Message[Any]]) -> None:
    """Send messages in this order; RedisError, or Dramatiq's ConnectionError, when some or all were not sent."""
    if isinstance(broker, NotifyingBroker):
        broker.send(messages)
        return
    for one in messages:
        broker.enqueue(one)


def list_waiting(broker: Broker, queue: str) -> set[str]:
    """Return the ids of the messages that no worker has fetched yet; empty for RabbitMQ, which cannot list them."""
    return broker.list_waiting(queue) if isinstance(broker, NotifyingBroker) else set()


def _addressed(one: Message[Any]) -> Message[Any]:
    """Return the message with the id that Dramatiq uses in Redis."""
    return one.copy(options={"redis_message_id": one.message_id})


def declare_queues(broker: Broker) -> None:
    """Declare every queue, for a process that only sends."""
    for queue in QUEUES:
        broker.declare_queue(queue)
