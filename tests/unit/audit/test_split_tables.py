"""Split files are read in every usual form, and bad ones are named."""

import re

import pytest
from split_lists import TRAIN, audited, sides, table, verdict_of, whole

from akd_toolkit.audit import has_leak
from akd_toolkit.audit.split_files import audit_split_files

RECORDS = [{"path": "a/x1.wav", "speaker": "A"}, {"path": "a/x2.wav", "speaker": "B"}]
OTHERS = [{"path": "a/x3.wav", "speaker": "B"}]
BY_ID = [{record["path"][2:4]: record for record in side} for side in (RECORDS, OTHERS)]


@pytest.mark.parametrize(
    "files",
    [
        {"train.json": {"labels": {"neu": 0}, "meta_data": RECORDS}, "test.json": {"meta_data": OTHERS}},
        {"train.json": {"name": "x", "data": {"version": 1, "rows": BY_ID[0]}}, "test.json": {"rows": BY_ID[1]}},
        {"train.json": BY_ID[0], "test.json": BY_ID[1]},
        {"all.json": {"train": RECORDS, "test": OTHERS}},
        {"all.json": {"labels": ["neu", "sad"], "splits": {"train": RECORDS, "test": OTHERS}}},
        {"train.json": {"path": {"0": "a/x1.wav", "1": "a/x2.wav"}, "speaker": {"0": "A", "1": "B"}},
         "test.json": {"path": ["a/x3.wav"], "speaker": ["B"]}},
        {"train.json": {"u1": {"wav": {"file": "a/x1.wav", "start": 0, "stop": 9}, "spk_id": "B", "emo": "n"}},
         "test.json": {"u2": {"wav": {"file": "a/x1.wav", "start": 9, "stop": 20}, "spk_id": "B", "emo": "n"}}},
        {"train.json": '{"audio_filepath": "a/x1.wav", "speaker": "B"}\n' * 2,
         "test.jsonl": '{"audio_filepath": "a/x3.wav", "speaker": "B"}'},
        {"train.csv": "\ufeffSpeaker ID;File Name\nB;a/x1.wav\n", "test.tsv": "# note\nfile\tspk\na/x3.wav\tB\n"},
        {"train/utt2spk": "x1 A\nx2 B\n", "test/utt2spk": "x3 B\n", "test/wav.scp": "x3 /a/x3.wav\n"},
        {"train/wav.scp": "r1 /a/r.wav\n", "train/segments": "x1 r1 0 1\n", "train/utt2spk": "x1 B\n",
         "test/utt2spk": "x2 B\n"},
        {"train.json": ["a/03a01Fa.wav", "a/08a01Fa.wav"], "test.json": ["a/03a02Fa.wav"]},
        {"train.tsv": "/data/emodb\na/03a01Fa.wav\t16000\n", "test.tsv": "/data/emodb\na/03a02Fa.wav\t16000\n"},
        {"train.txt": "a/03a01Fa.wav happy\na/08a01Fa.wav sad\n", "test.lst": "a/03a02Fa.wav happy\n"},
        {"fold1/train.csv": table("a.wav,A"), "fold2/train.csv": table("b.wav,B"), "test.csv": table("c.wav,B")},
    ],
)  # fmt: skip
def test_records_are_found_where_others_put_them(tmp_path, files):
    found = audited(tmp_path, files)
    assert verdict_of(found, "speakers") == "leak" and verdict_of(found, "utterances") == "proved"


def test_labels_and_notes_are_not_records(tmp_path):
    files = {
        **sides(TRAIN, ["c3x.wav,Carl"]),
        "labels/train.json": {"neu": 0, "hap": 1},
        "test/README.txt": "Read me.\n",
    }
    files |= {"train_labels.json": ["neu", "hap"], "test_labels.json": ["neu", "hap"]}
    found = audited(tmp_path, files)
    assert verdict_of(found, "utterances") == "proved" and verdict_of(found, "speakers") == "proved"


def test_files_that_name_only_folds_are_left_out_one_by_one(tmp_path):
    found = audited(tmp_path, {f"fold{n}.csv": table(f"u{n},{who}") for n, who in ((1, "A"), (2, "B"), (3, "A"))})
    assert [line[:6] for line in found["leak", "speakers"]] == ["fold 1", "fold 3"]


def test_a_given_speaker_column_is_used(tmp_path):
    files = {name: f"file;actor;who\n{row}\n" for name, row in (("train.csv", "a.wav;A;x"), ("test.csv", "b.wav;B;x"))}
    assert verdict_of(audited(tmp_path, files), "speakers") == "proved"
    assert verdict_of(audited(tmp_path, files, speaker="who"), "speakers") == "leak"


def test_links_are_read_by_their_own_name(tmp_path):
    for name, text in (("train", table(*TRAIN)), ("test", table("c3x.wav,Ben"))):
        (tmp_path / f"{name}-blob").write_text(text)
        (tmp_path / f"{name}.csv").symlink_to(tmp_path / f"{name}-blob")
    assert has_leak(audit_split_files([tmp_path / "train.csv", tmp_path / "test.csv"])[1])


SIDES = sides(["u1"], ["u2"], "ID")


@pytest.mark.parametrize(
    ("files", "options", "token"),
    [
        (whole("x1.wav,train", "y2.wav,test", header="file,split"), {"speaker": "split"}, "partitions"),
        (whole("train/x1.wav,train", "test/y2.wav,test", header="file,split"), {"pattern": r"^(\w+)/"}, "train"),
        (whole("x1.wav,1", "y2.wav,2", header="file,fold"), {"speaker": "fold", "partition": "Fold"}, "fold"),
        (sides(["a1.wav,A", "a2.wav,W"], ["b1.wav,A", "b2.wav,W"], "file,emotion"), {"speaker": "emotion"}, "emotions"),
        (sides(["a1.wav,fold1"], ["b1.wav,fold2"]), {}, "fold1"),
        ({"train.csv": table("u1", header="ID")}, {}, "two partitions"),
        (sides(["u1"], ["u2"], "x"), {}, "row 1 has no ID"),
        (SIDES, {"speaker": "spk"}, "'spk'"),
        (SIDES, {"partition": "p"}, "'p'"),
        (SIDES, {"ids": ["p"]}, "'p'"),
        (SIDES, {"pattern": "("}, "--speaker-pattern"),
        (SIDES, {"pattern": "x"}, "u2"),
        (SIDES, {"audio": "nowhere"}, "--audio nowhere"),
        ({**SIDES, "test.csv": "file,speaker\n"}, {}, "test.csv"),
        ({"train.json": "{", "test.csv": table("u2")}, {}, "train.json"),
        ({"train.json": "[" * 100_000, "test.csv": table("u2")}, {}, "train.json"),
        ({"train.jsonl": "{}\n{", "test.csv": table("u2")}, {}, "line 2"),
        ({"train.csv": table("u1"), "test.json": '{"x1": {"spk": "A"}, "x1": {"spk": "B"}}'}, {}, "x1"),
        ({"train.csv": table("u1"), "test/utt2spk": "x1 A\nx1 B\n"}, {}, "x1"),
        ({"readme.md": "nothing"}, {}, ".jsonl"),
    ],
)
def test_bad_input_is_refused(tmp_path, files, options, token):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(token)):
        audited(tmp_path, files, **options)


def test_a_file_that_is_no_table_is_named(tmp_path):
    (tmp_path / "speech.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"speech\.wav .* JSONL"):
        audit_split_files([tmp_path / "speech.wav"])
