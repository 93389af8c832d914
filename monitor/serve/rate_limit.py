"""Rate limits: a bucket of requests for each token, refilled steadily.

The bucket is kept as one number, the time at which it would be full again (the generic cell rate algorithm), so that a
limit costs a subtraction. May import nothing from this project.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

MAX_NAMES = 10_000  # names remembered; tokens are made by hand and stay far below, addresses of strangers do not


class RateLimit:
    """At most `burst` requests at once, and `per_s` a second in the long run, for each name.

    Parameters
    ----------
    per_s
        Requests a second.
    burst
        Requests that may come at once after a pause.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval = 1.0 / per_s
        self._room = burst * self._interval
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, now: float) -> float:
        """Take one request; returns 0, or after how many seconds one will be free. `now`: monotonic seconds."""
        with self._lock:
            full_at = max(self._full_at.pop(name, now), now)
            wait = full_at + self._interval - self._room - now
            # A refused request takes nothing: a client that goes on asking is not locked out for ever.
            self._full_at[name] = full_at if wait > 1e-9 else full_at + self._interval
            while len(self._full_at) > MAX_NAMES:
                self._full_at.popitem(last=False)
        return wait if wait > 1e-9 else 0.0
