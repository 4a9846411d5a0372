"""Scores that are not speaker-independent say so wherever they stand."""

from dataclasses import replace
from pathlib import Path

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.watermark import MARK, WATERMARK, is_marked, marked
from akd_toolkit.evaluate.ablation import _report
from akd_toolkit.evaluate.report import (
    ablation_markdown,
    append_results,
    check_readme,
    read_ablation,
    results_table_markdown,
    sync_readme,
    write_ablation,
    write_report,
)
from akd_toolkit.experiment.plan import speakers_known

CORPUS = marked("Calls", speakers_known=False)


def test_the_mark_is_set_once_and_only_where_it_belongs():
    assert marked("Calls") == "Calls" and MARK in CORPUS
    assert is_marked(CORPUS) and is_marked(WATERMARK) and not is_marked("Calls")


def test_a_report_begins_with_the_watermark_and_names_no_speakers(tmp_path, invented, labels):
    teachers = {"whisper": invented(seeds=(1,))}
    write_report(tmp_path, invented(), labels, title=f"{CORPUS}: akd", speakers_known=False, teachers=teachers)
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert page.startswith(
        f"# Calls ({MARK}): akd\n\n{WATERMARK}\n\n## Protocol\n\n60 utterances in 3 outer folds by utterance"
    )
    assert "## Speakers" not in page and "heard only in its test" not in page and "00, 01" not in page
    svg = (tmp_path / "confusion_matrix.svg").read_text(encoding="utf-8")
    assert "confusion_matrix.png" in page and "<svg" in svg


def test_an_ordinary_report_has_none(tmp_path, invented, labels):
    write_report(tmp_path, invented(), labels, title="EmoDB: akd")
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not is_marked(page) and "## Speakers" in page


def test_the_table_of_results_and_a_readme_with_it_carry_the_watermark(tmp_path, row):
    results, readme = tmp_path / "results.csv", tmp_path / "README.md"
    append_results(results, row)
    assert not is_marked(results_table_markdown(results))  # of an independent corpus alone
    append_results(results, row | {"corpus": CORPUS})
    table = results_table_markdown(results)
    assert table.startswith(WATERMARK) and f"| Calls ({MARK}) | akd |" in table
    readme.write_text("# Calls\n<!-- results --><!-- /results -->\n", encoding="utf-8")
    assert sync_readme(readme, results) and WATERMARK in readme.read_text(encoding="utf-8")
    check_readme(readme, results)


def test_an_ablation_carries_it_in_table_file_and_page(tmp_path, invented, labels):
    common = {"student": "micro_cnn", "teachers": "", "params": 1, "minutes": 0.0}
    rows = [
        {"title": "AKD", "group": "parts", "against": None, "scores": invented(), **common},
        {"title": "no gate", "group": "parts", "against": "AKD", "scores": invented(0.5), **common},
    ]
    table = write_ablation(tmp_path, rows, labels, title=f"{CORPUS}: ablation", speakers_known=False)
    assert set(table["group"]) == {f"{MARK}: parts"} == set(read_ablation(tmp_path / "ablation.csv")["group"])
    page = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert WATERMARK in page and f"**{MARK}: parts**" in page and "heard only in its test" not in page
    assert ablation_markdown(tmp_path / "ablation.csv").startswith(WATERMARK)
    write_ablation(tmp_path, rows, labels, title="EmoDB: ablation")
    assert not is_marked((tmp_path / "ablation.md").read_text(encoding="utf-8"))


class Settings(dict):
    """A recipe's settings, as far as a report reads them."""

    file = Path("ablation.yaml")


def test_the_setting_alone_marks_results_and_ablation_of_any_corpus(tmp_path, invented, labels):
    manifest = Manifest("Calls", ("anger",), (Utterance("a", "/a.wav", 0, 1, 1.0, "A", "anger"),))
    settings = Settings(output_folder=str(tmp_path), label_order=labels, speaker_independent=False)
    assert speakers_known({}, manifest) and not speakers_known(settings, manifest)
    assert not speakers_known({}, replace(manifest, speakers_known=False))
    row = {"title": "AKD", "group": "", "against": None, "student": "", "teachers": "", "params": 1, "minutes": 0.0}
    _report(settings, manifest, [{**row, "scores": invented()}], planned=1)
    page = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {CORPUS}: ablation") and f"**{MARK}: all rows**" in page
