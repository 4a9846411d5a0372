"""Split files of others: how they are read, and what of them is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from akd_toolkit.audit import has_leak
from akd_toolkit.audit.split_files import audit_split_files

EMOBOX = Path(__file__).with_name("emobox_emodb.csv")
# EmoBox's six folds of RAVDESS, four actors each.
EMOBOX_RAVDESS = ["01 11 20 21", "04 10 12 14", "08 09 19 23", "03 05 07 24", "02 15 16 18", "06 13 17 22"]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sentences(findings, verdict, check):
    return [f.sentence for f in findings if (f.verdict, f.check) == (verdict, check)]


def checks(findings, verdict):
    return {f.check for f in findings if f.verdict == verdict}


@pytest.fixture
def emobox(tmp_path):
    """The published files, laid out as in the repository."""
    rows = [line.split(",") for line in EMOBOX.read_text().splitlines() if line.startswith(("train", "test"))]
    assert len(rows) == 535 and sum(side == "test" for side, _ in rows) == 107
    for name in ("train", "test"):
        lines = [json.dumps({"key": key, "dataset": "emodb"}) for side, key in rows if side == name]
        write(tmp_path / f"emodb/fold_1/emodb_{name}_fold_1.jsonl", "\n".join(lines))
    write(tmp_path / "emodb/label_map.json", '{"anger": "anger"}')
    return tmp_path / "emodb"


def test_emobox_layout_of_emodb_has_all_ten_speakers_on_both_sides(emobox):
    title, found = audit_split_files([emobox])
    assert has_leak(found) and checks(found, "leak") == {"speakers"}
    assert sentences(found, "leak", "speakers") == [
        "fold 1: all 10 speakers of the test are also in the training: 03, 08, 09, 10, 11, 12, 13, 14, 15, 16 (first: "
        "emodb-03a02Wb); make groups of whole speakers."
    ]
    assert title.endswith("1 split in 2 files, speakers from names as in EmoDB")
    assert sentences(found, "warning", "files") == [
        "1 file without rows that name a partition left out: label_map.json."
    ]


def test_emobox_layout_of_ravdess_passes(tmp_path):
    fold_of = {actor: fold for fold, actors in enumerate(EMOBOX_RAVDESS, start=1) for actor in actors.split()}
    names = [
        f"03-01-{emotion:02d}-{level}-{text}-{take}-{actor}"
        for emotion in range(1, 9)
        for level in ("01", "02")[: 1 if emotion == 1 else 2]
        for text in ("01", "02")
        for take in ("01", "02")
        for actor in fold_of
    ]
    assert len(names) == 1440
    for fold in range(1, 7):
        for side in ("train", "test"):
            rows = [{"key": f"ravdess-{n}"} for n in names if (fold_of[n[-2:]] == fold) == (side == "test")]
            write(tmp_path / f"fold_{fold}/ravdess_{side}_fold_{fold}.json", json.dumps(rows))
    title, found = audit_split_files([tmp_path])
    assert not has_leak(found) and "6 splits in 12 files, speakers from names as in RAVDESS" in title
    assert sentences(found, "proved", "speakers") == ["no speaker is on both sides of 6 splits of 24 speakers."]


def test_a_semicolon_is_a_separator_too_and_a_given_speaker_column_is_taken(tmp_path):
    for name, row in (("train", "a.wav;A;x"), ("test", "b.wav;B;x")):
        write(tmp_path / f"{name}.csv", f"file;actor;who\n{row}\n")
    assert not has_leak(audit_split_files([tmp_path])[1])
    assert (
        "speaker of the test is also"
        in sentences(audit_split_files([tmp_path], speaker="who")[1], "leak", "speakers")[0]
    )


def test_files_that_name_only_folds_are_left_out_one_by_one(tmp_path):
    for fold, speaker in ((1, "A"), (2, "B"), (3, "A")):
        write(tmp_path / f"fold{fold}.csv", f"ID,speaker\nu{fold},{speaker}\n")
    _, found = audit_split_files([tmp_path])
    assert [line[:6] for line in sentences(found, "leak", "speakers")] == ["fold 1", "fold 3"]


def test_folders_may_name_the_partitions_of_files_of_one_name(tmp_path):
    paths = [write(tmp_path / side / "list.csv", f"ID,speaker\n{side},A\n") for side in ("train", "test")]
    for given in ([tmp_path], paths):
        assert "1 speaker of the test is also" in sentences(audit_split_files(given)[1], "leak", "speakers")[0]


def test_a_test_of_all_folds_is_compared_with_each(tmp_path):
    write(tmp_path / "fold1/train.csv", "ID,speaker\nu1,A\n")
    write(tmp_path / "fold2/train.csv", "ID,speaker\nu2,B\n")
    write(tmp_path / "test.csv", "ID,speaker\nu3,B\n")
    _, found = audit_split_files([tmp_path])
    assert [line[:6] for line in sentences(found, "leak", "speakers")] == ["fold 2"]


def test_a_fold_of_one_partition_is_named(tmp_path):
    write(tmp_path / "fold2/train.csv", "ID,speaker\nu3,B\n")
    write(tmp_path / "fold1/train.csv", "ID,speaker\nu1,A\n")
    write(tmp_path / "fold1/test.csv", "ID,speaker\nu2,B\n")
    _, found = audit_split_files([tmp_path])
    assert sentences(found, "warning", "files") == [
        "fold 2: only one partition is there, and nothing to compare it with."
    ]


def test_parts_of_files_are_not_compared_by_their_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    write(tmp_path / "train.csv", "ID,speaker,wav,start,stop\nu1,A,a.wav,0,0.5\n")
    write(tmp_path / "test.csv", "ID,speaker,wav,start,stop\nu2,B,a.wav,0.5,1\n")
    _, found = audit_split_files([tmp_path], audio=tmp_path)
    assert not has_leak(found) and "are pieces of one recording" in sentences(found, "warning", "segments")[0]
    assert "u2 is a part of a file" in sentences(found, "not_proved", "files")[0]


def test_a_speaker_in_training_and_validation_is_a_warning(tmp_path):
    path = write(tmp_path / "all.csv", "ID,speaker,split\nu1,A,train\nu2,A,dev\nu3,B,test\n")
    _, found = audit_split_files([path])
    assert (
        not has_leak(found)
        and "speaker of the validation is also in the training" in (sentences(found, "warning", "speakers")[0])
    )


def test_the_sound_is_compared_where_it_is_given(tmp_path):
    random = np.random.default_rng(0)
    loudness = np.interp(np.arange(32000), np.linspace(0, 32000, 12), random.uniform(0.05, 0.5, 12))
    sound = (loudness * random.standard_normal(32000)).clip(-1, 1)
    for name, samples in (
        ("a", sound),
        ("b", 0.4 * sound[700:]),
        ("c", sound),
        ("d", 0.3 * random.standard_normal(32000)),
    ):
        (tmp_path / "audio").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "audio" / f"{name}.wav", samples.clip(-1, 1), 16000)
    write(tmp_path / "train.csv", "wav,speaker\nsomewhere/a.wav,A\nd.wav,A\n")
    write(tmp_path / "test.csv", "wav,speaker\nb.wav,B\nc.wav,C\ngone.wav,D\n")
    files = [tmp_path / "train.csv", tmp_path / "test.csv"]
    _, found = audit_split_files(files, audio=tmp_path / "audio")
    assert "somewhere/a (training) and c (test) hold the same samples" in sentences(found, "leak", "identical")[0]
    assert "(training) and b (test) are copies by their sound" in sentences(found, "leak", "near copies")[0]
    assert "the sound of 1 of 5 rows: gone is not under" in sentences(found, "not_proved", "files")[0]


SIDES = {"train.csv": "ID\nu1\n", "test.csv": "ID\nu2\n"}


@pytest.mark.parametrize(
    ("files", "options", "token"),
    [
        ({"train.csv": "ID\nu1\n"}, {}, "two partitions"),
        ({"train.csv": "x\nu1\n", "test.csv": "x\nu2\n"}, {}, "row 1 has no ID"),
        (SIDES, {"speaker": "spk"}, "'spk'"),
        (SIDES, {"partition": "p"}, "'p'"),
        (SIDES, {"ids": ["p"]}, "'p'"),
        (SIDES, {"pattern": "("}, "--speaker-pattern"),
        (SIDES, {"pattern": "x"}, "u2"),
        (SIDES, {"audio": "nowhere"}, "--audio nowhere"),
        ({"train.json": "{", "test.csv": "ID\nu2\n"}, {}, "train.json"),
        ({"train.json": "[" * 100_000, "test.csv": "ID\nu2\n"}, {}, "train.json"),
        ({"train.jsonl": "{}\n{", "test.csv": "ID\nu2\n"}, {}, "line 2"),
        ({"readme.md": "nothing"}, {}, ".jsonl"),
    ],
)
def test_bad_input_is_refused(tmp_path, files, options, token):
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(token)):
        audit_split_files([tmp_path], **options)


def test_a_path_that_does_not_exist_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        audit_split_files(["nowhere.csv"])
