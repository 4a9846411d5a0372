import hashlib
import importlib.util
import itertools
import json
import shutil
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ruamel.yaml
from programs import run_python

from akd_toolkit.data.folds import outer_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.registry import CORPORA

RECIPE = Path(__file__).resolve().parents[2] / "recipes/CREMA-D"
LABELS = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
CODES = ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
TEXTS = ["DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"]
SILENT = "1076_MTI_SAD_XX"
WITHOUT = ("1002_TIE_NEU", "1008_WSI", "1009_MTI", "1019_ITH", "1076_ITS_NEU")  # clips that were never published


def design() -> list[str]:
    """The 7442 stems: twelve sentences in six emotions, one of them in three levels, but for what was not published."""
    clips = [f"{text}_{code}_XX" for text in TEXTS for code in CODES] + ["IEO_NEU_XX"]
    clips += [f"IEO_{code}_{level}" for code in CODES if code != "NEU" for level in ("LO", "MD", "HI")]
    stems = [f"{actor}_{clip}" for actor in range(1001, 1092) for clip in clips]
    return sorted(stem for stem in stems if not stem.startswith(WITHOUT))


@pytest.fixture(scope="module")
def crema_d():
    """The recipe's prepare.py; the registry is left as it was found."""
    owner = CORPORA._plugins.pop("crema_d", None)
    spec = importlib.util.spec_from_file_location("recipe_crema_d_prepare", RECIPE / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert CORPORA.get("crema_d") is module.prepare_crema_d
    yield module
    CORPORA._plugins.pop("crema_d")
    if owner is not None:
        CORPORA._plugins["crema_d"] = owner


def write(path: Path, number: int) -> None:
    """0.11 s of 16 kHz that no other number has; the silent clip is silent."""
    samples = np.full(1760, number % 2000 + 1, dtype="<i2")
    samples[0] = number // 2000 + 1
    data = (0 * samples if path.stem == SILENT else samples).tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16,
                       b"data", len(data))  # fmt: skip
    path.write_bytes(head + data)


@pytest.fixture
def pretend_official(crema_d, tmp_path, monkeypatch):
    """Call it with a folder: checksums of what is there now take the place of the published ones."""

    def pretend(folder):
        files = sorted((folder / "AudioWAV").iterdir())
        digests = (hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files)
        table = "".join(f"{digest}  {path.stem}\n" for digest, path in zip(digests, files))
        (tmp_path / "checksums").write_text("# a comment\n" + table)
        monkeypatch.setattr(crema_d, "CHECKSUMS", tmp_path / "checksums")

    return pretend


@pytest.fixture
def few(tmp_path):
    """Two actors, six emotions, two sentences, no demographics."""
    folder = tmp_path / "few" / "AudioWAV"
    folder.mkdir(parents=True)
    for number, parts in enumerate(itertools.product(("1001", "1002"), ("DFA", "IOM"), CODES)):
        write(folder / f"{'_'.join(parts)}_XX.wav", number)
    return folder.parent


def test_the_committed_checksums_are_those_of_the_published_design(crema_d):
    checksums = crema_d.official_checksums()
    assert list(checksums) == design() and len(checksums) == 7442
    assert all(len(checksum) == 16 and int(checksum, 16) >= 0 for checksum in checksums.values())
    counts = Counter(crema_d.EMOTIONS[stem[9:12]] for stem in checksums)
    assert counts == {"neutral": 1087} | dict.fromkeys(["anger", "disgust", "fear", "happy", "sad"], 1271)
    assert Counter(stem[-2:] for stem in checksums) == {"XX": 6077, "LO": 455, "MD": 455, "HI": 455}
    repeated = [stems for stems in groups_of(checksums) if len(stems) > 1]
    assert sorted(repeated) == sorted(crema_d.IDENTICAL)


def groups_of(checksums):
    ordered = sorted(checksums, key=lambda stem: (checksums[stem], stem))
    return [tuple(stems) for _, stems in itertools.groupby(ordered, key=checksums.get)]


def test_the_committed_checksums_are_the_published_ones(crema_d, shared_folder):
    lines = (shared_folder / "data/CREMA-D/AudioWAV.official.sha256").read_text().splitlines()
    published = {Path(line.split()[1]).stem: line.split()[0] for line in lines}
    assert {stem: digest[:16] for stem, digest in published.items()} == crema_d.official_checksums()


def groups(name: str) -> list[list[str]]:
    """The outer folds that a YAML names."""
    tree = ruamel.yaml.YAML().load((RECIPE / f"hparams/{name}.yaml").read_text())
    return [[str(actor) for actor in group] for group in tree["outer_folds"]]


def test_the_whole_corpus_has_the_published_counts(crema_d, pretend_official, tmp_path, caplog):
    caplog.set_level("INFO")
    audio = tmp_path / "CREMA-D" / "AudioWAV"
    audio.mkdir(parents=True)
    for number, stem in enumerate(design()):
        write(audio / f"{stem}.wav", number)
    people = [f'{1001 + n},30,"{"Male" if n < 48 else "Female"}","",""' for n in range(91)]
    (audio.parent / "VideoDemographics.csv").write_text(
        "\n".join(['"ActorID","Age","Sex","Race","Ethnicity"', *people])
    )
    pretend_official(audio.parent)
    manifest = crema_d.prepare_crema_d(audio.parent, tmp_path / "save", LABELS)
    assert (len(manifest), len(manifest.speakers)) == (7441, 91) and SILENT not in manifest.by_id
    assert np.bincount(manifest.labels).tolist() == [1271, 1271, 1271, 1271, 1087, 1270]
    odd = {"1002": 81, "1008": 76, "1009": 76, "1019": 76, "1076": 80}
    per_actor = {str(actor): odd.get(str(actor), 82) for actor in range(1001, 1092)}
    assert Counter(row.speaker for row in manifest) == per_actor
    assert Counter({row.speaker: row.sex for row in manifest}.values()) == {"male": 48, "female": 43}
    row = manifest.by_id["1001_IEO_HAP_MD"]
    assert (row.speaker, row.emotion, row.sex, row.text, row.duration) == ("1001", "happy", "male", "IEO", 0.11)
    assert f"{SILENT} holds no sound and is left out." in caplog.text and "WARNING" not in caplog.text
    assert Manifest.read(tmp_path / "save/manifest.csv") == manifest
    folds = outer_folds(manifest, groups("akd"))
    assert [len(manifest.of(fold.test_speakers)) for fold in folds] == [1556, 1475, 1470, 1470, 1470]
    assert "is tested without" not in caplog.text


def test_the_three_recipes_share_folds_that_hold_every_actor_once():
    assert sorted(itertools.chain(*groups("akd"))) == [str(actor) for actor in range(1001, 1092)]
    assert groups("akd") == groups("student") == groups("teacher")


def test_folds_are_dealt_out_by_sex_and_age(shared_folder):
    people = pd.read_csv(shared_folder / "data/CREMA-D/VideoDemographics.csv", dtype={"ActorID": str})
    order = people.sort_values(["Sex", "Age", "ActorID"])["ActorID"].tolist()
    assert groups("akd") == [sorted(order[start::5]) for start in range(5)]
    women = set(people.loc[people["Sex"] == "Female", "ActorID"])
    assert [len(women & set(group)) for group in groups("akd")] == [9, 9, 9, 8, 8]


def test_what_is_missing_altered_or_extra_is_listed(crema_d, few, pretend_official, tmp_path):
    audio = few / "AudioWAV"
    pretend_official(few)
    assert len(crema_d.prepare_crema_d(few, tmp_path / "whole", LABELS)) == 24
    (audio / "1001_DFA_ANG_XX.wav").unlink()
    write(audio / "1002_WSI_SAD_XX.wav", 99)
    with pytest.raises(ValueError, match=r"AudioWAV differs from the official CREMA-D \(7442 files\)") as info:
        crema_d.prepare_crema_d(few, tmp_path / "save", LABELS)
    told = "anger 3 instead of 4; sad 5 instead of 4; actor 1001 11 instead of 12; actor 1002 13 instead of 12; "
    assert told + "missing: 1001_DFA_ANG_XX; extra: 1002_WSI_SAD_XX. Give the official folder" in str(info.value)
    (audio / "1002_WSI_SAD_XX.wav").rename(audio / "1001_DFA_ANG_XX.wav")
    with pytest.raises(ValueError, match="CREMA-D .*: other bytes than the official file: 1001_DFA_ANG_XX. Give the"):
        crema_d.prepare_crema_d(few, tmp_path / "save", LABELS)
    assert not (tmp_path / "save").exists()


def test_the_silent_clip_is_left_out_and_may_be_missing(crema_d, few, pretend_official, tmp_path):
    silent = few / "AudioWAV" / f"{SILENT}.wav"
    write(silent, 0)
    pretend_official(few)
    assert len(crema_d.prepare_crema_d(few, tmp_path / "with", LABELS)) == 24
    silent.unlink()
    assert len(crema_d.prepare_crema_d(few, tmp_path / "without", LABELS)) == 24


def test_a_clone_without_the_sound_is_told_apart(crema_d, few, tmp_path):
    for path in (few / "AudioWAV").iterdir():
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 76844\n")
    told = "24 of 24 files of CREMA-D are Git LFS pointers in place of sound, the first 1001_DFA_ANG_XX; run `git lfs"
    with pytest.raises(ValueError, match=told):
        crema_d.prepare_crema_d(few, tmp_path / "save", LABELS, expect_official=False)


def test_the_same_sound_under_two_labels_is_logged_and_dropped_on_request(crema_d, few, tmp_path, caplog):
    audio = few / "AudioWAV"
    for name in ("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"):
        write(audio / f"{name}.wav", 99)
    shutil.copy(audio / "1001_DFA_ANG_XX.wav", audio / "1001_DFA_SAD_XX.wav")
    assert len(crema_d.prepare_crema_d(few, tmp_path / "save", LABELS, expect_official=False)) == 26
    sound = "hold the same sound, labelled"
    assert f"1006_TIE_HAP_XX and 1006_TIE_NEU_XX {sound} happy and neutral, as in the official files." in caplog.text
    assert f"1001_DFA_ANG_XX and 1001_DFA_SAD_XX {sound} anger and sad, unlike the official files." in caplog.text
    kept = crema_d.prepare_crema_d(few, tmp_path / "save", LABELS, expect_official=False, drop_identical=True)
    assert len(kept) == 22 and not any(name.startswith("1006") for name in kept.ids)


@pytest.mark.parametrize(
    "name, told",
    [
        ("1001_XYZ_ANG_XX", "has the sentence 'XYZ'; CREMA-D knows DFA IEO IOM ITH ITS IWL IWW MTI TAI TIE TSI WSI."),
        ("1001_DFA_JOY_XX", "has the emotion 'JOY'; CREMA-D knows ANG DIS FEA HAP NEU SAD. Rename or remove it."),
        ("1001_DFA_ANG_ZZ", "has the level 'ZZ'; CREMA-D knows LO MD HI XX."),
        ("1092_DFA_ANG_XX", "has the actor '1092'; CREMA-D knows 1001 to 1091."),
        ("take-7", "is not named AAAA_TTT_EEE_LL, like 1001_DFA_ANG_XX; rename or remove it."),
        ("1040_ITH_SAD_X", "has an old slip in its name; rename it to 1040_ITH_SAD_XX.wav."),
    ],
)
def test_a_name_that_is_not_known_is_named(crema_d, few, tmp_path, name, told):
    write(few / "AudioWAV" / f"{name}.wav", 4000)
    with pytest.raises(ValueError, match="1 of 25 files of CREMA-D cannot be used") as info:
        crema_d.prepare_crema_d(few, tmp_path / "save", LABELS, expect_official=False)
    assert f"{name}.wav {told}" in str(info.value)


def test_without_demographics_the_sex_is_empty_and_their_coming_makes_a_new_manifest(crema_d, few, tmp_path, caplog):
    def prepare(folder):
        caplog.clear()
        return crema_d.prepare_crema_d(folder, tmp_path / "save", LABELS, expect_official=False)

    caplog.set_level("INFO")
    assert {row.sex for row in prepare(few)} == {""}
    assert "VideoDemographics.csv is not beside" in caplog.text
    (few / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n1001,51,Male\n1002,21,\n")
    assert {row.speaker: row.sex for row in prepare(few / "AudioWAV")} == {"1001": "male", "1002": ""}
    assert "files changed" in caplog.text and "does not say the sex of 1002, 1003, " in caplog.text
    (few / "VideoDemographics.csv").write_text("Actor;Sex\n1001;Male\n")
    with pytest.raises(ValueError, match=r"has the columns \['Actor;Sex'\]; ActorID and Sex are needed. Copy it again"):
        prepare(few)


def test_audiowav_is_read_of_a_clone_that_holds_the_sound_twice(crema_d, few, tmp_path):
    shutil.copytree(few / "AudioWAV", few / "AudioMP3")
    assert len(crema_d.prepare_crema_d(few, tmp_path / "save", LABELS, expect_official=False)) == 24
    with pytest.raises(ValueError, match=r"1001_DFA_ANG_XX twice, as AudioMP3/.* \(24 such names\)"):
        crema_d.prepare_crema_d(tmp_path, tmp_path / "save", LABELS, expect_official=False)


@pytest.mark.parametrize("labels", [LABELS[:4], [*LABELS[:5], "joy"], [*LABELS, "sad"]])
def test_labels_must_be_the_six(crema_d, few, tmp_path, labels):
    with pytest.raises(ValueError, match="CREMA-D has exactly anger, disgust, fear, happy, neutral, sad. Name each"):
        crema_d.prepare_crema_d(few, tmp_path, labels)


def test_a_missing_or_empty_folder_is_named(crema_d, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; it must hold CREMA-D's folder AudioWAV"):
        crema_d.prepare_crema_d(tmp_path / "nowhere", tmp_path)
    with pytest.raises(ValueError, match=r"holds no sound file .*; it must hold CREMA-D's folder AudioWAV"):
        crema_d.prepare_crema_d(tmp_path, tmp_path / "save")


def test_the_recipe_runs_with_debug(tmp_path):
    pairs = "[['1001', '1002'], ['1003', '1004'], ['1005', '1006']]"
    options = [
        f"--outer_folds={pairs}",
        "--unlabelled=null",
        "--teachers.prosody=null",
        f"--output_folder={tmp_path}/akd",
    ]
    done = run_python("train.py", "hparams/akd.yaml", "--debug", *options, cwd=RECIPE)
    assert done.returncode == 0, done.stderr
    student, record = (
        json.loads((tmp_path / f"akd/seed17/fold1/outer/{name}.json").read_text()) for name in ("student", "record")
    )
    assert student["label_order"] == LABELS and record["test_speakers"] == ["1001", "1002"]
    assert "generated by the toolkit" in (tmp_path / "akd/report.md").read_text()
