"""The whole report: one folder from several experiments, and what it says where something is not as it should be."""

import re
from pathlib import Path

import pandas as pd
import pytest

from akd_toolkit.cli import main
from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.paper import write_paper
from akd_toolkit.evaluate.paper.report import slug
from akd_toolkit.experiment.scores_file import read_scores, write_scores

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000000000300014b5b0a3c"
    "0000000049454e44ae426082"
)


def add_study(folder: Path, name: str, table: str) -> Path:
    study = folder / "studies" / name
    study.mkdir(parents=True)
    (study / "table.md").write_text(table)
    return study


def test_two_experiments_make_one_folder_with_everything(experiment, tmp_path):
    teachers = {"big": [], "small": ["A-anger0"]}
    folds = [["A", "B"], ["C"], ["D"]]
    akd = experiment("akd", seeds=(17, 18), wrong={17: ["A-anger0"]}, teachers=teachers, trust=True, folds=folds)
    nested = experiment("nested", candidates=[{}, {"batch_size": 8}], wrong=["B-anger0", "C-anger0"], folds=folds)
    study = add_study(akd, "noise", "# Noise\n\nScores fall.\n\n| noise | UA |\n|---|---:|\n| white | 70.1 |\n")
    (study / "noise.png").write_bytes(PIXEL)
    calibration = add_study(akd, "calibration", "# Calibration\n\nOne temperature.\n")
    bins = {"bin": [12, 12], "confidence": [0.8, 0.75], "accuracy": [0.9, 0.9], "count": [10, 10]}
    pd.DataFrame({**bins, "condition": ["before", "after"]}).to_csv(calibration / "reliability.csv", index=False)
    pd.DataFrame({"condition": ["before", "after"], "ece": [0.1, 0.15]}).to_csv(calibration / "table.csv", index=False)

    out = tmp_path / "out"
    page = write_paper([akd, nested], out, title="Toy paper")

    text, html = (out / "report.md").read_text(), page.read_text()
    assert page == out / "report.html" and text.startswith("# Toy paper\n")
    for heading in ("## Experiments", "## Toy", "## Choices on inner folds", "## Confusion", "## Studies", "## Audit"):
        assert f"\n{heading}\n" in text
    assert "| white | 70.1 |" in text and "studies/toy-akd-noise-noise.png" in text
    tables = {path.stem for path in (out / "tables").iterdir()}
    assert {"table1-experiments", "table2-folds-toy", "table3-comparison-toy", "pairs-toy"} <= tables
    assert {"choice-toy-nested", "study-toy-akd-noise-1"} <= tables
    drawn = {path.name for path in (out / "figures").iterdir()}
    key = slug("Toy akd (micro_cnn)")
    for kind in ("confusion", "reliability", "speakers", "training", "trust", "trust-epochs"):
        assert {f"{kind}-{key}.png", f"{kind}-{key}.svg"} <= drawn
    assert "forest-toy.svg" in drawn and f"training-{slug('Toy teacher big')}.png" not in drawn
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (out / path).is_file()
    assert html.count("<svg") == sum(name.endswith(".svg") for name in drawn) and html.count("<img") == 1

    folds = pd.read_csv(out / "tables" / "table2-folds-toy.csv")
    wa = folds[(folds["%"] == "WA") & (folds["system"] == "akd (micro_cnn)")].iloc[0]
    assert (wa["fold 1"], wa["fold 2"]) == (93.8, 100.0)  # 7 of 8 and 8 of 8 in the two seeds
    pairs = pd.read_csv(out / "tables" / "pairs-toy.csv")
    assert len(pairs) == 6  # every two of four systems
    comparison = pd.read_csv(out / "tables" / "table3-comparison-toy.csv").set_index("system")
    assert comparison["grade"].to_dict() == {
        "teacher big": "B",
        "teacher small": "B",
        "akd (micro_cnn)": "B",
        "nested (micro_cnn)": "C",  # there are no inner runs behind its choice
    }
    assert "The audit found leaks in Toy: nested (nested)" in text


def test_the_same_folders_give_the_same_bytes_and_one_utterance_another_number(experiment, tmp_path, undrawn):
    folder = experiment()
    first = write_paper([folder], tmp_path / "a").read_bytes()
    assert write_paper([folder], tmp_path / "b").read_bytes() == first
    path = folder / "seed17/fold1/outer/scores.csv"
    scores = read_scores(path)
    scores.loc[0, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.2, 0.8]
    write_scores(path, scores)
    write_paper([folder], tmp_path / "c")
    pooled = [
        pd.read_csv(tmp_path / one / "tables" / "table2-folds-toy.csv")["pooled [95 %]"].str.split().str[0].tolist()
        for one in "ac"
    ]
    assert pooled == [["100.0", "100.0"], ["93.8", "93.8"]]  # 15 of 16; (7/8 + 8/8) / 2


def test_a_marked_experiment_is_marked_in_every_table_and_figure(experiment, tmp_path, undrawn):
    folder = experiment(speaker_independent=False, candidates=[{}, {"batch_size": 8}], folds=[["A", "B"], ["C"], ["D"]])
    add_study(folder, "noise", "# Noise\n\n| noise | UA |\n|---|---:|\n| white | 70.1 |\n")
    out = write_paper([folder], tmp_path / "out").parent
    text = (out / "report.md").read_text()
    captions = re.findall(r"^\*\*(.*(?:Table|Paired).*)\*\*$|^\*(.*Figure \d+.*)\*$", text, flags=re.MULTILINE)
    captions = [first or second for first, second in captions]
    assert len(captions) >= 6 and all(MARK in caption for caption in captions)
    assert f"> **{MARK}: Toy ({MARK}): akd; the same voice" in text
    before_tables = re.findall(r"^\*\*(.+)\*\*\n\n\|", text, flags=re.MULTILINE)
    assert len(before_tables) == text.count("\n\n|") and all(MARK in caption for caption in before_tables)


def test_what_is_missing_is_said(experiment, tmp_path, undrawn):
    folder = experiment(seeds=(17, 18), done=lambda seed, fold: seed == 17 or fold == 1)
    (folder / "seed17/fold2/outer/metrics.csv").unlink()
    alone = experiment("teachers", teachers={"big": []}, student=None, done=lambda seed, fold: False)
    empty = experiment("waiting", done=lambda seed, fold: False)
    text = write_paper([folder, alone, empty], tmp_path / "out").with_suffix(".md").read_text()
    assert "Incomplete: Toy: akd (akd): 3 of 4 outer trainings are done; missing seed18/fold2." in text
    assert "akd (micro_cnn): seeds 18 are on fewer folds than others and stand in no table." in text
    assert "No metrics.csv, so no curves, of seed17/fold2/outer." in text
    assert "Incomplete: Toy: waiting (waiting): 0 of 2 outer trainings are done" in text
    assert "| teacher big |" in text.replace("**", "") and "Incomplete: Toy: teachers" not in text


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda folder: (folder / "seed17/fold1/outer/scores.csv").write_text("ID,speaker\n"),
            r"fold1/outer/scores\.csv",
        ),
        (lambda folder: (folder / "seed17/fold1/outer/metrics.csv").write_text(""), r"metrics\.csv is damaged"),
        (lambda folder: (folder / "seed17/fold1/outer/metrics.csv").write_text("a\n1\n"), r"metrics\.csv has no row"),
        (lambda folder: (folder / "settings.yaml").unlink(), "holds no experiment"),
        (lambda folder: add_study(folder, "noise", "").joinpath("table.md").write_bytes(b"\xff\xfe\xfa"), "is no text"),
        (
            lambda folder: add_study(folder, "calibration", "").joinpath("reliability.csv").write_text("bin\n1\n"),
            "the calibration study in .* cannot be read",
        ),
    ],
)
def test_damage_is_one_sentence_that_names_the_file(experiment, tmp_path, capsys, break_it, message, undrawn):
    folder = experiment()
    break_it(folder)
    assert main(["report", str(folder), "--to", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("error: ") and re.search(message, told)
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_command_writes_where_it_is_told_and_refuses_an_unknown_baseline(experiment, tmp_path, capsys, undrawn):
    folders = [str(experiment("akd")), str(experiment("kd", wrong=["A-anger0"]))]
    out = tmp_path / "out"
    assert main(["report", *folders, "--to", str(out), "--title", "T", "--baseline", "kd (micro_cnn)"]) == 0
    assert f"see {out / 'report.html'}" in capsys.readouterr().out
    pairs = pd.read_csv(out / "tables" / "pairs-toy.csv")
    assert pairs["against"].tolist() == ["kd (micro_cnn)"]
    assert main(["report", *folders, "--to", str(out), "--baseline", "x"]) == 1
    assert "there is no system 'x'; give one of akd (micro_cnn), kd (micro_cnn)" in capsys.readouterr().err


def test_an_experiment_of_which_nothing_is_done_has_no_report(experiment, tmp_path):
    folder = experiment(done=lambda seed, fold: False)
    with pytest.raises(ValueError, match="no outer run of .* is done yet"):
        write_paper([folder], tmp_path / "out")
