"""`python -m monitor.cli`: the same as `oqm`."""

from __future__ import annotations

from monitor.cli import main

main()
