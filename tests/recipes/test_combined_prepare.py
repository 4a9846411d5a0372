"""Combined's prepare.py: several corpora in one manifest."""

import csv
from collections import Counter

import pytest
from programs import RECIPES

from akd_toolkit.data.synthetic import generate_corpus

RECIPE = RECIPES / "Combined"
LABELS = ("anger", "fear", "happiness", "neutral", "sadness")
NONE = ("anger", "disgust", "fear")  # the classes of the second corpus


@pytest.fixture
def folder(tmp_path):
    """EmoDB by its names of files, and two speakers whose table says who speaks."""
    generate_corpus(tmp_path / "EmoDB", 2, ("anger", "boredom", "sadness"), 2, layout="emodb", progress=False)
    made = generate_corpus(tmp_path / "mine", 2, ("anger", "disgust", "fear"), 3, seed=1, progress=False)
    with (made / "table.csv").open("w", newline="") as file:
        rows = [(f"wav/{path.name}", *path.stem.split("_")[:2]) for path in sorted(made.glob("wav/*.wav"))]
        csv.writer(file).writerows([("file", "speaker", "emotion"), *rows])
    return tmp_path


def prepare(preparer, folder, second, **options):
    corpora = {"EmoDB": {"recipe": str(RECIPES / "EmoDB")}, "Second": {"folder": "mine", **second}}
    options = {"labels": {"disgust": "anger"}, "expect_official": False, **options}
    return preparer.prepare_combined(str(folder), str(folder / "out"), LABELS, corpora, **options)


def test_shared_classes_of_all_corpora_are_in_one_manifest(preparer, folder, caplog):
    caplog.set_level("INFO")
    manifest = prepare(preparer, folder, {"table": "table.csv", "at_most": 2})
    assert manifest.corpus == "EmoDB+Second" and manifest.label_order == LABELS and manifest.generated
    assert manifest.speakers == ("EmoDB/03", "EmoDB/08", "Second/f01", "Second/m01")
    counted = ("EmoDB", "anger", 4), ("EmoDB", "sadness", 4), ("Second", "anger", 8), ("Second", "fear", 4)
    counts = Counter((row.speaker.partition("/")[0], row.emotion) for row in manifest)
    assert counts == {(c, label): n for c, label, n in counted}
    assert "EmoDB: 8 utterances; left out: 4 of boredom." in caplog.text
    assert manifest.ids[0].startswith("EmoDB/03") and "reused" not in caplog.text
    assert prepare(preparer, folder, {"table": "table.csv", "at_most": 2}) == manifest and "reused" in caplog.text


@pytest.mark.parametrize(
    ("second", "options", "error", "key"),
    [
        ({}, {}, ValueError, "Second has folder;"),
        ({"table": "table.csv", "recipe": "x"}, {}, ValueError, "Second has folder, table, recipe"),
        ({"recipe": "gone"}, {}, FileNotFoundError, "gone/prepare.py"),
        ({"pattern": "{speaker}_{emotion}_*"}, {"labels": dict.fromkeys(NONE, "-")}, ValueError, "Second has anger"),
    ],
)
def test_a_wrong_entry_is_named(preparer, folder, second, options, error, key):
    with pytest.raises(error, match=key):
        prepare(preparer, folder, second, **options)
