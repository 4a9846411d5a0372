"""The README says what is true."""

import re
import runpy
from pathlib import Path

from akd_toolkit.cli import main
from akd_toolkit.cli.plugins import KINDS, plugin_markdown, registries
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES, STUDENTS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_plugin_table_is_the_one_that_the_command_prints():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    table = page.split("<!-- plugins -->")[1].split("<!-- /plugins -->")[0].strip()
    assert table == plugin_markdown(), "run `akd plugins --markdown` and paste it into docs/plugins.md"


def test_every_loss_gate_weighting_and_schedule_has_its_equation():
    page = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
    titles = [section for section in re.split(r"^#+ ", page, flags=re.M)[1:] if "```math" in section]
    named = {name for section in titles for name in re.findall(r"`(\w+)`", section.splitlines()[0])}
    assert named == {name for kind in KINDS[:4] for name in registries()[kind].names()}


def test_the_page_of_settings_is_made_from_their_declaration():
    tool = runpy.run_path(str(ROOT / "tools" / "settings_page.py"))
    assert tool["PAGE"].read_text(encoding="utf-8") == tool["page"](), "run `python tools/settings_page.py`"
    assert tool["page"]().count("| must be given |") >= 6


def test_make_targets_named_in_the_readme_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    named = set(re.findall(r"make (demo|test|lint)", README))
    assert {"demo", "test"} <= named <= set(targets)


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*/README.md")]
    found = [(page, re.findall(r"\]\(([\w./-]+)[)#]", page.read_text(encoding="utf-8"))) for page in pages]
    links = [(page, link) for page, names in found for link in names if "://" not in link]
    assert len(links) >= 30
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_the_loss_of_the_readme_works(pair):
    code = re.search(r"```python\n(from akd_toolkit.distill.losses.*?)```", README, flags=re.S)[1]
    space = {}
    try:
        exec(code, space)
        student, teacher, labels = pair()
        values = LOSSES.build("jeffreys")(student, teacher, labels)
        assert values.shape == (5,) and (values > 0).all()
        same = ModelOutput(teacher.logits[0])
        assert LOSSES.build("jeffreys")(same, TeacherOutput(teacher.logits[:1]), labels).max() < 1e-6
    finally:
        LOSSES._plugins.pop("jeffreys", None)


def test_akd_plugins_prints_a_line_for_each(capsys):
    assert main(["plugins", "students"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in STUDENTS.names())
    assert "soft_target_kl" not in printed


def test_akd_refuses_an_unknown_kind(capsys):
    assert main(["plugins", "stdents"]) == 2 and "students" in capsys.readouterr().err
