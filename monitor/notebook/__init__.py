"""For notebooks: `replay`, `compare` and `Watch` over a DataFrame, dicts, texts or a file.

The same code as in the worker and the command line. Results show themselves as a table (`_repr_html_`), become a
DataFrame (`to_frame`), and plot (`plot`, with the extra `notebook`). May import everything but the command line.
"""

from __future__ import annotations

from monitor.notebook.comparing import Comparison, compare
from monitor.notebook.replaying import Replay, Watch, replay

__all__ = ["Comparison", "Replay", "Watch", "compare", "replay"]
