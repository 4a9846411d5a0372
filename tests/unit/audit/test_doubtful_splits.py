"""Tables that are easily misread: a leak must not be certified, and a clean split must not be accused."""

import json
import re

import numpy as np
import pytest
import soundfile

from akd_toolkit.audit.split_files import audit_split_files

CHECKS = ("speakers", "utterances", "segments", "identical", "files")


def lines(*rows, header="file,speaker"):
    return "\n".join((header, *rows)) + "\n"


def verdicts(folder, files, **options):
    """{check: its verdict}; where a check has several, the gravest."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    found = audit_split_files([folder], **options)[1]
    return {
        check: verdict
        for verdict in ("proved", "warning", "not_proved", "leak")
        for check in CHECKS
        if any((line.verdict, line.check) == (verdict, check) for line in found)
    }


def counting(number, header="id,speaker", speaker="{side[1]}{n}"):
    """A training and a test table whose IDs count from 0 in each."""
    return {
        f"{side}.csv": lines(*(f"{n}," + speaker.format(side=side, n=n % 3) for n in range(count)), header=header)
        for side, count in (("train", number), ("test", number // 2))
    }


TRAIN = lines("a1x.wav,Anna", "b2x.wav,Ben")
SPEAKERS = {
    "leak": {
        "one name": lines("c3x.wav,Anna"),
        "blanks around a name": lines("c3x.wav, Anna "),
        "a composed and a decomposed letter": (lines("a.wav,Jose\u0301"), lines("b.wav,Jos\u00e9")),
        "a header in the middle": lines("c3x.wav,Ben", "file,speaker", "d4x.wav,Carl"),
    },
    "not_proved": {
        **{
            f"nobody: {name!r}": lines(f"c3x.wav,{name}", "d4x.wav,Carl")
            for name in ("Unknown", "unknown", "UNK", "n/a", "NA", "None", "null", "?", "-", "", "nan", "speaker")
            + ("<NA>", "unknown_2", "N.A.", "-1", "Unknown Speaker", "all", "speaker_id")
        },
        "numbers and padded text": (lines("a1x.wav,03"), lines("c3x.wav,3")),
        "numbers that pandas wrote": (lines("a1x.wav,3"), lines("c3x.wav,3.0")),
        "capitals": (lines("a1x.wav,Ses01F"), lines("c3x.wav,ses01f")),
        "one name in two corpora": (
            lines("a1x.wav,01,EmoDB", "b2x.wav,02,RAVDESS", header="file,speaker,corpus"),
            lines("c3x.wav,02,EmoDB", "d4x.wav,03,RAVDESS", header="file,speaker,corpus"),
        ),
        "a speaker for each utterance": (lines("a1x,a1x", "b2x,b2x"), lines("c3x,c3x")),
    },
    "proved": {
        "other people": lines("c3x.wav,Carl"),
        "people called as partitions": lines("c3x.wav,Dev"),
        "a person called as an emotion": lines("c3x.wav,Joy"),
    },
}


@pytest.mark.parametrize(
    ("verdict", "name"), [(verdict, name) for verdict, cases in SPEAKERS.items() for name in cases]
)
def test_speakers(tmp_path, verdict, name):
    case = SPEAKERS[verdict][name]
    train, test = case if isinstance(case, tuple) else (TRAIN, case)
    assert verdicts(tmp_path, {"train.csv": train, "test.csv": test})["speakers"] == verdict


@pytest.mark.parametrize(
    ("files", "options", "token"),
    [
        ({"a.csv": lines("x1.wav,train", "y2.wav,test", header="file,split")}, {"speaker": "split"}, "partitions"),
        (
            {"a.csv": lines("train/x1.wav,train", "test/y2.wav,test", header="file,split")},
            {"pattern": r"^(\w+)/"},
            "train",
        ),
        (
            {"a.csv": lines("x1.wav,1", "y2.wav,2", header="file,fold")},
            {"speaker": "fold", "partition": "Fold"},
            "fold",
        ),
        ({"train.csv": lines("happy/1.wav"), "test.csv": lines("sad/2.wav")}, {"pattern": r"^(\w+)/"}, "emotions"),
        (
            {s: lines(f"{s}1.wav,A", f"{s}2.wav,W", header="file,emotion") for s in ("train.csv", "test.csv")},
            {"speaker": "emotion"},
            "emotions",
        ),
        ({"train.csv": lines("a1.wav,fold1"), "test.csv": lines("b1.wav,fold2")}, {}, "fold1"),
    ],
)
def test_partitions_and_emotions_are_refused_as_speakers(tmp_path, files, options, token):
    with pytest.raises(ValueError, match=token):
        verdicts(tmp_path, files, **options)


UTTERANCES = {
    "leak": {
        "suffixes": ("03a01Fa.wav", "03a01Fa.flac"),
        "folders above": ("a/03a01Fa.wav", "03a01Fa.wav"),
        "an absolute path": ("/data/emodb/wav/03a01Fa.wav", "wav/03a01Fa.wav"),
        "a path of Windows": (r"C:\emodb\wav\03a01Fa.wav", "emodb/wav/03a01Fa.wav"),
        "capitals": ("03a01Fa.wav", "03A01FA.WAV"),
        "a URL with a query": ("https://host/wav/03a01Fa.wav?download=1", "wav/03a01Fa.wav"),
        "dots": ("./wav/03a01Fa.wav", "wav/../wav/03a01Fa.wav"),
    },
    "not_proved": {
        "two folders": ("train/03a01Fa.wav", "test/03a01Fa.wav"),
        "a plain number with and without its folder": ("anna/001.wav", "001.wav"),
    },
    "proved": {
        "other names": ("wav/03a01Fa.wav", "wav/03a01Fb.wav"),
        "a plain number in two folders": ("train/1.wav", "test/1.wav"),
    },
}


@pytest.mark.parametrize(
    ("verdict", "name"), [(verdict, name) for verdict, cases in UTTERANCES.items() for name in cases]
)
def test_spellings_of_paths(tmp_path, verdict, name):
    one, other = UTTERANCES[verdict][name]
    files = {"train.csv": lines(f"{one},Anna", "b2x.wav,Ben"), "test.csv": lines(f"{other},Carl")}
    assert verdicts(tmp_path, files)["utterances"] == verdict


def test_each_speakers_own_numbers_are_no_id_but_their_paths_are(tmp_path):
    rows = {
        side: [f"{who}/{n}.wav,{n},{who}" for who in people for n in "12"]
        for side, people in (("train", ("Anna", "Ben")), ("test", ("Carl", "Dora")))
    }
    files = {f"{side}.csv": lines(*found, header="path,id,speaker") for side, found in rows.items()}
    found = verdicts(tmp_path, files)
    assert (found["utterances"], found["segments"], found["speakers"]) == ("proved", "proved", "proved")


@pytest.mark.parametrize("name", ["{n}", "utt_{n:04d}", "dia{n}_utt0"])
def test_ids_that_count_from_the_start_in_each_file_prove_nothing(tmp_path, name):
    rows = counting(20).items()
    files = {side: re.sub(r"(?m)^\d+", lambda n: name.format(n=int(n[0])), text) for side, text in rows}
    found = verdicts(tmp_path, files)
    assert found["utterances"] == "not_proved" and found["speakers"] == "proved"
    assert verdicts(tmp_path, files, ids=["id"])["utterances"] == "leak"  # a given column is trusted


def test_paths_that_count_from_the_start_in_each_file_prove_nothing(tmp_path):
    files = {side: re.sub(r"(?m)^(\d+)", r"\1.wav", text) for side, text in counting(20, "path,speaker").items()}
    found = verdicts(tmp_path, files)
    assert (found["utterances"], found["segments"]) == ("not_proved", "not_proved")


def test_the_number_of_a_row_is_no_id(tmp_path):
    rows = [f"{n},{'train' if n % 3 else 'test'},S{n % 3}" for n in range(12)]
    found = verdicts(tmp_path, {"all.csv": lines(*rows, header="id,split,speaker")})
    assert found["utterances"] == "not_proved"


@pytest.mark.parametrize(("speaker", "verdict"), [("A", "leak"), ("B", "not_proved")])
def test_numbers_on_both_sides_are_a_leak_unless_they_are_of_other_speakers(tmp_path, speaker, verdict):
    files = {"train.csv": lines(*(f"{n},A" for n in range(0, 60, 2)), header="id,speaker")}
    files["test.csv"] = lines(*(f"{n},{speaker}" for n in range(1, 40, 3)), header="id,speaker")
    assert verdicts(tmp_path, files)["utterances"] == verdict


@pytest.mark.parametrize("copy", ["03a01Fa_noise", "03a01Fa_sp0.9", "sp1.1-03a01Fa", "03a01Fa-aug2", "03a01Fa_loud"])
def test_a_changed_copy_is_warned_of(tmp_path, copy):
    files = {"train.csv": lines("03a01Fa.wav,A"), "test.csv": lines(f"{copy}.wav,B")}
    assert verdicts(tmp_path, files)["segments"] == "warning"


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("0,5", "5,9", "warning"),
        ("0,5", "4,9", "leak"),
        ("00:00:01.5,00:00:02", "00:00:01.9,00:00:03", "leak"),
        ("00:00:01.5,00:00:02", "00:00:02,00:00:03", "warning"),
        ("0 days 00:00:00,0 days 00:00:01.200000", "0 days 00:00:01,NaT", "leak"),
        ("whenever,then", "later,on", "warning"),
        ("1500,2000", "1900,3000", "leak"),
        ("0,inf", "1e999,2", "warning"),
    ],
)
def test_pieces_of_one_recording_by_start_and_stop(tmp_path, one, other, verdict):
    header = "path,start,end,speaker"
    files = {
        "train.csv": lines(f"call.wav,{one},A", header=header),
        "test.csv": lines(f"call.wav,{other},B", header=header),
    }
    found = verdicts(tmp_path, files)
    assert (found["segments"], found["utterances"]) == (verdict, "proved")


@pytest.mark.parametrize("values", [("1", "0"), ("True", "False"), ("train ", "Test"), ("TRAIN", "Test1"), ("a", "b")])
def test_a_column_that_says_the_partition_in_its_own_way(tmp_path, values):
    rows = [f"x{n},{values[n % 2]},S{n % 3}" for n in range(9)]
    found = verdicts(tmp_path, {"all.csv": lines(*rows, header="id,part,speaker")}, partition="part")
    assert (found["speakers"], found["utterances"]) == ("leak", "proved")


def test_what_no_partition_is_beside_train_and_test_is_counted_and_not_proved(tmp_path):
    rows = ["x1,train,A", "x2,test,B", "x3,spare,A", "x4,,B"]
    found = verdicts(tmp_path, {"all.csv": lines(*rows, header="id,split,speaker")})
    assert (found["speakers"], found["files"]) == ("proved", "not_proved")


def test_validation_that_shares_with_the_test_is_a_leak(tmp_path):
    rows = ["x1,train,A", "x2,valid,B", "x3,test,B"]
    assert verdicts(tmp_path, {"all.csv": lines(*rows, header="id,split,speaker")})["speakers"] == "leak"


def test_folds_beside_one_test_are_its_training(tmp_path):
    rows = ["x1,1,A", "x2,2,B", "x3,test,B"]
    assert verdicts(tmp_path, {"all.csv": lines(*rows, header="id,split,speaker")})["speakers"] == "leak"


def test_an_empty_partition_proves_nothing(tmp_path):
    files = {"train.csv": TRAIN, "valid.csv": lines("c3x.wav,Carl"), "test.json": []}
    assert verdicts(tmp_path, files)["files"] == "not_proved"


def test_what_is_said_is_no_id(tmp_path):
    files = {
        side: lines(f"Good morning {who},{who}", f"Good {who} night,{who}", header="Utterance,Speaker")
        for side, who in (("train.csv", "A"), ("test.csv", "B"))
    }
    assert verdicts(tmp_path, files)["utterances"] == "not_proved"


def test_folders_of_two_corpora_are_a_split_each_and_not_compared_with_each_other(tmp_path):
    files = {
        f"{corpus}/{side}.csv": lines(f"{corpus}_{side}.wav,{speaker}")
        for corpus in "ab"
        for side, speaker in (("train", "01"), ("test", "02"))
    }
    files["b/train.csv"] = lines("b_train.wav,02")
    files["b/test.csv"] = lines("b_test.wav,01")
    found = verdicts(tmp_path, files)
    assert (found["speakers"], found["files"]) == ("proved", "not_proved")


RECORDS = [{"path": "a/x1.wav", "speaker": "A"}, {"path": "a/x2.wav", "speaker": "B"}]
OTHERS = [{"path": "a/x3.wav", "speaker": "B"}]
BY_ID = [{record["path"][2:4]: record for record in side} for side in (RECORDS, OTHERS)]


@pytest.mark.parametrize(
    "files",
    [
        {"train.json": {"labels": {"neu": 0}, "meta_data": RECORDS}, "test.json": {"meta_data": OTHERS}},
        {"train.json": {"iemocap": {"labels": {}, "meta": RECORDS}}, "test.json": {"iemocap": {"meta": OTHERS}}},
        {"train.json": {"name": "x", "data": {"version": 1, "rows": BY_ID[0]}}, "test.json": {"rows": BY_ID[1]}},
        {"train.json": BY_ID[0], "test.json": BY_ID[1]},
        {"all.json": {"train": RECORDS, "test": OTHERS}},
        {"all.json": {"fold1": {"train": RECORDS, "test": BY_ID[1]}}},
        {"all.json": {"labels": ["neu", "sad"], "splits": {"train": RECORDS, "test": OTHERS}}},
        {"train.json": {"path": {"0": "a/x1.wav", "1": "a/x2.wav"}, "speaker": {"0": "A", "1": "B"}},
         "test.json": {"path": ["a/x3.wav"], "speaker": ["B"]}},
        {"train.json": {"u1": {"wav": {"file": "a/x1.wav", "start": 0, "stop": 9}, "spk_id": "B", "emo": "n"}},
         "test.json": {"u2": {"wav": {"file": "a/x1.wav", "start": 9, "stop": 20}, "spk_id": "B", "emo": "n"}}},
        {"train.json": '{"audio_filepath": "a/x1.wav", "speaker": "B"}\n' * 2,
         "test.json": {"audio_filepath": "a/x3.wav", "speaker": "B"}},
        {"train.csv": "\ufeffSpeaker ID;File Name\nB;a/x1.wav\n", "test.tsv": "# note\nfile\tspk\na/x3.wav\tB\n"},
        {"train/utt2spk": "x1 A\nx2 B\n", "test/utt2spk": "x3 B\n", "test/wav.scp": "x3 /a/x3.wav\n"},
        {"train/wav.scp": "r1 /a/r.wav\n", "train/segments": "x1 r1 0 1\n", "train/utt2spk": "x1 B\n",
         "test/utt2spk": "x2 B\n"},
    ],
)  # fmt: skip
def test_records_are_found_where_others_put_them(tmp_path, files):
    found = verdicts(tmp_path, files)
    assert found["speakers"] == "leak" and found["utterances"] == "proved"


@pytest.mark.parametrize(
    "files",
    [
        {"train.json": ["a/03a01Fa.wav", "a/08a01Fa.wav"], "test.json": ["a/03a02Fa.wav"]},
        {"all.json": {"train": ["03a01Fa", "08a01Fa"], "test": ["03a02Fa"]}},
        {"train.tsv": "/data/emodb\na/03a01Fa.wav\t16000\n", "test.tsv": "/data/emodb\na/03a02Fa.wav\t16000\n"},
        {"train.txt": "a/03a01Fa.wav happy\na/08a01Fa.wav sad\n", "test.lst": "a/03a02Fa.wav happy\n"},
    ],
)
def test_lists_of_names_are_read(tmp_path, files):
    assert verdicts(tmp_path, files)["speakers"] == "leak"


@pytest.mark.parametrize(
    "twice", [{"test.json": '{"x1": {"spk": "A"}, "x1": {"spk": "B"}}'}, {"test/utt2spk": "x1 A\nx1 B\n"}]
)
def test_a_name_that_is_there_twice_is_refused(tmp_path, twice):
    with pytest.raises(ValueError, match="x1"):
        verdicts(tmp_path, {"train.csv": TRAIN, **twice})


def test_labels_and_remarks_are_no_records(tmp_path):
    files = {"train.csv": TRAIN, "test.csv": lines("c3x.wav,Carl"), "labels/train.json": {"neu": 0, "hap": 1}}
    files |= {"train_labels.json": ["neu", "hap"], "test_labels.json": ["neu", "hap"], "test/README.txt": "Read me.\n"}
    found = verdicts(tmp_path, files)
    assert found["utterances"] == "proved" and found["speakers"] == "proved"


def test_files_of_one_name_are_not_taken_for_each_other_when_their_sound_is_compared(tmp_path):
    for number, name in enumerate(("Anna/1.wav", "Ben/1.wav", "1/x.wav")):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, 0.1 * np.random.default_rng(number).standard_normal(16000), 16000)
    files = {"train.csv": lines("Anna/1.wav,Anna"), "test.csv": lines("Ben/1.wav,Ben")}
    assert verdicts(tmp_path, files, audio=tmp_path / "audio")["identical"] == "proved"
    files = {"train.csv": lines("1.wav,Anna"), "test.csv": lines("1.wav,Ben", "x.wav,Ben")}
    assert verdicts(tmp_path, files, audio=tmp_path / "audio")["files"] == "not_proved"


def test_links_are_called_by_their_own_name(tmp_path):
    for name, text in (("blob1.csv", TRAIN), ("blob2.csv", lines("c3x.wav,Ben"))):
        (tmp_path / name).write_text(text)
    for name, blob in (("train.csv", "blob1.csv"), ("test.csv", "blob2.csv")):
        (tmp_path / name).symlink_to(tmp_path / blob)
    found = audit_split_files([tmp_path / "train.csv", tmp_path / "test.csv"])[1]
    assert ("leak", "speakers") in {(line.verdict, line.check) for line in found}


def test_the_files_of_the_cases(shared_folder):
    folder = shared_folder / "cases/audit"

    def verdict(*names, **options):
        found = audit_split_files([folder / name for name in names], **options)[1]
        return {(line.verdict, line.check) for line in found}, {line.check: line.sentence for line in found}

    found, sentence = verdict("unknown_speaker.csv", speaker="SpkrID", partition="Split_Set")
    assert ("not_proved", "speakers") in found and "10 of 20" in sentence["speakers"]
    found, sentence = verdict("records_train.json", "records_test.json")
    assert {("proved", "speakers"), ("proved", "utterances")} <= found and "10 speakers" in sentence["speakers"]
    found, sentence = verdict("dialogue_train.csv", "dialogue_test.csv")
    assert {("leak", "speakers"), ("not_proved", "utterances")} <= found and ("leak", "utterances") not in found
