"""The trace store as requests read it: opened when it is first asked for, one reader at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.store.base import TraceStore
from monitor.store.open import open_store


class Traces:
    """A trace store that may not be there yet: the worker with the role `store` makes it.

    Parameters
    ----------
    address
        As of `open_store`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._store: TraceStore | None = None
        # A store is made for one thread; reading takes milliseconds, and people look rarely.
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[TraceStore]:
        """The store, for this thread alone. Raises `StoreError` where it cannot be opened; the next one tries again."""
        with self._lock:
            if self._store is None:
                self._store = open_store(self._address, read_only=True)
            yield self._store

    def close(self) -> None:
        """Release connections and files."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
