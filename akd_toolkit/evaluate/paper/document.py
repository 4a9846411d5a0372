"""What a report says, apart from how it is written down: headings, text, tables and figures in one order.

``markdown.py`` and ``web.py`` write the same document. Text may hold ``**bold**``, ``*emphasis*``, `` `code` ``
and ``[words](address)`` and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """A heading; level 2 opens a section, 3 a part of it."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; ``warning`` makes it stand out."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Arguments
    ---------
    name
        Of its file, ``tables/<name>.csv``; empty where it gets none.
    left
        How many columns are text and stand left; the others are numbers.
    filed
        Header and rows of the file where it holds more than the page shows.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    filed: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Figure:
    """A picture.

    Arguments
    ---------
    name
        Of its files, ``figures/<name>.png`` and ``figures/<name>.svg``; a path below the report's folder for a picture
        that another command drew.
    alt
        What it shows, for whoever cannot see it.
    themed
        Whether its ink and paper may follow the reader's dark mode; not where ink stands on coloured ground.
    """

    name: str
    caption: str
    alt: str
    themed: bool = True


Block = Heading | Text | Items | Table | Figure


@dataclass
class Document:
    """A title and the blocks below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> None:
        self.blocks += blocks

    def tables(self) -> list[Table]:
        """The tables that get a file of their own."""
        return [block for block in self.blocks if isinstance(block, Table) and block.name]


def table(name: str, caption: str, header: Sequence[object], rows: Sequence[Sequence[object]], left: int = 1) -> Table:
    """A table of anything that can be written as text.

    Raises
    ------
    ValueError
        If a row is not as long as the header.

    Example
    -------
    >>> table("folds", "Folds", ["fold", "UA"], [[1, "81.2"]]).rows
    (('1', '81.2'),)
    """
    written = tuple(tuple(str(cell) for cell in row) for row in rows)
    for row in written:
        if len(row) != len(header):
            raise ValueError(f"table '{name}': a row has {len(row)} cells and the header {len(header)}; mend the row.")
    return Table(name, caption, tuple(str(cell) for cell in header), written, left)
