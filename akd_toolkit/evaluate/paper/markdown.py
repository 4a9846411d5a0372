"""A document as Markdown, and back: tables of studies and ablations come as Markdown."""

import re

from akd_toolkit.evaluate.paper.document import Block, Document, Figure, Heading, Items, Table, Text
from akd_toolkit.evaluate.report.tables import markdown_table

PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")


def markdown(document: Document) -> str:
    """The whole page; pictures are PNG files below the page's folder.

    Example
    -------
    >>> print(markdown(Document("EmoDB", [Heading("Scores"), Text("Be careful.", warning=True)])))
    # EmoDB
    <BLANKLINE>
    ## Scores
    <BLANKLINE>
    > **Be careful.**
    <BLANKLINE>
    """
    return "\n\n".join([f"# {document.title}", *map(_block, document.blocks)]) + "\n"


def picture_path(figure: Figure) -> str:
    """Where a picture's PNG lies, seen from the report's folder."""
    return figure.name if "." in figure.name else f"figures/{figure.name}.png"


def read_markdown(text: str) -> list[Block]:
    """The blocks of a page that the toolkit wrote; what it does not know becomes a paragraph.

    Example
    -------
    >>> read_markdown("| a | b |\\n|---|---:|\\n| x | 1 |")
    [Table(name='', caption='', header=('a', 'b'), rows=(('x', '1'),), left=1, filed=())]
    """
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = [line.rstrip() for line in part.splitlines()]
        while lines and lines[0].startswith("#"):
            signs, _, words = lines.pop(0).partition(" ")
            blocks.append(Heading(words, max(2, len(signs))))
        if lines:
            blocks += _read_part(lines)
    return blocks


def _read_part(lines: list[str]) -> list[Block]:
    start = next((place for place, line in enumerate(lines) if line.startswith("|")), None)
    if start is not None and start + 1 < len(lines) and RULE.fullmatch(lines[start + 1]):
        stop = next((place for place in range(start, len(lines)) if not lines[place].startswith("|")), len(lines))
        before = _read_part(lines[:start]) if start else []
        return [*before, _read_table(lines[start:stop]), *(_read_part(lines[stop:]) if stop < len(lines) else [])]
    if all(line.startswith(("- ", "  ")) for line in lines):
        joined = re.sub(r"\n\s+", " ", "\n".join(lines))
        return [Items(tuple(line[2:] for line in joined.splitlines()))]
    words = " ".join(line.removeprefix("> ").strip() for line in lines)
    warning = lines[0].startswith(">")
    blocks: list[Block] = [Figure(path, alt, alt) for alt, path in PICTURE.findall(words)]
    words = PICTURE.sub("", words).strip()
    if warning and words.startswith("**") and words.endswith("**"):
        words = words[2:-2]
    return [*([Text(words, warning)] if words else []), *blocks]


def _read_table(lines: list[str]) -> Table:
    header, rule, *rows = [_cells(line) for line in lines]
    rows = [tuple((row + [""] * len(header))[: len(header)]) for row in rows]
    left = next((place for place, dashes in enumerate(rule) if dashes.endswith(":")), len(header))
    return Table("", "", tuple(header), tuple(rows), left)


def _cells(line: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [part.strip().replace("\\|", "|") for part in parts]


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Text():
            return f"> **{block.text.replace('**', '')}**" if block.warning else block.text
        case Items():
            return "\n".join(f"- {item}" for item in block.items)
        case Table():
            written = markdown_table(block.header, block.rows, left=block.left)
            return f"**{block.caption.replace('**', '')}**\n\n{written}" if block.caption else written
        case Figure():
            caption = f"\n\n*{block.caption}*" if block.caption else ""
            return f"![{block.alt}]({picture_path(block)}){caption}"
    raise TypeError(f"a document holds no {type(block).__name__}.")
