"""The recipe that receivers copy from the README verifies what the sink signs."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import monitor.sinks.webhook.sink
from monitor.sinks.webhook.signature import sign

README = Path(monitor.sinks.webhook.sink.__file__).parent / "README.md"


def test_the_recipe_in_the_readme_verifies() -> None:
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    now = int(time.time())
    headers = {"X-OQM-Timestamp": str(now), "X-OQM-Signature": sign("key", now, b'{"a": 1}')}
    assert names["verified"]("key", headers, b'{"a": 1}')
    assert not names["verified"]("key", headers, b'{"a": 2}')
    assert not names["verified"]("other", headers, b'{"a": 1}')
