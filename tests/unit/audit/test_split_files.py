"""Split files of others: which leaks are found, and what their tables cannot prove.

A leak must not be certified, and a clean split must not be accused.
"""

import numpy as np
import pytest
import soundfile
from split_lists import TRAIN, audited, sides, table, verdict_of, whole


def counting(name, number=20, header="id,speaker"):
    """Training and test names that both count up from 0."""
    rows = [
        [f"{name.format(n=n)},{side}{n % 3}" for n in range(count)]
        for side, count in (("r", number), ("e", number // 2))
    ]
    return sides(*rows, header=header)


UNKNOWN = ("Unknown", "unknown", "UNK", "n/a", "NA", "None", "null", "?", "-", "", "nan", "speaker", "<NA>")
UNKNOWN += ("unknown_2", "N.A.", "-1", "Unknown Speaker", "all", "speaker_id")
CORPORA = "file,speaker,corpus"
SPEAKERS = {  # name: (verdict, files)
    "one name": ("leak", sides(TRAIN, ["c3x.wav,Anna"])),
    "blanks around a name": ("leak", sides(TRAIN, ["c3x.wav, Anna "])),
    "a composed and a decomposed letter": ("leak", sides(["a.wav,Jose\u0301"], ["b.wav,Jos\u00e9"])),
    "validation and test": ("leak", whole("x1,train,A", "x2,valid,B", "x3,test,B")),
    "folds beside one test": ("leak", whole("x1,1,A", "x2,2,B", "x3,test,B")),
    "validation and training": ("warning", whole("u1,train,A", "u2,dev,A", "u3,test,B")),
    **{f"unknown: {name!r}": ("not_proved", sides(TRAIN, [f"c3x.wav,{name}", "d4x.wav,Carl"])) for name in UNKNOWN},
    "numbers and padded text": ("not_proved", sides(["a1x.wav,03"], ["c3x.wav,3"])),
    "numbers that pandas wrote": ("not_proved", sides(["a1x.wav,3"], ["c3x.wav,3.0"])),
    "capitals": ("not_proved", sides(["a1x.wav,Ses01F"], ["c3x.wav,ses01f"])),
    "an invisible letter": ("not_proved", sides(TRAIN, ["c9.wav,Anna\u200b", "d9.wav,Dia"])),
    "one name in two corpora": (
        "not_proved",
        sides(["a1x.wav,01,EmoDB", "b2x.wav,02,RAVDESS"], ["c3x.wav,02,EmoDB", "d4x.wav,03,RAVDESS"], CORPORA),
    ),
    "a speaker for each utterance": ("not_proved", sides(["a1x,a1x", "b2x,b2x"], ["c3x,c3x"])),
    "no column": ("not_proved", sides(["train1"], ["test1"], "ID")),
    "other speakers": ("proved", sides(TRAIN, ["c3x.wav,Carl"])),
    "people named like partitions": ("proved", sides(TRAIN, ["c3x.wav,Dev"])),
    "a person named like an emotion": ("proved", sides(TRAIN, ["c3x.wav,Joy"])),
    "sessions beside one test": ("leak", whole("x1,session1,A", "x2,session2,B", "x3,test,B")),
    "a column of folds": (
        "proved",
        whole("u1,A,train,1", "u2,B,test,1", "u2,B,train,2", "u1,A,test,2", header="ID,speaker,split,fold"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPEAKERS)
def test_speakers(tmp_path, name):
    verdict, files = SPEAKERS[name]
    assert verdict_of(audited(tmp_path, files), "speakers") == verdict


UTTERANCES = {  # name: (verdict, files)
    **{
        name: (verdict, sides([f"{one},Anna", "b2x.wav,Ben"], [f"{other},Carl"]))
        for verdict, name, one, other in (
            ("leak", "suffixes", "03a01Fa.wav", "03a01Fa.flac"),
            ("leak", "folders above", "a/03a01Fa.wav", "03a01Fa.wav"),
            ("leak", "an absolute path", "/data/emodb/wav/03a01Fa.wav", "wav/03a01Fa.wav"),
            ("leak", "a path of Windows", r"C:\emodb\wav\03a01Fa.wav", "emodb/wav/03a01Fa.wav"),
            ("leak", "capitals", "03a01Fa.wav", "03A01FA.WAV"),
            ("leak", "dots", "./wav/03a01Fa.wav", "wav/../wav/03a01Fa.wav"),
            ("leak", "a URL with a query", "https://host/wav/03a01Fa.wav?download=1", "wav/03a01Fa.wav"),
            ("not_proved", "two folders", "train/03a01Fa.wav", "test/03a01Fa.wav"),
            ("not_proved", "a plain number with and without its folder", "anna/001.wav", "001.wav"),
            ("proved", "other names", "wav/03a01Fa.wav", "wav/03a01Fb.wav"),
            ("proved", "a plain number in two folders", "train/1.wav", "test/1.wav"),
        )
    },
    "IDs that count up": ("not_proved", counting("{n}")),
    "padded IDs that count up": ("not_proved", counting("utt_{n:04d}")),
    "IDs that count up twice": ("not_proved", counting("dia{n}_utt0")),
    "paths that count up": ("not_proved", counting("{n}.wav", header="path,speaker")),
    "numbers of rows": ("not_proved", whole(*(f"{n},{'train' if n % 3 else 'test'},S{n % 3}" for n in range(12)))),
    "numbers on both sides": (
        "leak",
        sides([f"{n},A" for n in range(0, 60, 2)], [f"{n},A" for n in range(1, 40, 3)], "id,speaker"),
    ),
    "numbers of two speakers": (
        "not_proved",
        sides([f"{n},A" for n in range(0, 60, 2)], [f"{n},B" for n in range(1, 40, 3)], "id,speaker"),
    ),
    "a repeated row": ("proved", sides(["a1x.wav,A", "a1x.wav,A"], ["b2x.wav,B"])),
    "sentences": (
        "not_proved",
        sides(["Good day A,A", "Good A night,A"], ["Good day B,B", "Good B night,B"], "Utterance,Speaker"),
    ),
}


@pytest.mark.parametrize("name", UTTERANCES)
def test_utterances(tmp_path, name):
    verdict, files = UTTERANCES[name]
    assert verdict_of(audited(tmp_path, files), "utterances") == verdict


def test_a_given_id_is_trusted(tmp_path):
    assert verdict_of(audited(tmp_path, counting("{n}"), ids=["id"]), "utterances") == "leak"


def test_each_speakers_own_numbers_are_not_an_id_but_their_paths_are(tmp_path):
    train, test = ([f"{who}/{n}.wav,{n},{who}" for who in people for n in "12"] for people in ("AB", "CD"))
    found = audited(tmp_path, sides(train, test, header="path,id,speaker"))
    assert {verdict_of(found, check) for check in ("utterances", "segments", "speakers")} == {"proved"}


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("0,5", "5,9", "warning"),
        ("0,5", "4,9", "leak"),
        ("00:00:01.5,00:00:02", "00:00:01.9,00:00:03", "leak"),
        ("00:00:01.5,00:00:02", "00:00:02,00:00:03", "warning"),
        ("0 days 00:00:00,0 days 00:00:01.200000", "0 days 00:00:01,NaT", "leak"),
        ("whenever,then", "later,on", "warning"),
        ("0,inf", "1e999,2", "warning"),
    ],
)
def test_pieces_of_one_recording_by_start_and_stop(tmp_path, one, other, verdict):
    files = sides([f"call.wav,{one},A"], [f"call.wav,{other},B"], "path,start,end,speaker")
    found = audited(tmp_path, files)
    assert (verdict_of(found, "segments"), verdict_of(found, "utterances")) == (verdict, "proved")


@pytest.mark.parametrize("copy", ["03a01Fa_noise", "03a01Fa_sp0.9", "sp1.1-03a01Fa", "03a01Fa-aug2", "03a01Fa_loud"])
def test_a_changed_copy_is_a_warning(tmp_path, copy):
    assert verdict_of(audited(tmp_path, sides(["03a01Fa.wav,A"], [f"{copy}.wav,B"])), "segments") == "warning"


@pytest.mark.parametrize("values", [("1", "0"), ("True", "False"), ("train ", "Test"), ("TRAIN", "Test1"), ("a", "b")])
def test_a_partition_column_with_any_two_values(tmp_path, values):
    rows = [f"x{n},{values[n % 2]},S{n % 3}" for n in range(9)]
    found = audited(tmp_path, whole(*rows, header="id,part,speaker"), partition="part")
    assert (verdict_of(found, "speakers"), verdict_of(found, "utterances")) == ("leak", "proved")


FILES = {  # what is said of files: (verdict, token, files)
    "no partition beside train and test": (
        *("not_proved", "'spare'"),
        whole("x1,train,A", "x2,test,B", "x3,spare,A", "x4,,B"),
    ),
    "an empty partition": (
        *("not_proved", "test.json"),
        {"train.csv": table(*TRAIN), "valid.csv": table("c3x.wav,Carl"), "test.json": []},
    ),
    "a fold of one partition": (
        *("warning", "fold 2"),
        {"fold1/train.csv": table(*TRAIN), "fold1/test.csv": table("c.wav,C"), "fold2/train.csv": table("d.wav,D")},
    ),
    "folders of two corpora": (
        *("not_proved", "a, b"),
        {f"{path}.csv": table(f"{path[0]}.wav,{path[-1]}") for path in ("a/train", "a/test", "b/train", "b/test")},
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_compared_is_said(tmp_path, name):
    verdict, token, files = FILES[name]
    found = audited(tmp_path, files)
    assert verdict_of(found, "speakers") == "proved" and token in found[verdict, "files"][0]


@pytest.mark.parametrize(
    ("corpus", "names"),
    [
        ("CREMA-D", ["1001_DFA_ANG_XX", "1001_DFA_SAD_XX"]),
        ("IEMOCAP", ["Ses01F_impro03_M012", "Ses01F_impro04_M001"]),
        ("RAVDESS", ["ravdess-03-01-05-01-01-01-12", "ravdess-03-01-06-01-01-01-12"]),  # as EmoBox writes them
    ],
)
def test_names_of_known_corpora_hold_the_speaker(tmp_path, corpus, names):
    assert verdict_of(audited(tmp_path, {"train.json": names[:1], "test.json": names[1:]}), "speakers") == "leak"


def test_the_sound_is_compared_where_it_is_given(tmp_path):
    random = np.random.default_rng(0)
    loudness = np.interp(np.arange(32000), np.linspace(0, 32000, 12), random.uniform(0.05, 0.5, 12))
    sound = (loudness * random.standard_normal(32000)).clip(-1, 1)
    other = (0.3 * random.standard_normal(32000)).clip(-1, 1)
    (tmp_path / "audio").mkdir()
    for name, samples in {"a": sound, "b": 0.4 * sound[700:], "c": sound, "d": other}.items():
        soundfile.write(tmp_path / f"audio/{name}.wav", samples, 16000)
    train = ["somewhere/a.wav,A,,", "d.wav,A,,", "x1.wav,A,,"]
    test = ["b.wav,B,,", "c.wav,C,,", "gone.wav,D,,", "d.wav,D,1,2"]
    found = audited(tmp_path / "lists", sides(train, test, "wav,speaker,start,stop"), audio=tmp_path / "audio")
    assert "somewhere/a (training) and c (test) hold the same samples" in found["leak", "identical"][0]
    assert "(training) and b (test) are copies by their sound" in found["leak", "near copies"][0]
    assert "the sound of 3 of 7 rows" in found["not_proved", "files"][0]


def test_files_with_one_name_are_distinguished_by_their_folder(tmp_path):
    for number, name in enumerate(("Anna/1.wav", "Ben/1.wav")):
        (tmp_path / "audio" / name).parent.mkdir(parents=True)
        soundfile.write(tmp_path / "audio" / name, 0.1 * np.random.default_rng(number).standard_normal(16000), 16000)
    found = audited(tmp_path / "a", sides(["Anna/1.wav,Anna"], ["Ben/1.wav,Ben"]), audio=tmp_path / "audio")
    assert verdict_of(found, "identical") == "proved"
    found = audited(tmp_path / "b", sides(["1.wav,Anna"], ["1.wav,Ben"]), audio=tmp_path / "audio")
    assert verdict_of(found, "files") == "not_proved"
