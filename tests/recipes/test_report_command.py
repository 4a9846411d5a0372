"""`akd report` on what recipes really leave: an ablation with teachers, and a row of it."""

from pathlib import Path

import pandas as pd
from programs import run_python

from akd_toolkit.cli import main
from akd_toolkit.evaluate.report.systems import MADE_UP

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "EmoDB"


def test_an_ablation_and_one_of_its_rows_make_a_report(tmp_path, capsys):
    folder = tmp_path / "results"
    folders = f"--output_folder={folder}", f"--store_folder={tmp_path}/store"
    done = run_python("train.py", "hparams/ablation.yaml", "--debug", *folders, cwd=RECIPE)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert main(["report", str(folder), str(folder / "akd"), "--to", str(out)]) == 0
    assert "report.html" in capsys.readouterr().out
    text, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    assert MADE_UP in text and "Trust in each teacher" in text and "<svg" in page
    again, first = (pd.read_csv(at / "ablation.csv") for at in (out / "ablation-results", folder))
    pd.testing.assert_frame_equal(again, first)
    folds = pd.read_csv(out / "tables" / "table2-folds-emodb.csv")
    row = first[first["system"] == "AKD"].iloc[0]
    pooled = folds[(folds["system"] == "AKD") & (folds["%"] == "UA")]["pooled [95 %]"].iloc[0]
    assert pooled == f"{row['ua_pooled']:.1f} [{row['ua_low']:.1f}, {row['ua_high']:.1f}]"
    assert {"teacher log-mel", "teacher prosody"} <= set(folds["system"])


def test_a_folder_that_is_none_is_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--to", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["report"]) == 2
