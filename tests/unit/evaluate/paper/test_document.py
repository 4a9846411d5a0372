"""One document, two writers: Markdown with pictures beside it, and HTML that needs nothing but itself."""

import re
from html.parser import HTMLParser

import pytest

from akd_toolkit.evaluate.paper.document import Document, Figure, Heading, Items, Table, Text, table
from akd_toolkit.evaluate.paper.markdown import markdown, read_markdown
from akd_toolkit.evaluate.paper.web import inline, web_page

SVG = """<?xml version="1.0"?>
<!DOCTYPE svg>
<svg width="345.6pt" height="100pt" viewBox="0 0 345.6 100" xmlns="http://www.w3.org/2000/svg">
 <metadata>made by someone</metadata>
 <defs><path id="glyph" d="M 0 0"/></defs>
 <g clip-path="url(#box)"><use xlink:href="#glyph" style="fill: #22262b"/></g><clipPath id="box"></clipPath>
</svg>
"""


class Page(HTMLParser):
    """Fails where a tag is closed that is not open; collects ids and addresses."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.addresses, self.words = [], [], [], []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self._seen(attributes)
        if tag not in ("meta", "br", "img", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._seen(attributes)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> at {self.getpos()} closes {self.open[-2:]}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    def _seen(self, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href"):
                self.addresses.append(value)


@pytest.fixture
def document(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "one.svg").write_text(SVG)
    (tmp_path / "figures" / "two.png").write_bytes(b"\x89PNG")
    rows = [["**first**", "1.0"], ["a | b", "< 2"], ["a group", ""]]
    return Document(
        "EmoDB & co",
        [
            Heading("Scores"),
            Text("Not **comparable** <yet>.", warning=True),
            table("scores", "Table 1. *Scores*.", ["system", "UA"], rows),
            Figure("one", "**Marked.** Figure 1.", "a line"),
            Figure("one", "Figure 2.", "the same", themed=False),
            Figure("two", "", "a bitmap"),
            Heading("More"),
            Items(("see https://doi.org/10.1/x.", "`code`")),
        ],
    )


def test_the_page_is_well_formed_and_needs_nothing_else(document, tmp_path):
    text = web_page(document, tmp_path)
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    own = [address for address in page.addresses if address.startswith("#")]
    assert {address[1:] for address in own} <= set(page.ids)
    assert [address for address in page.addresses if not address.startswith(("#", "data:"))] == [
        "https://doi.org/10.1/x"
    ]
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert "<script" not in text and "@import" not in text and "metadata" not in text
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text and "@media print" in text


def test_ink_follows_the_dark_mode_only_where_nothing_coloured_lies_below(document, tmp_path):
    text = web_page(document, tmp_path)
    themed, fixed = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert "fill: var(--ink)" in themed and "#22262b" not in themed
    assert "fill: #22262b" in fixed
    assert 'role="img" aria-label="a line" style="width:min(100%,461px)"' in themed  # 345.6 pt = 460.8 px


def test_text_is_escaped_and_a_warning_stands_out(document, tmp_path):
    text = web_page(document, tmp_path)
    assert "<title>EmoDB &amp; co</title>" in text
    assert '<p class="warning" role="note">Not <strong>comparable</strong> &lt;yet&gt;.</p>' in text
    assert '<td class="n">&lt; 2</td>' in text and '<tr class="group">' in text
    written = markdown(document)
    assert "> **Not comparable <yet>.**" in written and "| a \\| b | < 2 |" in written
    assert "![a bitmap](figures/two.png)" in written


def test_a_picture_of_another_command_can_run_nothing(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "noise.svg").write_text(SVG.replace("<defs>", "<script>alert(1)</script><defs>"))
    text = web_page(Document("Noise", [Figure("studies/noise.svg", "", "noise")]), tmp_path)
    assert "<script" not in text and 'src="data:image/svg+xml;base64,' in text


def test_a_missing_picture_is_named(document, tmp_path):
    (tmp_path / "figures" / "two.png").unlink()
    with pytest.raises(FileNotFoundError, match="two.png is missing"):
        web_page(document, tmp_path)


def test_markdown_reads_back_what_it_wrote():
    blocks = [
        Heading("Noise", 2),
        Text("Scores fall."),
        Table("", "", ("noise", "UA"), (("white | pink", "70.1"), ("babble", "65.0")), 1),
        Items(("one", "two")),
        Figure("plot.png", "UA by noise", "UA by noise"),
    ]
    text = "\n\n".join(part for part in markdown(Document("Study", blocks[:-1])).split("\n\n")[1:])
    assert read_markdown(text + "\n\n![UA by noise](plot.png)") == blocks


def test_a_table_right_below_its_caption_and_a_quotation_are_understood():
    blocks = read_markdown("Noise at 10 dB\n| a | b |\n|---|---:|\n| x | 1 | 2 |\nafterwards\n\n> **Generated.**")
    assert blocks[0] == Text("Noise at 10 dB")
    assert blocks[1] == Table("", "", ("a", "b"), (("x", "1"),), 1)  # a cell too many is cut
    assert blocks[2:] == [Text("afterwards"), Text("Generated.", warning=True)]


def test_a_row_of_another_length_than_the_header_is_refused():
    with pytest.raises(ValueError, match="table 'x': a row has 1 cells and the header 2"):
        table("x", "", ["a", "b"], [["1"]])


def test_stars_that_are_no_emphasis_stay():
    assert inline("75.0 * and 70.0 *") == "75.0 * and 70.0 *"
