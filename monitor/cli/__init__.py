"""`oqm`: the command line. One module a command; what they share is in `app`, `connection` and `output`.

Commands import what they need when they run, so that `oqm --help` and a command without Kafka load neither Faust nor
the feature tables. The top layer: nothing imports this package.
"""

from __future__ import annotations

import os

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script."""
    # Before numpy is loaded: its matrices are small here, and threads that wait for one another take twice the time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from monitor.cli.app import main as run

    run()
