"""The application's side of the demo: events at a steady pace, with Poisson gaps, and a fault from some moment on."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable

from monitor.demo.assistant import SupportAssistant
from monitor.demo.faults import Fault
from monitor.events.schema import OutputEvent

Publish = Callable[[OutputEvent], object]


class Traffic:
    """Publishes from its own thread until stopped.

    Parameters
    ----------
    assistant
        Makes the events.
    publish
        Takes each event; called from the thread.
    rate
        Events a second on average.
    fault
        What goes wrong once `start_fault` is called.
    speed
        How fast time goes by for the events, as a multiple of the clock.
    lasts_s
        Until then, in seconds from now, events are given times of the past, so that none is ahead of the clock.

    Attributes
    ----------
    latest
        The last few events.
    counts
        Events published so far, by stream.
    fault_at
        When the fault began, seconds since 1970.
    fault_time
        The same in the time of the events.
    since_fault
        By event id, the how-manieth event of its stream since the fault it is, counted from 1.
    """

    def __init__(
        self,
        assistant: SupportAssistant,
        publish: Publish,
        rate: float,
        fault: Fault,
        speed: float = 1.0,
        lasts_s: float = 0.0,
    ) -> None:
        self._assistant = assistant
        self._publish = publish
        self._rate = rate
        self._fault = fault
        self._speed = speed
        self._ends_at = time.time() + lasts_s
        self._gaps = random.Random(rate)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-traffic", daemon=True)
        self._error: BaseException | None = None
        self._struck: dict[str, int] = {}
        self.latest: deque[OutputEvent] = deque(maxlen=12)
        self.counts: dict[str, int] = {}
        self.fault_at: float | None = None
        self.fault_time: float | None = None
        self.since_fault: dict[str, int] = {}

    @property
    def published(self) -> int:
        """Events handed to the publisher so far."""
        return sum(self.counts.values())

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def start_fault(self) -> None:
        """From the next event on the fault is there."""
        now = time.time()
        self.fault_time, self.fault_at = self._time_of(now), now

    def stop(self) -> None:
        """Publish nothing more, and raise what ended the thread early, if anything did. Repeatable."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what ended the thread early, if anything did."""
        if self._error is not None:
            raise self._error

    def _time_of(self, now: float) -> float:
        return now - (self._speed - 1.0) * max(self._ends_at - now, 0.0)

    def _run(self) -> None:
        due = time.time()
        try:
            while not self._stop.is_set():
                now = time.time()
                if now < due:
                    self._stop.wait(due - now)
                    continue
                began = self.fault_at
                due += self._gaps.expovariate(self._rate if began is None else self._rate * self._fault.traffic)
                if began is None:
                    event = self._assistant.event(self._time_of(now))
                else:
                    event = self._assistant.event(self._time_of(now), self._fault, now - began)
                    place = self._struck.get(event.stream, 0) + 1
                    self._struck[event.stream] = place
                    self.since_fault[event.id or ""] = place
                self._publish(event)
                self.counts[event.stream] = self.counts.get(event.stream, 0) + 1
                self.latest.append(event)
        except BaseException as error:  # handed to the thread that waits, which raises it
            self._error = error
