"""``akd audit``: what it prints, and its exit code."""

import json
from pathlib import Path

import pytest

from akd_toolkit.cli import main
from akd_toolkit.data.manifest import Manifest, Utterance

EMOBOX = Path(__file__).parents[1] / "unit" / "audit" / "emobox_emodb.csv"


@pytest.fixture
def planned(tmp_path):
    """A planned experiment of three speakers."""

    def make(name="akd", groups='[["A"], ["B"], ["C"]]', sound=""):
        folder = tmp_path / name
        rows = [Utterance(f"{s}1", f"/gone/{s}.wav", 0, 1600, 0.1, s, "sad", sha256=sound or s) for s in "ABC"]
        manifest = Manifest("Toy", ("sad",), tuple(rows))
        manifest.write(folder / "manifest.csv")
        text = f"corpus: Toy\nlabel_order: [sad]\nouter_folds: {groups}\nmanifest_hash: {manifest.hash}\n"
        (folder / "settings.yaml").write_text(text + "student: {name: micro_cnn}\n")
        return folder

    return make


def test_published_folds_that_share_speakers_are_a_leak(capsys):
    assert main(["audit", str(EMOBOX), "--partition", "partition"]) == 1
    printed = capsys.readouterr().out
    assert "LEAK" in printed and "all 10 speakers of the test" in printed and "1 leak found" in printed


def test_experiments_are_audited_one_by_one(planned, capsys):
    assert main(["audit", str(planned("a")), "--no-sound"]) == 0
    printed = capsys.readouterr().out
    assert "PROVED" in printed and "COULD NOT PROVE" in printed and "LEAK" not in printed
    folder = planned("b", groups='[["A"], ["B"], ["B", "C"]]').parent
    assert main(["audit", str(folder), "--no-sound"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("verdict:") == 2 and "speaker B" in printed


def test_json_is_for_programs(planned, capsys):
    assert main(["audit", str(planned(sound="same")), "--no-sound", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["leak"] is True and found["title"].startswith("Toy: akd (")
    assert {finding["check"] for finding in found["findings"] if finding["verdict"] == "leak"} == {"identical"}


def test_wrong_paths_and_options_are_one_sentence(planned, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "train.csv").write_text("file,speaker\na,ann\n")
    nowhere, good, split = str(tmp_path / "nowhere"), str(planned()), str(tmp_path / "train.csv")
    for words, part in (
        ([nowhere], nowhere),
        ([str(tmp_path / "empty")], "empty"),
        (["--no-sound", good, nowhere], nowhere),
        ([good, "--audio", "x"], "--audio"),
        ([split, "--unlabelled", "x"], "--unlabelled"),
    ):
        assert main(["audit", *words]) == 1
        printed = capsys.readouterr()
        assert printed.err.count("error: ") == 1 and part in printed.err and "verdict" not in printed.out


def test_strict_fails_if_speakers_or_utterances_are_not_proved(tmp_path, capsys):
    for side, row in (("train", "1,0,Anna"), ("test", "1,1,Unknown")):
        (tmp_path / f"{side}.csv").write_text(f"Dialogue,Turn,speaker\n{row}\n")
    given = ["audit", str(tmp_path), "--id", "Dialogue, Turn"]
    assert main(given) == 0 and main([*given, "--strict"]) == 3
    assert main(["audit", str(EMOBOX), "--partition", "partition", "--strict"]) == 1
