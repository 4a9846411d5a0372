"""``akd report``: one folder from several experiments, and the page on a desk and on a phone."""

import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from akd_toolkit.cli import main
from akd_toolkit.data.manifest import MARK
from akd_toolkit.evaluate.report.full_report import report_experiments
from akd_toolkit.evaluate.report.tables import slug, web_page
from akd_toolkit.experiment.scores_file import read_scores, write_scores

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STUDY = "# Noise\n\nScores fall.\n\n![UA by noise](noise.png)\n\n| noise | UA |\n|---|---:|\n| white | 70.1 |\n"


def add_study(folder: Path, name: str, table: str) -> Path:
    study = folder / "studies" / name
    study.mkdir(parents=True)
    (study / "table.md").write_text(table)
    return study


@pytest.fixture(scope="module")
def out(write_experiment, tmp_path_factory):
    """A report with everything in it."""
    folder = tmp_path_factory.mktemp("report")
    experiment = partial(write_experiment, folder)
    teachers = {"big": [], "small": ["A-anger0"]}
    folds = [["A", "B"], ["C"], ["D"]]
    akd = experiment("akd", seeds=(17, 18), wrong={17: ["A-anger0"]}, teachers=teachers, trust=True, folds=folds)
    nested = experiment("nested", candidates=[{}, {"batch_size": 8}], wrong=["B-anger0", "C-anger0"], folds=folds)
    noise = add_study(akd, "noise", STUDY)
    for name in ("noise.png", "more.png"):
        Image.new("RGB", (8, 8)).save(noise / name)
    calibration = add_study(akd, "calibration", "# Calibration\n\nOne temperature.\n")
    bins = {"bin": [12, 12], "confidence": [0.8, 0.75], "accuracy": [0.9, 0.9], "count": [10, 10]}
    pd.DataFrame({**bins, "condition": ["before", "after"]}).to_csv(calibration / "reliability.csv", index=False)
    pd.DataFrame({"condition": ["before", "after"], "ece": [0.1, 0.15]}).to_csv(calibration / "table.csv", index=False)
    report_experiments([akd, nested], folder / "out", title="Toy paper")
    return folder / "out"


def test_two_experiments_make_one_folder_with_everything(out):
    text = (out / "report.md").read_text()
    assert text.startswith("# Toy paper\n")
    for heading in ("## Experiments", "## Toy", "## Choices on inner folds", "## Confusion", "## Studies", "## Audit"):
        assert f"\n{heading}\n" in text
    assert "| white | 70.1 |" in text
    tables = {path.stem for path in (out / "tables").iterdir()}
    assert {"table1-experiments", "table2-folds-toy", "table3-comparison-toy", "pairs-toy"} <= tables
    assert {"choice-toy-nested", "study-toy-akd-calibration-table"} <= tables
    drawn = {path.name for path in (out / "figures").iterdir()}
    key = slug("Toy akd (micro_cnn)")
    for kind in ("confusion", "reliability", "speakers", "training", "trust", "trust-epochs"):
        assert {f"{kind}-{key}.png", f"{kind}-{key}.svg"} <= drawn
    assert "forest-toy.svg" in drawn and f"training-{slug('Toy teacher big')}.png" not in drawn
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert {"studies/toy-akd-noise-noise.png", "studies/toy-akd-noise-more.png"} <= set(pictures)
    assert len(pictures) == len(drawn) / 2 + 2 and all((out / path).is_file() for path in pictures)

    folds = pd.read_csv(out / "tables" / "table2-folds-toy.csv")
    wa = folds[(folds["%"] == "WA") & (folds["system"] == "akd (micro_cnn)")].iloc[0]
    assert (wa["fold 1"], wa["fold 2"]) == (93.8, 100.0)  # 7 of 8 and 8 of 8 in the two seeds
    assert len(pd.read_csv(out / "tables" / "pairs-toy.csv")) == 6  # every two of four systems
    comparison = pd.read_csv(out / "tables" / "table3-comparison-toy.csv").set_index("system")
    # There are no inner runs behind the choice of the last.
    grades = {"akd (micro_cnn)": "B", "nested (micro_cnn)": "C", "teacher big": "B", "teacher small": "B"}
    assert comparison["grade"].to_dict() == grades
    assert "The audit found leaks in Toy: nested (nested)" in text


def test_the_page_is_well_formed_and_needs_nothing_else(out):
    text = (out / "report.html").read_text()
    tags = [tag for tag in re.findall(r"<(/?[a-z]\w*)", text) if tag not in ("meta", "br", "hr", "img")]
    assert all(tags.count(tag) == tags.count(f"/{tag}") for tag in tags if tag[0] != "/")
    ids, addresses = re.findall(r' id="([^"]+)"', text), re.findall(r' (?:href|src)="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and {address[1:] for address in addresses if address[0] == "#"} == set(ids)
    assert all(address.startswith(("#", "data:image/", "https://")) for address in addresses)
    assert text.count("<img") == text.count('src="data:') == (out / "report.md").read_text().count("![")
    assert "<script" not in text and 'name="viewport"' in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_a_desk_and_a_phone(out, tmp_path, width):
    shot = tmp_path / "shot.png"
    page = (out / "report.html").read_text()
    # Marks what is wider than the window in a colour that the page has nowhere else; tables scroll in their own frame.
    check = (
        "<script>const wide = document.documentElement.scrollWidth > window.innerWidth;"
        "const bar = document.createElement('div'); bar.style.height = '20px'; document.body.prepend(bar);"
        "bar.style.background = wide ? '#f0f' : '#0f0'"
        "</script></body>"
    )
    (tmp_path / "page.html").write_text(page.replace("</body>", check))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={tmp_path}/profile"]
    # Headless windows are at least about 500 wide, so a phone is a frame in a wider page.
    frame = f"<body style='margin:0'><iframe src='page.html' style='border:0;width:{width}px;height:1900px'></iframe>"
    (tmp_path / "frame.html").write_text(frame)
    size = [f"--window-size={max(width, 600)},1900", f"--screenshot={shot}", f"file://{tmp_path}/frame.html"]
    subprocess.run([CHROMIUM, *flags, *size], check=True, capture_output=True, timeout=120)
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB"))[:, :width]
    assert pixels[10, 10].tolist() == [0, 255, 0], "something is wider than the window"
    below = pixels[30:]
    assert (below == 255).all(axis=-1).mean() > 0.4  # paper
    assert ((below.max(axis=-1) < 90).mean(axis=1) > 0).mean() > 0.2  # lines with ink
    assert (np.abs(below.astype(int) - [255, 243, 230]).max(axis=-1) < 3).any()  # the warning stands out
    assert (np.abs(below.astype(int) - [0, 114, 178]).max(axis=-1) < 12).any()  # the picture of all systems


def test_text_is_escaped_and_a_picture_cannot_run_a_script(tmp_path):
    (tmp_path / "a.svg").write_text("<svg><script>alert(1)</script></svg>")
    text = "# EmoDB & co\n\n> **Not <b>comparable</b>.**\n\n![x](a.svg)\n\n| a | b |\n|---|---:|\n| x | < 2 |\n"
    page = web_page(text + "\n[link](javascript:alert)\n", tmp_path)
    assert "<title>EmoDB &amp; co</title>" in page and "<b>" not in page and "< 2" not in page
    assert "<script" not in page and 'href="javascript' not in page
    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        web_page("# x\n\n![x](b.png)", tmp_path)


def test_the_same_folders_give_the_same_bytes_and_one_utterance_another_number(experiment, tmp_path, undrawn):
    folder = experiment()
    first = report_experiments([folder], tmp_path / "a").read_bytes()
    assert report_experiments([folder], tmp_path / "b").read_bytes() == first
    path = folder / "seed17/fold1/outer/scores.csv"
    scores = read_scores(path)
    scores.loc[0, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.2, 0.8]
    write_scores(path, scores)
    report_experiments([folder], tmp_path / "c")
    tables = [pd.read_csv(tmp_path / one / "tables" / "table2-folds-toy.csv") for one in "ac"]
    pooled = [table["pooled [95 %]"].str.split().str[0].tolist() for table in tables]
    assert pooled == [["100.0", "100.0"], ["93.8", "93.8"]]  # 15 of 16; (7/8 + 8/8) / 2


def test_a_marked_experiment_is_marked_in_every_table_and_figure(experiment, tmp_path, undrawn):
    folder = experiment(speaker_independent=False, candidates=[{}, {"batch_size": 8}], folds=[["A", "B"], ["C"], ["D"]])
    Image.new("RGB", (8, 8)).save(add_study(folder, "noise", STUDY) / "noise.png")
    text = (report_experiments([folder], tmp_path / "out").parent / "report.md").read_text()
    assert f"> **{MARK}: Toy ({MARK}): akd; the same voice" in text
    before_tables = re.findall(r"^\*(.+)\*\n\n\|", text, flags=re.MULTILINE)
    below_figures = re.findall(r"^!\[.*\)\n\n\*(.+)\*$", text, flags=re.MULTILINE)
    assert len(before_tables) == text.count("\n\n|") >= 4 and len(below_figures) == text.count("![") >= 5
    assert all(MARK in caption for caption in before_tables + below_figures)


def test_what_is_missing_is_named(experiment, tmp_path, undrawn):
    folder = experiment(seeds=(17, 18), done=lambda seed, fold: seed == 17 or fold == 1)
    (folder / "seed17/fold2/outer/metrics.csv").unlink()
    alone = experiment("teachers", teachers={"big": []}, student=None, done=lambda seed, fold: False)
    empty = experiment("waiting", done=lambda seed, fold: False)
    text = report_experiments([folder, alone, empty], tmp_path / "out").with_suffix(".md").read_text()
    assert "Incomplete: Toy: akd (akd): 3 of 4 outer trainings are done; missing seed18/fold2." in text
    assert re.search(r"> \*\*akd \(micro_cnn\): seeds 18 ", text) and "seed17/fold2/outer.**" in text
    assert "Incomplete: Toy: waiting (waiting): 0 of 2 outer trainings are done" in text
    assert "| **teacher big** |" in text and "Incomplete: Toy: teachers" not in text


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: (run / "scores.csv").write_text("ID,speaker\n"), r"fold1/outer/scores\.csv"),
        (lambda run: (run / "metrics.csv").write_text(""), r"metrics\.csv is damaged"),
        (lambda run: (run / "metrics.csv").write_text("a\n1\n"), r"metrics\.csv has no row"),
        (lambda run: (run.parents[2] / "settings.yaml").unlink(), "settings.yaml"),
        (lambda run: add_study(run.parents[2], "noise", "").joinpath("table.md").write_bytes(b"\xff\xfe"), "table.md"),
        (
            lambda run: (add_study(run.parents[2], "calibration", "") / "reliability.csv").write_text("b\n"),
            "calibration",
        ),
    ],
)
def test_damage_is_one_sentence_that_names_the_file(experiment, tmp_path, capsys, break_it, message, undrawn):
    folder = experiment()
    break_it(folder / "seed17/fold1/outer")
    assert main(["report", str(folder), "--to", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and re.search(message, error)
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_command_writes_where_it_should_and_refuses_an_unknown_baseline(experiment, tmp_path, capsys, undrawn):
    folders = [str(experiment("akd")), str(experiment("kd", wrong=["A-anger0"]))]
    out = tmp_path / "out"
    assert main(["report", *folders, "--to", str(out), "--title", "T", "--baseline", "kd (micro_cnn)"]) == 0
    assert f"see {out / 'report.html'}" in capsys.readouterr().out
    assert pd.read_csv(out / "tables" / "pairs-toy.csv")["against"].tolist() == ["kd (micro_cnn)"]
    assert main(["report", *folders, "--to", str(out), "--baseline", "x"]) == 1
    assert "'x'; give one of akd (micro_cnn), kd (micro_cnn)" in capsys.readouterr().err
    empty = experiment("empty", done=lambda seed, fold: False)
    with pytest.raises(ValueError, match="no outer run of .* is done yet"):
        report_experiments([empty], tmp_path / "out")
