"""The documentation site builds, and the notebook runs from top to bottom."""

import json
import re
from pathlib import Path

import pytest
from programs import run_python

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>")


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    done = run_python("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path), cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > 60 and not [name for name, page in pages.items() if OUTSIDE.search(page)]
    mathematics = pages["docs/mathematics/index.html"]
    assert mathematics.count('display="block"') >= 25
    assert not re.search(r"\\[a-z]+|arithmatex", mathematics.split("<article")[1].split("</article>")[0])
    assert 'id="akd_toolkit.distill.losses.dist.Dist"' in pages["api/akd_toolkit.distill.losses/index.html"]
    assert "data:image/png" in pages["docs/tutorial_python.ipynb/index.html"]


def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("nbclient", reason="needs the extra docs")
    copy = tmp_path / "copy.ipynb"
    done = run_python("tools/run_notebook.py", "docs/tutorial_python.ipynb", str(copy), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    cells = [cell for cell in json.loads(copy.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    names = [output.get("name") for cell in cells for output in cell["outputs"]]
    assert len(cells) >= 7 and "stderr" not in names and "recognised" in "".join(cells[-1]["outputs"][0]["text"])
