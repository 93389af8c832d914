"""`oqm`: the command line. One module a command; what they share is in `app`, `connection` and `output`.

Commands import what they need when they run, so that `oqm --help` and a command without Kafka load neither Faust nor
the feature tables. The top layer: nothing imports this package.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script."""
    # Before numpy is loaded: its matrices are small here, and threads that wait for one another take twice the time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if find_spec("typer") is None or find_spec("pydantic") is None:
        # The base install is the publishing client alone; these two come with everything else.
        what = "oqm: only the publishing client is installed"
        sys.stderr.write(f"{what}: pip install 'output-quality-monitor[monitor]'\n")
        sys.exit(2)
    from monitor.cli.app import main as run

    run()
