"""How much of its alert budget a stream has spent: alerts that people marked false, against those it may raise.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from monitor.alerting.lifecycle.responses import FalseAlarm


def spent(alarms: Iterable[FalseAlarm], allowed: Callable[[str], tuple[float, float]], now: float) -> dict[str, float]:
    """Per stream with a false alarm: those of its budget's latest period over those allowed; above 1 is overspent.

    Parameters
    ----------
    alarms
        Alerts marked false.
    allowed
        Of a stream: how many false alerts it may raise, and in how many seconds.
    now
        Seconds since 1970.
    """
    counted: Counter[str] = Counter()
    budgets: dict[str, tuple[float, float]] = {}
    for alarm in alarms:
        _, period_s = budgets.setdefault(alarm.stream, allowed(alarm.stream))
        counted[alarm.stream] += now - alarm.time <= period_s
    return {stream: counted[stream] / budgets[stream][0] for stream in budgets}
