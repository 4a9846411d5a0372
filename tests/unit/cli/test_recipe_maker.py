from pathlib import Path

import pytest
from ruamel.yaml import YAML

from akd_toolkit.cli.recipe_maker import recipe_files
from akd_toolkit.data.findings import Findings
from akd_toolkit.data.importers.corpus import Source
from akd_toolkit.data.manifest import Utterance

HARD = ["08", "1e3", "null", "Jörg  B.", 'a "b"', "c:\\d", "x, y", "[z]", "#1", "o'neil", "50 %", "$name", "{x}"]
SOURCE = Source(pattern=r"(?P<speaker>\w+) \"(?P<emotion>[A-Z])$", labels={"W": "Ärger", 'F "x"': "joy", "Z": "-"})
GROUPS = [HARD[:5], HARD[5:9], HARD[9:]]


def made(speakers=HARD, labels=("no", "sad"), duration=2.0, groups=GROUPS, folder="/corpora/mine") -> dict[str, str]:
    cells = [(speaker, label) for speaker in speakers for label in labels]
    rows = [Utterance(f"u{i}", f"/{i}.wav", 0, 1, duration, *cell, sha256=str(i)) for i, cell in enumerate(cells)]
    return recipe_files("My-Corpus", Path(folder), SOURCE, Findings(rows=rows), groups)


@pytest.mark.parametrize("labels", [["no", "sad"], HARD, [f"label {i}" for i in range(40)]])
@pytest.mark.parametrize("groups", [GROUPS, [[f"speaker number {i}" for i in range(40)], ["a b"], ["c"]]])
def test_the_yamls_have_folder_labels_and_folds_as_they_are(labels, groups):
    files = made(labels=sorted(labels), groups=groups, folder='/my corpora/"ä": #1')
    for name in ("akd", "student"):
        tree = YAML().load(files[f"hparams/{name}.yaml"])
        assert tree["data_folder"] == '/my corpora/"ä": #1' and tree["corpus"] == "My-Corpus"
        assert tree["label_order"] == sorted(labels) and tree["outer_folds"] == groups
        assert tree["speaker_independent"] is True
    assert YAML().load(files["hparams/teacher.yaml"])["based_on"] == "akd.yaml"


def test_the_preparer_is_python_that_makes_the_same_source():
    text = made()["prepare.py"]
    assert "def prepare_my_corpus(" in text and '@CORPORA.register("my-corpus")' in text
    space: dict = {}
    exec(text.split("@CORPORA")[0], space)
    assert space["SOURCE"] == SOURCE and space["COUNTS"] == {"no": 13, "sad": 13}
