"""akd study, as a user calls it, on an experiment that a recipe has trained."""

import pandas as pd
import pytest

from akd_toolkit.cli import main
from akd_toolkit.evaluate.studies import evaluate_saved


def table(folder, study, name="table.csv"):
    return pd.read_csv(folder / "studies" / study / name)


def test_scores_of_teachers_speakers_and_bins_are_read_again(demo, capsys):
    folder, _ = demo
    for study in ("agreement", "groups", "calibration"):
        assert main(["study", study, str(folder)]) == 0
    assert table(folder, "agreement")["teacher"].tolist() == ["log-mel"]
    assert table(folder, "groups")["speakers"].tolist() == [2, 1, 1, 2]
    counts = table(folder, "calibration", "reliability.csv")["count"]  # before and after scaling
    assert counts.sum() == 2 * table(folder, "groups")["utterances"][0]
    assert capsys.readouterr().out.count("written to ") == 3


def test_a_stopped_study_goes_on_where_it_stopped(demo, capsys, monkeypatch):
    (folder, _), real, done, stopped = demo, evaluate_saved.evaluate_task, [], []

    def counted(task, progress):
        if len(done) == 2 and not stopped:
            stopped.append(task)
            raise KeyboardInterrupt
        done.append(task)
        real(task, progress)

    monkeypatch.setattr(evaluate_saved, "evaluate_task", counted)
    assert main(["study", "noise", str(folder)]) == 130
    assert "stopped; the same command continues where it stopped." in capsys.readouterr().err
    assert len(list((folder / "studies/noise/seed17/fold1").glob("*.csv"))) == 2
    assert main(["study", "noise", str(folder)]) == 0
    assert len(done) == 23 and len({task.condition.name for task in done}) == 23
    noise = table(folder, "noise")
    assert len(noise) == 23 and noise["gap_to_stored"].max() < 1e-4
    assert (folder / "studies/noise/plot.svg").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["noise", "nowhere"], "nowhere holds no experiment"),
        (["overlap", "FOLDER", "--window_s", "0.01"], "window_s must be at least 0.1 s, got 0.01"),
        (["overlap", "FOLDER", "--overlap_s", "-1"], "overlap_s must be in [0, window_s"),
        (["cross", "FOLDER", "--on", "FOLDER"], "recordings of generated are recordings of generated too"),
        (["cross", "FOLDER", "--on", "nowhere"], "nowhere has no corpus"),
    ],
)
def test_a_mistake_becomes_one_sentence(demo, capsys, words, message):
    assert main(["study", *(str(demo[0]) if word == "FOLDER" else word for word in words)]) == 1
    output = capsys.readouterr().err.splitlines()[-1]
    assert output.startswith("error: ") and message in output
