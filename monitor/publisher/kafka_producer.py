"""`KafkaProducers`: makes the kafka-python producers that a publisher sends through.

kafka-python, and the codec that resolving a host name imports, are imported before the first connection and never
inside it. A fork during an import leaves the child with a half-imported module for good: "unknown encoding: idna" at
every connection. So the publisher's constructor imports both; where it runs in an event loop, a thread does, and a
fork waits for that.

May import `monitor.errors` and, inside functions, kafka-python.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.errors import ConfigError

_PATIENCE_S = 10.0  # of a fork with an import that runs in a thread; it takes 0.2 s, and 1 s on a machine under load
_importing = threading.Lock()


class KafkaProducers:
    """Makes idempotent producers; called by the publisher's thread, again where a producer has given up.

    `options` are those of `kafka.KafkaProducer`, on top of what is set here.
    """

    def __init__(
        self,
        brokers: str | Sequence[str],
        options: Mapping[str, Any],
        delivery_timeout_s: float,
        max_message_bytes: int,
    ) -> None:
        delivery_ms = max(1_000, int(delivery_timeout_s * 1000))
        self._kind: Any = None
        self._given = frozenset(options)
        self._configuration = {
            "bootstrap_servers": brokers.split(",") if isinstance(brokers, str) else list(brokers),
            "client_id": "oqm-publisher",
            "enable_idempotence": True,
            "linger_ms": 20,  # an output takes seconds to make; 20 ms more let several travel together
            "batch_size": 128 * 1024,
            "max_request_size": max(1_048_576, max_message_bytes + 1024),
            "delivery_timeout_ms": delivery_ms,
            "request_timeout_ms": min(30_000, delivery_ms // 2),
            "max_block_ms": 5_000,
            "bootstrap_timeout_ms": 5_000,
            # A topic made by the first message has the broker's defaults; `oqm topics` makes it with the right ones.
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            **options,
        }

    def prepare(self) -> None:
        """Import what connections need. Raises `ConfigError` for options that kafka-python does not know."""
        if self._kind is None:
            self._kind = _process_producer()
        unknown = sorted(self._given - set(self._kind.DEFAULT_CONFIG))
        if unknown:
            raise ConfigError(f"OutputPublisher(kafka=...): kafka-python has no option {unknown[0]!r}")

    def __call__(self) -> Any:
        """Connect; raises what kafka-python raises, and `ConfigError` as above."""
        self.prepare()
        return self._kind(**self._configuration)


def is_imported() -> bool:
    """Whether `prepare` has nothing to import."""
    return _made is not None


_made: Any = None


def _process_producer() -> Any:
    global _made
    with _importing:
        if _made is not None:
            return _made
        import encodings.idna  # noqa: F401  socket.getaddrinfo imports it at the first connection

        from kafka import KafkaProducer

        class ProcessProducer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
            """A producer that a forked child leaves alone.

            kafka-python closes it at exit and when it is collected, in the child too. There that would wait for locks
            and threads that exist in the parent only.
            """

            def __init__(self, **configuration: Any) -> None:
                self._made_in = os.getpid()
                super().__init__(**configuration)

            def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
                if self._made_in == os.getpid():
                    super().close(timeout, null_logger)

        _made = ProcessProducer
        return _made


def _before_fork() -> None:
    global _waited
    _waited = _importing.acquire(timeout=_PATIENCE_S)


def _after_fork() -> None:
    if _waited:
        _importing.release()


_waited = False

if sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
