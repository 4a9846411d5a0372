"""The files of the documentation site, for MkDocs: pages keep their place in the repository, so links work in both.

Added are the pages outside docs/, a page for each file of code and each notebook that a page links to, and the API of
every folder of the package. Equations become MathML, which browsers draw without a script.
"""

import html
import json
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Section

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "akd_toolkit"
RECIPES = ("recipes/*/README.md", "recipes/*/earlier/README.md")
PAGES = ("*.md", "docs/**/*.md", *RECIPES, "tools/*/README.md", "akd_toolkit/pretrained/*.md")
LINK = re.compile(r"(?<=\]\()([\w./-]+\.\w+)(?=[)#])")
FENCES = {".py": "python", ".yaml": "yaml", ".cff": "yaml"}


def on_files(files: Files, config) -> Files:
    """README.md, docs/, recipes/ and what they link to, and api/; docs_dir alone would lose the folder's name."""
    pages = {path for pattern in PAGES for path in ROOT.glob(pattern)}
    linked = {(page.parent / link).resolve() for page in pages for link in LINK.findall(page.read_text("utf-8"))}
    others = {path for path in linked - pages if path.is_file()}
    added = [File.generated(config, _uri(path), abs_src_path=str(path)) for path in sorted(pages)]
    for path in sorted(others):
        if path.suffix in (".ipynb", *FENCES):
            text = _notebook(path) if path.suffix == ".ipynb" else _code(path)
            added.append(_page(config, f"{_uri(path)}.md", text))
        else:
            added.append(File.generated(config, _uri(path), abs_src_path=str(path)))
    added += [_page(config, uri, text) for uri, text in _api().items()]
    added.append(File.generated(config, "site.css", abs_src_path=str(Path(__file__).with_name("site.css"))))
    return Files([*(file for file in files if file.src_dir != config.docs_dir), *added])


def on_page_markdown(markdown: str, page, config, files: Files) -> str:
    """Links to code and notebooks lead to the pages that show them."""
    suffixes = "|".join(suffix[1:] for suffix in (".ipynb", *FENCES))
    return re.sub(rf"(\]\([\w./-]+\.(?:{suffixes}))(?=[)#])", r"\1.md", markdown)


def on_page_content(content: str, page, config, files: Files) -> str:
    """Equations in MathML."""
    inline = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
    block = re.compile(r'<pre class="equation"><code>(.*?)</code></pre>', re.S)
    content = inline.sub(lambda found: convert(html.unescape(found[1])), content)
    return block.sub(
        lambda found: f'<p class="equation">{convert(html.unescape(found[1]), display="block")}</p>', content
    )


def on_nav(nav, config, files: Files):
    """The API below its own heading."""
    pages = [file.page for file in files.documentation_pages() if file.src_uri.startswith("api/")]
    nav.items.append(Section("API", pages))
    return nav


def _uri(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _page(config, uri: str, text: str) -> File:
    return File.generated(config, uri, content=text, inclusion=InclusionLevel.NOT_IN_NAV)


def _code(path: Path) -> str:
    head = f"---\nsearch: {{exclude: true}}\n---\n# {path.name}\n\n`{_uri(path)}`"
    return f"{head}\n\n````{FENCES[path.suffix]}\n{path.read_text('utf-8')}````\n"


def _notebook(path: Path) -> str:
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(f"![output](data:image/png;base64,{''.join(data['image/png']).strip()})")
            else:
                parts.append(f"```text\n{''.join(output.get('text') or data.get('text/plain', ())).rstrip()}\n```")
    return "\n\n".join(parts)


def _api() -> dict[str, str]:
    """Page of each folder of the package that holds modules other than its ``__init__``."""
    pages = {}
    for folder in [PACKAGE, *sorted(path for path in PACKAGE.rglob("*") if path.is_dir())]:
        name = ".".join(folder.relative_to(PACKAGE.parent).parts)
        modules = [f"::: {name}.{path.stem}" for path in sorted(folder.glob("[a-z]*.py"))]
        if modules and not name.startswith("akd_toolkit.cli"):
            pages[f"api/{name}.md"] = "\n\n".join([f"# {name}", *modules])
    return pages
