"""CREMA-D's preparer on its official checksums and on tiny files under its names."""

import hashlib
import itertools
import shutil
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ruamel.yaml
from programs import RECIPES

from akd_toolkit.data.folds import outer_folds

RECIPE = RECIPES / "CREMA-D"
LABELS = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
CODES = ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
TEXTS = ["DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"]
SILENT = "1076_MTI_SAD_XX"
WITHOUT = ("1002_TIE_NEU", "1008_WSI", "1009_MTI", "1019_ITH", "1076_ITS_NEU")  # clips that were never published


def design() -> list[str]:
    """The 7442 names: twelve sentences in six emotions, one of them in three levels, except those never published."""
    clips = [f"{text}_{code}_XX" for text in TEXTS for code in CODES] + ["IEO_NEU_XX"]
    clips += [f"IEO_{code}_{level}" for code in CODES if code != "NEU" for level in ("LO", "MD", "HI")]
    stems = [f"{actor}_{clip}" for actor in range(1001, 1092) for clip in clips]
    return sorted(stem for stem in stems if not stem.startswith(WITHOUT))


def write(path: Path, number: int) -> None:
    """0.11 s at 16 kHz, different for every number; the silent clip is silent."""
    samples = np.full(1760, number % 2000 + 1, dtype="<i2")
    samples[0] = number // 2000 + 1
    data = (0 * samples if path.stem == SILENT else samples).tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16,
                       b"data", len(data))  # fmt: skip
    path.write_bytes(head + data)


@pytest.fixture
def pretend_official(preparer, tmp_path, monkeypatch):
    """(folder): its checksums replace the published ones."""

    def pretend(folder):
        files = sorted((folder / "AudioWAV").iterdir())
        digests = (hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files)
        table = "".join(f"{digest}  {path.stem}\n" for digest, path in zip(digests, files))
        (tmp_path / "checksums").write_text("# a comment\n" + table)
        monkeypatch.setattr(preparer, "CHECKSUMS", tmp_path / "checksums")

    return pretend


@pytest.fixture
def few(tmp_path):
    """Two actors, six emotions, two sentences, no demographics."""
    folder = tmp_path / "few" / "AudioWAV"
    folder.mkdir(parents=True)
    for number, parts in enumerate(itertools.product(("1001", "1002"), ("DFA", "IOM"), CODES)):
        write(folder / f"{'_'.join(parts)}_XX.wav", number)
    return folder.parent


def test_the_committed_checksums_are_the_published_ones(preparer, shared_folder):
    checksums = preparer.official_checksums()
    assert list(checksums) == design() and len(checksums) == 7442
    counts = Counter(preparer.EMOTIONS[stem[9:12]] for stem in checksums)
    assert counts == {"neutral": 1087} | dict.fromkeys(["anger", "disgust", "fear", "happy", "sad"], 1271)
    assert Counter(stem[-2:] for stem in checksums) == {"XX": 6077, "LO": 455, "MD": 455, "HI": 455}
    by_checksum: dict[str, list[str]] = {}
    for stem, checksum in sorted(checksums.items()):
        by_checksum.setdefault(checksum, []).append(stem)
    assert sorted(tuple(stems) for stems in by_checksum.values() if len(stems) > 1) == sorted(preparer.IDENTICAL)
    lines = (shared_folder / "data/CREMA-D/AudioWAV.official.sha256").read_text().splitlines()
    published = {Path(line.split()[1]).stem: line.split()[0] for line in lines}
    assert {stem: digest[:16] for stem, digest in published.items()} == checksums


def groups(name: str) -> list[list[str]]:
    """The outer folds of a YAML."""
    tree = ruamel.yaml.YAML().load((RECIPE / f"hparams/{name}.yaml").read_text())
    return [[str(actor) for actor in group] for group in tree["outer_folds"]]


def test_the_whole_corpus_has_the_published_counts(prepare, pretend_official, tmp_path, caplog):
    caplog.set_level("INFO")
    audio = tmp_path / "CREMA-D" / "AudioWAV"
    audio.mkdir(parents=True)
    for number, stem in enumerate(design()):
        write(audio / f"{stem}.wav", number)
    people = [f"{1001 + n},30,{'Male' if n < 48 else 'Female'},," for n in range(91)]
    table = audio.parent / "VideoDemographics.csv"
    table.write_text("\n".join(["ActorID,Age,Sex,Race,Ethnicity", *people]))
    pretend_official(audio.parent)
    manifest = prepare(audio.parent, expect_official=True)
    assert (len(manifest), len(manifest.speakers)) == (7441, 91) and SILENT not in manifest.by_id
    assert np.bincount(manifest.labels).tolist() == [1271, 1271, 1271, 1271, 1087, 1270]
    odd = {"1002": 81, "1008": 76, "1009": 76, "1019": 76, "1076": 80}
    assert Counter(row.speaker for row in manifest) == {str(a): odd.get(str(a), 82) for a in range(1001, 1092)}
    assert Counter({row.speaker: row.sex for row in manifest}.values()) == {"male": 48, "female": 43}
    row = manifest.by_id["1001_IEO_HAP_MD"]
    assert (row.speaker, row.emotion, row.sex, row.text, row.duration) == ("1001", "happy", "male", "IEO", 0.11)
    assert f"{SILENT} holds no sound" in caplog.text and "WARNING" not in caplog.text
    folds = outer_folds(manifest, groups("akd"))
    assert [len(manifest.of(fold.test_speakers)) for fold in folds] == [1556, 1475, 1470, 1470, 1470]


def test_the_folds_balance_sex_and_age(shared_folder):
    assert groups("akd") == groups("student") == groups("teacher")
    people = pd.read_csv(shared_folder / "data/CREMA-D/VideoDemographics.csv", dtype={"ActorID": str})
    order = people.sort_values(["Sex", "Age", "ActorID"])["ActorID"].tolist()
    assert groups("akd") == [sorted(order[start::5]) for start in range(5)]
    women = set(people.loc[people["Sex"] == "Female", "ActorID"])
    assert [len(women & set(group)) for group in groups("akd")] == [9, 9, 9, 8, 8]


def test_what_is_missing_altered_or_extra_is_listed(prepare, few, pretend_official, tmp_path):
    audio = few / "AudioWAV"
    pretend_official(few)
    (audio / "1001_DFA_ANG_XX.wav").unlink()
    write(audio / "1002_WSI_SAD_XX.wav", 99)
    with pytest.raises(ValueError, match="7442 files") as info:
        prepare(few, expect_official=True)
    for part in ("anger 3", "actor 1001 11", "missing: 1001_DFA_ANG_XX", "extra: 1002_WSI_SAD_XX"):
        assert part in str(info.value)
    (audio / "1002_WSI_SAD_XX.wav").rename(audio / "1001_DFA_ANG_XX.wav")
    with pytest.raises(ValueError, match="other bytes than the official file: 1001_DFA_ANG_XX"):
        prepare(few, expect_official=True)
    assert not (tmp_path / "save").exists()


def test_the_silent_clip_is_left_out_and_may_be_missing(prepare, few, pretend_official):
    silent = few / "AudioWAV" / f"{SILENT}.wav"
    write(silent, 0)
    pretend_official(few)
    assert len(prepare(few, expect_official=True)) == 24
    silent.unlink()
    assert len(prepare(few, expect_official=True)) == 24


def test_a_clone_without_the_sound_is_recognised(prepare, few):
    for path in (few / "AudioWAV").iterdir():
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 76844\n")
    with pytest.raises(ValueError, match="24 of 24 files of CREMA-D are Git LFS pointers"):
        prepare(few)


def test_the_same_sound_under_two_labels_is_logged_and_dropped_on_request(prepare, few, caplog):
    audio = few / "AudioWAV"
    for name in ("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"):
        write(audio / f"{name}.wav", 99)
    shutil.copy(audio / "1001_DFA_ANG_XX.wav", audio / "1001_DFA_SAD_XX.wav")
    assert len(prepare(few)) == 26
    assert "1006_TIE_HAP_XX and 1006_TIE_NEU_XX" in caplog.text and "unlike the official files" in caplog.text
    kept = prepare(few, drop_identical=True)
    assert len(kept) == 22 and not any(name.startswith("1006") for name in kept.ids)


def test_demographics_are_optional_and_a_change_makes_a_new_manifest(prepare, few, caplog):
    caplog.set_level("INFO")
    assert {row.sex for row in prepare(few)} == {""} and "VideoDemographics.csv" in caplog.text
    (few / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n1001,51,Male\n1002,21,\n")
    assert {row.speaker: row.sex for row in prepare(few / "AudioWAV")} == {"1001": "male", "1002": ""}
    assert "files changed" in caplog.text
    (few / "VideoDemographics.csv").write_text("Actor;Sex\n1001;Male\n")
    with pytest.raises(ValueError, match="ActorID and Sex"):
        prepare(few)


def test_audiowav_is_used_if_a_clone_holds_the_sound_twice(prepare, few, tmp_path):
    shutil.copytree(few / "AudioWAV", few / "AudioMP3")
    assert len(prepare(few)) == 24
    with pytest.raises(ValueError, match="1001_DFA_ANG_XX twice"):
        prepare(tmp_path)
