"""`FittedTable`: rows as a table where the console is wide enough, else one block of lines per row. Nothing is cut.

An id or a name that is cut or broken over two lines can be neither copied nor searched for. So the columns that hold
them are always whole; only columns of prose are wrapped, and never below a width that can be read. Where that does not
fit, each row becomes a block of `heading  value` lines, as `psql` does in its expanded display.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

READABLE_COLUMNS = 30
"""Least width of a column of prose: some five words a line; below it a reader's eye jumps more than it reads."""
_BORDERS_PER_COLUMN = 3  # a line and a blank on each side
_GAP = 2  # blanks between a heading and its value in a block


class FittedTable:
    """Rows under headings, printed by `Console.print`.

    Parameters
    ----------
    headings
        Names of the k columns.
    prose
        Headings of the columns whose cells are wrapped; all others stay whole.
    right
        Headings of the columns that are aligned to the right: numbers.
    title, caption
        A line above and lines below; empty for none.
    lines
        Whether a line separates the rows of a table, for cells of several lines.
    """

    def __init__(
        self,
        *headings: str,
        prose: Collection[str] = (),
        right: Collection[str] = (),
        title: str = "",
        caption: Text | None = None,
        lines: bool = False,
    ) -> None:
        self._headings = headings
        self._prose = frozenset(prose)
        self._right = frozenset(right)
        self._title = title
        self._caption = caption
        self._lines = lines
        self._rows: list[Sequence[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """One value per heading; a text is shown as it is, without markup."""
        if len(cells) != len(self._headings):
            raise ValueError(f"{len(cells)} cells for {len(self._headings)} columns")
        self._rows.append([cell if isinstance(cell, Text) else Text(cell) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Called by rich."""
        if self.fits(options.max_width) or not self._rows:
            yield self._table()
        else:
            yield from self._blocks(options.max_width)

    def fits(self, columns: int) -> bool:
        """Whether it is a table where there are so many columns, and not blocks of lines."""
        return self._needed() <= columns

    def _needed(self) -> int:
        """Columns of the narrowest table in which all names are whole and prose can be read."""
        total = 1
        for place, heading in enumerate(self._headings):
            longest = max([Text(heading).cell_len, *(_width(row[place]) for row in self._rows)])
            total += _BORDERS_PER_COLUMN + (min(longest, READABLE_COLUMNS) if heading in self._prose else longest)
        return total

    def _table(self) -> Table:
        table = Table(title=self._title or None, title_justify="left", show_lines=self._lines)
        table.caption, table.caption_justify = self._caption, "left"
        for heading in self._headings:
            whole = heading not in self._prose
            justify = "right" if heading in self._right else "left"
            table.add_column(heading, no_wrap=whole, overflow="fold", justify=justify)  # type: ignore[arg-type]
        for row in self._rows:
            table.add_row(*row)
        return table

    def _blocks(self, columns: int) -> Iterator[RenderableType]:
        if self._title:
            yield Text(self._title, style="italic")
        label = max(Text(heading).cell_len for heading in self._headings) + _GAP
        for row in self._rows:
            block = Table.grid(padding=0)
            block.add_column(width=label, no_wrap=True, style="dim")
            block.add_column(overflow="fold", max_width=max(1, columns - label))
            for heading, cell in zip(self._headings, row, strict=True):
                if cell.plain:
                    block.add_row(heading, cell)
            yield block
            yield Text()
        if self._caption is not None:
            yield self._caption


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n")), default=0)
