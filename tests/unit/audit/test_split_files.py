"""Split files of others: how they are read, and what of them is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from akd_toolkit.audit import has_leak
from akd_toolkit.audit.speakers import SPEAKERS_IN_NAMES
from akd_toolkit.audit.split_files import audit_split_files
from akd_toolkit.data.names import place_of

EMOBOX = Path(__file__).with_name("emobox_emodb.csv")
# EmoBox's six folds of RAVDESS, four actors each.
EMOBOX_RAVDESS = ["01 11 20 21", "04 10 12 14", "08 09 19 23", "03 05 07 24", "02 15 16 18", "06 13 17 22"]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def told(findings, verdict, check):
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
    assert told(found, "leak", "speakers") == [
        "fold 1: all 10 speakers of the test are also in the training: 03, 08, 09, 10, 11, 12, 13, 14, 15, 16 (first: "
        "emodb-03a02Wb); make groups of whole speakers."
    ]
    assert title.endswith("1 split in 2 files, speakers from names as in EmoDB")
    assert told(found, "warning", "files") == ["1 file without rows that name a partition left out: label_map.json."]


def test_the_same_from_one_file_with_a_column_and_a_pattern():
    _, found = audit_split_files([EMOBOX], partition="partition", pattern=r"emodb-(\d\d)")
    assert "all 10 speakers" in told(found, "leak", "speakers")[0]


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
    assert told(found, "proved", "speakers") == ["no speaker is on both sides of 6 splits of 24 speakers."]


@pytest.mark.parametrize(
    ("suffix", "rows"),
    [
        ("csv", ["ID,spk,start,stop\nu1,A,0,5\nu2,B,0,5", "ID,spk,start,stop\nu3,C,0,5\nu4,B,0,5"]),
        ("tsv", ["ID\tspk\nu1\tA\nu2\tB", "ID\tspk\nu3\tC\nu4\tB"]),
        ("json", ['[{"id": "u1", "spk": "A"}, {"id": "u2", "spk": "B"}]', '{"u3": {"spk": "C"}, "u4": {"spk": "B"}}']),
        (
            "jsonl",
            [
                '{"utt": "u1", "spk": "A"}\n{"utt": "u2", "spk": "B"}\n',
                '{"utt": "u3", "spk": "C"}\n\n{"utt": "u4", "spk": "B"}',
            ],
        ),
    ],
)
def test_every_format_is_read(tmp_path, suffix, rows):
    paths = [write(tmp_path / f"{name}.{suffix}", text) for name, text in zip(("train", "test"), rows)]
    _, found = audit_split_files(paths)
    assert told(found, "leak", "speakers")[0].startswith("1 speaker of the test is also in the training: B (first: u4)")


def test_a_semicolon_is_a_separator_too_and_a_given_speaker_column_is_taken(tmp_path):
    for name, row in (("train", "a.wav;A;x"), ("test", "b.wav;B;x")):
        write(tmp_path / f"{name}.csv", f"file;actor;who\n{row}\n")
    assert not has_leak(audit_split_files([tmp_path])[1])
    assert "speaker of the test is also" in told(audit_split_files([tmp_path], speaker="who")[1], "leak", "speakers")[0]


def test_files_that_name_only_folds_are_left_out_one_by_one(tmp_path):
    for fold, speaker in ((1, "A"), (2, "B"), (3, "A")):
        write(tmp_path / f"fold{fold}.csv", f"ID,speaker\nu{fold},{speaker}\n")
    _, found = audit_split_files([tmp_path])
    assert [line[:6] for line in told(found, "leak", "speakers")] == ["fold 1", "fold 3"]


def test_a_column_of_folds(tmp_path):
    path = write(tmp_path / "all.csv", "ID,speaker,Group\nu1,A,1\nu2,B,2\n")
    _, found = audit_split_files([path], partition="group")
    assert told(found, "proved", "speakers") == ["no speaker is on both sides of 2 splits of 2 speakers."]


def test_folders_may_name_the_partitions_of_files_of_one_name(tmp_path):
    paths = [write(tmp_path / side / "list.csv", f"ID,speaker\n{side},A\n") for side in ("train", "test")]
    for given in ([tmp_path], paths):
        assert "1 speaker of the test is also" in told(audit_split_files(given)[1], "leak", "speakers")[0]


def test_a_column_of_folds_beside_one_of_partitions(tmp_path):
    rows = "u1,A,train,1\nu2,B,test,1\nu2,B,train,2\nu1,A,test,2\n"
    path = write(tmp_path / "all.csv", f"ID,speaker,split,fold\n{rows}")
    _, found = audit_split_files([path])
    assert told(found, "proved", "speakers") == ["no speaker is on both sides of 2 splits of 2 speakers."]


def test_a_test_of_all_folds_is_compared_with_each(tmp_path):
    write(tmp_path / "fold1/train.csv", "ID,speaker\nu1,A\n")
    write(tmp_path / "fold2/train.csv", "ID,speaker\nu2,B\n")
    write(tmp_path / "test.csv", "ID,speaker\nu3,B\n")
    _, found = audit_split_files([tmp_path])
    assert [line[:6] for line in told(found, "leak", "speakers")] == ["fold 2"]


def test_a_fold_of_one_partition_is_named(tmp_path):
    write(tmp_path / "fold2/train.csv", "ID,speaker\nu3,B\n")
    write(tmp_path / "fold1/train.csv", "ID,speaker\nu1,A\n")
    write(tmp_path / "fold1/test.csv", "ID,speaker\nu2,B\n")
    _, found = audit_split_files([tmp_path])
    assert told(found, "warning", "files") == ["fold 2: only one partition is there, and nothing to compare it with."]


def test_parts_of_files_are_not_compared_by_their_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    write(tmp_path / "train.csv", "ID,speaker,wav,start,stop\nu1,A,a.wav,0,0.5\n")
    write(tmp_path / "test.csv", "ID,speaker,wav,start,stop\nu2,B,a.wav,0.5,1\n")
    _, found = audit_split_files([tmp_path], audio=tmp_path)
    assert not has_leak(found) and "are pieces of one recording" in told(found, "warning", "segments")[0]
    assert "u2 is a part of a file" in told(found, "not_proved", "files")[0]


def test_a_speaker_in_training_and_validation_is_a_warning(tmp_path):
    path = write(tmp_path / "all.csv", "ID,speaker,split\nu1,A,train\nu2,A,dev\nu3,B,test\n")
    _, found = audit_split_files([path])
    assert (
        not has_leak(found)
        and "speaker of the validation is also in the training" in (told(found, "warning", "speakers")[0])
    )


def test_an_utterance_and_segments_of_a_file_on_both_sides(tmp_path):
    write(tmp_path / "train.csv", "ID,speaker,wav,start,stop\nu1,A,one.wav,0.0,2.0\nu2,B,two.wav,0.0,2.0\n")
    write(tmp_path / "test.csv", "ID,speaker,wav,start,stop\nu1,C,three.wav,0.0,2.0\nu4,D,two.wav,1.5,3.0\n")
    _, found = audit_split_files([tmp_path])
    assert checks(found, "leak") == {"utterances", "segments"}
    assert "u2 (training) and u4 (test) overlap in one recording, two.wav" in told(found, "leak", "segments")[0]


def test_without_speakers_nothing_is_proved_of_them(tmp_path):
    for name in ("train", "test"):
        write(tmp_path / f"{name}.csv", f"ID\n{name}1\n")
    _, found = audit_split_files([tmp_path])
    assert "give --speaker COLUMN or --speaker-pattern REGEX" in told(found, "not_proved", "speakers")[0]


def test_one_recording_by_two_names_is_found(tmp_path):
    write(tmp_path / "train.csv", "id,wav,speaker\nu1.wav,x/u1.wav,A\nu2,x/u2.wav,A\n")
    write(tmp_path / "test.csv", "id,wav,speaker\nu1,y/u1.wav,B\nv2,.\\x\\u2.wav,B\n")
    _, found = audit_split_files([tmp_path / "train.csv", tmp_path / "test.csv"])
    assert "1 utterance of the test also in the training: u1" in told(found, "leak", "utterances")[0]
    assert "u2 (training) and v2 (test) overlap in one recording, x/u2.wav" in told(found, "leak", "segments")[0]


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
    assert "somewhere/a (training) and c (test) hold the same samples" in told(found, "leak", "identical")[0]
    assert "(training) and b (test) are copies by their sound" in told(found, "leak", "near copies")[0]
    assert "the sound of 1 of 5 rows: gone is not under" in told(found, "not_proved", "files")[0]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("fold_1/emodb_test_fold_1.jsonl", ("fold 1", "test")),
        ("Session5/dev.csv", ("session 5", "validation")),
        ("train/fold03.csv", ("fold 3", "training")),
        ("trainer.csv", ("", "")),
    ],
)
def test_names_tell_the_place(name, place):
    assert place_of(Path(name)) == place


@pytest.mark.parametrize(
    ("corpus", "name", "speaker"),
    [
        ("EmoDB", "emodb-03a02Wb", "03"),
        ("RAVDESS", "ravdess-03-01-06-01-02-01-12", "12"),
        ("CREMA-D", "1001_DFA_ANG_XX", "1001"),
        ("IEMOCAP", "Ses01F_impro03_M012", "Ses01M"),
    ],
)
def test_names_of_known_corpora_tell_the_speaker(corpus, name, speaker):
    assert "".join(re.search(SPEAKERS_IN_NAMES[corpus], name).groups()) == speaker


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"train.csv": "ID\nu1\n"}, {}, "no two partitions of one fold are named"),
        ({"train.csv": "x\nu1\n", "test.csv": "x\nu2\n"}, {}, "row 1 has no ID; a column such as key"),
        ({"train.csv": "ID\nu1\n", "test.csv": "ID\nu2\n"}, {"speaker": "spk"}, "row 1 has no 'spk'; it has id"),
        ({"train.csv": "ID\nu1\n", "test.csv": "ID\nu2\n"}, {"partition": "p"}, "row 1 has no 'p'; it has id"),
        ({"train.csv": "ID\nu1\n", "test.csv": "ID\nu2\n"}, {"pattern": "("}, "is no regular expression"),
        ({"train.csv": "ID\nu1\n", "test.csv": "ID\nu2\n"}, {"pattern": "x"}, "'x' is not found in u2"),
        ({"train.csv": "ID\nu1\n", "test.csv": "ID\nu2\n"}, {"audio": "nowhere"}, "--audio nowhere is not a folder"),
        ({"train.json": "{", "test.csv": "ID\nu2\n"}, {}, "train.json cannot be read as JSON"),
        ({"train.json": "[" * 100_000, "test.csv": "ID\nu2\n"}, {}, "train.json cannot be read as JSON"),
        ({"train.jsonl": "{}\n{", "test.csv": "ID\nu2\n"}, {}, "line 2"),
        ({"readme.md": "nothing"}, {}, "holds no .csv, .tsv, .json, .jsonl, .txt, .lst file"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, files, options, message):
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        audit_split_files([tmp_path], **options)


def test_a_path_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="there is no nowhere.csv"):
        audit_split_files(["nowhere.csv"])
