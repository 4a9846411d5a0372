"""A Markdown report as one HTML file that needs nothing else: style and pictures inside, no script, no network."""

import base64
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from akd_toolkit.evaluate.report.tables import render

KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def web_page(markdown: str, folder: str | Path) -> str:
    """The whole page: the heading of level 1 is its title, those of level 2 are its contents.

    Pictures are read from ``folder``, as SVG where there is one. As images they cannot run scripts.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll" role="region" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(markdown)
    title, contents = "", []
    for place, token in enumerate(tokens):
        inside = tokens[place + 1] if place + 1 < len(tokens) else token
        if token.type == "heading_open" and token.tag == "h1":
            title = inside.content
        elif token.type == "heading_open" and token.tag == "h2":
            contents.append((f"s{len(contents) + 1}", inside.content))
            token.attrSet("id", contents[-1][0])
        elif token.type == "paragraph_open" and inside.children:
            ends = inside.children[0].type, inside.children[-1].type
            if ends == ("em_open", "em_close"):
                token.attrSet("class", "caption")
        elif token.type == "td_open" and tokens[place - 1].type == "tr_open":  # names its row
            token.tag = tokens[place + 2].tag = "th"
            token.attrSet("scope", "row")
        for child in token.children or ():
            if child.type == "image":
                child.attrSet("src", _embedded(Path(folder) / str(child.attrGet("src"))))
    heading, body = parser.renderer.render(tokens, parser.options, {}).split("</h1>", 1)
    heading, body = Markup(f"{heading}</h1>"), Markup(body)
    return render("page.html.jinja", title=title, heading=heading, contents=contents, body=body)


def _embedded(path: Path) -> str:
    path = path.with_suffix(".svg") if path.with_suffix(".svg").is_file() else path
    if not path.is_file():
        raise FileNotFoundError(f"the picture {path} is missing; make the report again.")
    return f"data:{KINDS[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}"
