from pathlib import Path

import pytest
from ruamel.yaml import YAML

from akd_toolkit.cli.recipe_files import flow, fold_lines, quoted, recipe_files, scalar
from akd_toolkit.data.findings import Findings
from akd_toolkit.data.importers.corpus import Source
from akd_toolkit.data.manifest import Utterance

HARD = ["08", "1e3", "null", "Jörg  B.", 'a "b"', "c:\\d", "x, y", "[z]", "#1", "o'neil", "50 %", "$name", "{x}"]
SOURCE = Source(
    pattern=r"(?P<speaker>\w+) \"(?P<emotion>[A-Z])$",
    labels={"W": "Ärger", 'F "x"': "joy", "Z": "-"},
)


def read(text: str):
    return YAML(typ="safe").load(text)


def findings(speakers=HARD, labels=("no", "sad"), duration=2.0) -> Findings:
    cells = [(speaker, label) for speaker in speakers for label in labels]
    rows = [Utterance(f"u{i}", f"/{i}.wav", 0, 1, duration, *cell, sha256=str(i)) for i, cell in enumerate(cells)]
    return Findings(rows=rows)


def made(found: Findings, groups, source=SOURCE, folder="/corpora/mine") -> dict[str, str]:
    return recipe_files("My-Corpus", Path(folder), source, found, groups)


@pytest.mark.parametrize("groups", [[HARD[:2], HARD[2:]], [[f"speaker number {i}" for i in range(40)], ["a b"]]])
def test_names_come_out_of_the_yaml_as_they_went_in(groups):
    lines = fold_lines(groups)
    assert read("\n".join(lines)) == {"outer_folds": groups} and max(map(len, lines)) <= 120


@pytest.mark.parametrize("labels", [HARD, [f"label {i}" for i in range(40)], ["joy", "fear"]])
def test_labels_come_out_of_the_yaml_as_they_went_in(labels):
    text = f"label_order: {flow([scalar(label) for label in labels], 'label_order')}  # order of the logits"
    assert read(text) == {"label_order": labels} and "#" in text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= 120


def test_every_yaml_holds_folder_labels_and_folds():
    files = made(findings(), [HARD[:5], HARD[5:9], HARD[9:]], folder='/my corpora/"ä": #1')
    for name in ("akd", "student", "teacher"):
        tree = YAML().load(files[f"hparams/{name}.yaml"])
        assert tree["data_folder"] == '/my corpora/"ä": #1' and tree["corpus"] == "My-Corpus"
        assert tree["label_order"] == ["no", "sad"] and tree["outer_folds"][0] == HARD[:5]
        assert tree["speaker_independent"] is True


def test_the_preparer_is_python_that_makes_the_same_source():
    text = made(findings(), [["a"], ["b"], ["c"]])["prepare.py"]
    assert "def prepare_my_corpus(" in text and '@CORPORA.register("my-corpus")' in text
    before = text.split("@CORPORA")[0]
    space: dict = {}
    exec(before, space)
    assert space["SOURCE"] == SOURCE and space["COUNTS"] == {"no": 13, "sad": 13}


def test_window_and_epochs_follow_the_corpus():
    small = YAML().load(made(findings(duration=2.3), [["a"], ["b"], ["c"]])["hparams/akd.yaml"])
    large = findings([f"{i}" for i in range(500)], duration=9.0)
    large = YAML().load(made(large, [["a"], ["b"], ["c"]])["hparams/akd.yaml"])
    assert (small["window_s"], small["number_of_epochs"]) == (2.5, 40)
    assert (large["window_s"], large["number_of_epochs"]) == (6.0, 20)


def test_small_teachers_need_no_extra():
    files = made(findings(), [["a"], ["b"], ["c"]])
    teachers = YAML().load(files["hparams/akd.yaml"])["debug"]["teachers"]
    assert list(teachers) == ["log-mel", "prosody"]
    assert {teacher["name"] for teacher in teachers.values()} == {"logmel_statistics"}
    assert YAML().load(files["hparams/small_teachers.yaml"])["teachers"] == teachers


def test_a_value_is_quoted_as_python_and_yaml_read_it():
    for text in HARD:
        assert read(quoted(text)) == text == eval(quoted(text))
