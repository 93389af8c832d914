"""The walk of the benchmark finds what the plain query finds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks import cascade


def test_walk_and_query_find_the_same_outputs(tmp_path: Path) -> None:
    made = cascade.edges(6_000)
    cascade.write(str(tmp_path / "traces"), made, days=3)
    with closing(cascade.plain_sqlite(tmp_path / "plain.sqlite", made)) as plain:
        for depth in (1, 3, 20):
            query = cascade.queries(
                lambda *given: plain.execute(cascade.RECURSIVE.format(p="?"), given).fetchall(), depth, 1
            )
            assert cascade.walks(str(tmp_path / "traces"), depth, 1)[0] == query[0] >= 2_000
