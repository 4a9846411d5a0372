"""``akd audit`` as a user calls it: what it prints, and its exit code."""

import json
from pathlib import Path

import pytest

from akd_toolkit.cli import main
from akd_toolkit.data.manifest import Manifest, Utterance

EMOBOX = Path(__file__).parents[1] / "unit" / "audit" / "emobox_emodb.csv"


@pytest.fixture
def planned(tmp_path):
    """A planned experiment of three speakers: settings and manifest alone."""

    def make(name="akd", groups='[["A"], ["B"], ["C"]]', sound=""):
        folder = tmp_path / name
        rows = [Utterance(f"{s}1", f"/gone/{s}.wav", 0, 1600, 0.1, s, "sad", sha256=sound or s) for s in "ABC"]
        manifest = Manifest("Toy", ("sad",), tuple(rows))
        manifest.write(folder / "manifest.csv")
        text = f"corpus: Toy\nlabel_order: [sad]\nouter_folds: {groups}\nmanifest_hash: {manifest.hash}\n"
        (folder / "settings.yaml").write_text(text + "student: {name: micro_cnn}\n")
        return folder

    return make


def test_published_folds_that_share_speakers_are_refused(capsys):
    assert main(["audit", str(EMOBOX), "--partition", "partition"]) == 1
    told = capsys.readouterr().out
    assert "LEAK             speakers     all 10 speakers of the test are also in the training" in told
    assert told.strip().endswith("verdict: 1 leak found (2 proved, 0 warnings, 2 could not be proved).")


def test_a_planned_experiment_passes(planned, capsys):
    assert main(["audit", str(planned()), "--no-sound"]) == 0
    told = capsys.readouterr().out
    assert "planned)" in told and "PROVED           speakers     no speaker is on both sides of 3 splits" in told
    assert "COULD NOT PROVE  near copies  that no recording has a near copy: the sound was not compared." in told


def test_json_is_for_programs(planned, capsys):
    assert main(["audit", str(planned(sound="same")), "--no-sound", "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["leak"] is True and told["title"].startswith("Toy: akd (")
    assert {finding["check"] for finding in told["findings"] if finding["verdict"] == "leak"} == {"identical"}


def test_a_folder_of_experiments_is_audited_one_by_one(planned, capsys):
    folder = planned("a").parent
    planned("b", groups='[["A"], ["B"], ["B", "C"]]')
    assert main(["audit", str(folder), "--no-sound"]) == 1
    told = capsys.readouterr().out
    assert told.count("verdict:") == 2 and "speaker B is in several of the outer_folds" in told


def test_mistakes_get_one_sentence(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "nowhere")]) == 1
    assert "error: there is no" in capsys.readouterr().err
    assert main(["audit", str(tmp_path)]) == 1
    assert "give split files, or the folder of an experiment" in capsys.readouterr().err


def test_a_path_that_is_no_experiment_is_not_passed_over(planned, tmp_path, capsys):
    nowhere = str(tmp_path / "nowhere")
    assert main(["audit", "--no-sound", str(planned()), nowhere]) == 1
    told = capsys.readouterr()
    assert f"error: {nowhere} holds no experiment" in told.err and "verdict" not in told.out


def test_options_without_effect_are_refused(planned, tmp_path, capsys):
    (tmp_path / "train.csv").write_text("file,speaker\na,ann\n")
    for words in ([str(planned()), "--audio", "x"], [str(tmp_path / "train.csv"), "--unlabelled", "x"]):
        assert main(["audit", *words]) == 1
        assert f"{words[1]} is for" in capsys.readouterr().err


def test_strict_stops_where_speakers_or_utterances_are_not_proved(tmp_path, capsys):
    for side, row in (("train", "1,0,Anna"), ("test", "1,1,Unknown")):
        (tmp_path / f"{side}.csv").write_text(f"Dialogue,Turn,speaker\n{row}\n")
    given = ["audit", str(tmp_path), "--id", "Dialogue, Turn"]
    assert main(given) == 0 and "found; speakers could not be proved" in capsys.readouterr().out
    assert main([*given, "--strict"]) == 3
    assert main(["audit", str(EMOBOX), "--partition", "partition", "--strict"]) == 1
