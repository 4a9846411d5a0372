"""A document as one HTML file that needs nothing else: style and pictures inside, no script, no network."""

import base64
import re
from html import escape
from pathlib import Path

from akd_toolkit.evaluate.paper.document import Block, Document, Figure, Heading, Items, Table, Text
from akd_toolkit.evaluate.paper.markdown import picture_path
from akd_toolkit.evaluate.report.plots import GRID, INK, MUTED

THEME = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", "#ffffff": "var(--paper)"}
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def web_page(document: Document, folder: str | Path) -> str:
    """The whole page.

    Arguments
    ---------
    folder
        Where the pictures lie that the document names; each is put into the page, as SVG where there is one.

    Raises
    ------
    FileNotFoundError
        If a picture is missing.
    """
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    anchors, contents, body = {}, [], []
    for number, block in enumerate(document.blocks):
        if isinstance(block, Heading) and block.level == 2:
            anchors[number] = f"s{len(anchors) + 1}"
            contents.append(f'<li><a href="#{anchors[number]}">{escape(block.text)}</a></li>')
        body.append(_block(block, anchors.get(number), number, Path(folder)))
    title = escape(document.title)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>",
        f'<nav aria-label="contents"><details><summary>Contents</summary><ol>{"".join(contents)}</ol></details></nav>',
        *body,
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def inline(text: str) -> str:
    """Bold, emphasis, code and links of a text as HTML; all else is escaped, and bare addresses become links.

    Example
    -------
    >>> inline("**1 < 2**, *see* `a<b>` or [here](https://doi.org/1)")
    '<strong>1 &lt; 2</strong>, <em>see</em> <code>a&lt;b&gt;</code> or <a href="https://doi.org/1">here</a>'
    """
    text = escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"\*(?! )([^*]+)(?<! )\*", r"<em>\1</em>", text)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r'<a href="\2">\1</a>', text)
    return re.sub(r'(?<![">])(https?://[^\s<]*[^\s<.,;:)])', r'<a href="\1">\1</a>', text)


def _block(block: Block, anchor: str | None, number: int, folder: Path) -> str:
    match block:
        case Heading():
            level, named = min(block.level, 4), f' id="{anchor}"' if anchor else ""
            return f"<h{level}{named}>{inline(block.text)}</h{level}>"
        case Text():
            kind = ' class="warning" role="note"' if block.warning else ""
            return f"<p{kind}>{inline(block.text)}</p>"
        case Items():
            return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in block.items)}</ul>"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block, number, folder)
    raise TypeError(f"a document holds no {type(block).__name__}.")


def _table(block: Table) -> str:
    def row(cells, tag: str) -> str:
        written = []
        for place, cell in enumerate(cells):
            kind = "th" if tag == "th" or place == 0 else "td"
            scope = ' scope="col"' if tag == "th" else ' scope="row"' if kind == "th" else ""
            side = "" if place < block.left else ' class="n"'
            written.append(f"<{kind}{scope}{side}>{inline(cell)}</{kind}>")
        group = ' class="group"' if tag == "td" and not any(cells[1:]) else ""  # a heading inside the table
        return f"<tr{group}>{''.join(written)}</tr>"

    label = escape(re.sub(r"[*`]", "", block.caption)) or "table"
    caption = f"<figcaption>{inline(block.caption)}</figcaption>" if block.caption else ""
    head, rows = row(block.header, "th"), "\n".join(row(cells, "td") for cells in block.rows)
    return (
        f'<figure class="table">{caption}<div class="scroll" role="region" tabindex="0" aria-label="{label}">\n'
        f"<table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table></div></figure>"
    )


def _figure(block: Figure, number: int, folder: Path) -> str:
    caption = f"<figcaption>{inline(block.caption)}</figcaption>" if block.caption else ""
    path = folder / picture_path(block)
    path = path.with_suffix(".svg") if path.with_suffix(".svg").is_file() else path
    if not path.is_file():
        raise FileNotFoundError(f"the picture {path} is missing; make the report again.")
    ours = path.suffix == ".svg" and not block.name.startswith("studies/")
    if ours:
        drawn = _drawing(path.read_text(encoding="utf-8"), f"f{number}-", block)
    else:  # of another command, perhaps on another machine: as an image it can run nothing
        coded = base64.b64encode(path.read_bytes()).decode()
        drawn = f'<img src="data:{KINDS[path.suffix.lower()]};base64,{coded}" alt="{escape(block.alt)}">'
    paper = "" if block.themed and ours else " paper"
    return f'<figure class="picture{paper}">{drawn}{caption}</figure>'


def _drawing(text: str, prefix: str, block: Figure) -> str:
    """An SVG as part of a page: no prolog, names that no other picture has, the page's own ink."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", text)
    if block.themed:
        for colour, name in THEME.items():
            text = text.replace(colour, name)
    width = re.search(r'<svg[^>]*?\bwidth="([\d.]+)pt"', text)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height|role|aria-label)="[^"]*"', "", head)
    size = f"width:min(100%,{float(width[1]) * 4 / 3:.0f}px)" if width else "width:100%"
    return f'{head} role="img" aria-label="{escape(block.alt)}" style="{size}">{rest}'
