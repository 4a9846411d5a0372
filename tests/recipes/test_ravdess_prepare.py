import importlib.util
import itertools
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.config import load_config
from akd_toolkit.registry import CORPORA

RECIPE = Path(__file__).resolve().parents[2] / "recipes/RAVDESS"
LABELS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
ACTORS = [f"{number:02d}" for number in range(1, 25)]
FIRST, SECOND = "03-01-03-01-02-01-07", "03-01-03-01-02-02-07"  # the same in the original distribution


@pytest.fixture(scope="module")
def ravdess():
    """The recipe's prepare.py; the registry is left as it was found."""
    owner = CORPORA._plugins.pop("ravdess", None)
    spec = importlib.util.spec_from_file_location("recipe_ravdess_prepare", RECIPE / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert CORPORA.get("ravdess") is module.prepare_ravdess
    yield module
    CORPORA._plugins.pop("ravdess")
    if owner is not None:
        CORPORA._plugins["ravdess"] = owner


@pytest.fixture
def links(shared_folder, tmp_path):
    """Links to the real corpus, to take from and add to."""
    folder = tmp_path / "links"
    shutil.copytree(
        shared_folder / "data/RAVDESS", folder, copy_function=lambda source, to: Path(to).symlink_to(source)
    )
    return folder


def write(folder: Path, stem: str, level: float = 0.5, channels: int = 1) -> None:
    """1 s of silence, 0.5 s of a tone of its own, 1 s of silence."""
    silence, time = np.zeros(SAMPLE_RATE_HZ), np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    tone = level * np.sin(2 * np.pi * (200 + int(stem.replace("-", "")) % 997) * time)
    samples = np.concatenate([silence, tone, silence])
    path = folder / f"Actor_{stem[-2:]}" / f"{stem}.wav"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.stack([samples] * channels, axis=1), SAMPLE_RATE_HZ)


@pytest.fixture
def few(tmp_path):
    """Two actors, eight emotions, one take of each: tones between silence."""
    folder = tmp_path / "few"
    folder.mkdir()
    for emotion, actor in itertools.product(range(1, 9), ("01", "02")):
        write(folder, f"03-01-{emotion:02d}-01-01-01-{actor}")
    return folder


def test_the_official_names_have_the_published_counts(ravdess):
    names = ravdess.official_names()
    assert len(names) == len(set(names)) == 1440
    assert Counter(name[6:8] for name in names) == {"01": 96} | {f"{code:02d}": 192 for code in range(2, 9)}
    assert Counter(name[-2:] for name in names) == dict.fromkeys(ACTORS, 60)
    assert {name[9:11] for name in names if name[6:8] == "01"} == {"01"}


def test_the_real_corpus_is_whole_and_its_oddities_are_told(ravdess, shared_folder, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = shared_folder / "data/RAVDESS"
    kept = ravdess.prepare_ravdess(folder, tmp_path, LABELS, trim=False, drop_identical=True)
    assert sorted([*kept.ids, SECOND]) == sorted(ravdess.official_names())
    assert f"{FIRST} and {SECOND} hold the same sound, as in the official files." in caplog.text
    assert "13 files are very quiet: 03-01-02-02-01-01-09, " in caplog.text and "stereo" not in caplog.text
    # Livingstone & Russo 2018: 5329.0 s with the recording that is there twice.
    assert sum(row.duration for row in kept) + kept.by_id[FIRST].duration == pytest.approx(5329.0, abs=0.05)
    assert all(row.start == 0 for row in kept)


def test_the_real_corpus_with_the_recipes_settings_has_the_hash_of_the_published_results(
    ravdess, shared_folder, tmp_path
):
    manifest = ravdess.prepare_ravdess(shared_folder / "data/RAVDESS", tmp_path, LABELS)
    assert manifest.hash == "84bc95a9dc71" and Manifest.read(tmp_path / "manifest.csv") == manifest
    assert manifest.speakers == tuple(ACTORS)
    assert np.bincount(manifest.labels).tolist() == [96] + 7 * [192]
    assert Counter(row.sex for row in manifest) == {"male": 720, "female": 720}
    row = manifest.by_id["03-01-06-01-02-01-12"]
    assert (row.speaker, row.emotion, row.sex, row.text) == ("12", "fearful", "female", "02")
    # Silence is 45 % of the files: 2926 s remain of 5329 s.
    assert sum(row.duration for row in manifest) == pytest.approx(2926.1, abs=0.1)
    assert all(row.duration == (row.stop - row.start) / SAMPLE_RATE_HZ for row in manifest)


def test_what_is_missing_or_extra_is_listed(ravdess, links, tmp_path):
    shutil.rmtree(links / "Actor_05")
    moved = links / "Actor_07" / "03-01-08-01-02-01-07.flac"
    moved.rename(moved.with_stem("03-01-08-03-02-01-07"))  # there is no third intensity
    with pytest.raises(ValueError, match=r"differs from the official RAVDESS speech \(1440 files\)") as info:
        ravdess.prepare_ravdess(links, tmp_path / "save", LABELS)
    for part in (
        *("files 1380 instead of 1440", "angry 184 instead of 192", "and 3 more"),
        *("actor 05 0 instead of 60", "and 56 more", "extra: 03-01-08-03-02-01-07. Give the official folder"),
        "set expect_official: False to use it as it is.",
    ):
        assert part in str(info.value)
    assert "actor 07" not in str(info.value) and not (tmp_path / "save").exists()


def test_silence_is_left_out_on_request(ravdess, few, tmp_path):
    def durations(trim):
        manifest = ravdess.prepare_ravdess(few, tmp_path / "save", LABELS, expect_official=False, trim=trim)
        return {row.duration for row in manifest}, {row.start for row in manifest}

    assert durations(False) == ({2.5}, {0})
    # 0.1 s and half the window of 0.05 s are left on either side of the tone.
    (kept, starts) = durations(True)
    assert all(duration == pytest.approx(0.75, abs=0.002) for duration in kept)
    assert all(start == pytest.approx(0.875 * SAMPLE_RATE_HZ, abs=16) for start in starts)


def test_what_is_odd_in_files_is_told(ravdess, few, tmp_path, caplog):
    caplog.set_level("INFO")
    write(few, "03-01-02-01-01-02-01", channels=2)  # stereo in the official files too
    write(few, "03-01-05-01-01-02-02", channels=2)
    write(few, "03-01-04-01-01-02-02", level=0.002)
    copied = few / "Actor_01" / "03-01-06-02-01-01-01.wav"
    shutil.copy(few / "Actor_01" / "03-01-06-01-01-01-01.wav", copied)
    manifest = ravdess.prepare_ravdess(few, tmp_path / "save", LABELS, expect_official=False, drop_identical=True)
    assert len(manifest) == 19 and copied.stem not in manifest.by_id
    assert "differs from the official RAVDESS speech (1440 files): files 20 instead of 1440; " in caplog.text
    assert "2 files are stereo; their channels are averaged." in caplog.text
    assert "RAVDESS: 03-01-05-01-01-02-02 should be mono and are stereo." in caplog.text
    assert "1 files are very quiet: 03-01-04-01-01-02-02." in caplog.text
    assert f"03-01-06-01-01-01-01 and {copied.stem} hold the same sound, unlike the official files." in caplog.text


@pytest.mark.parametrize(
    "stem, told",
    [
        ("03-01-09-01-01-01-01", r"has the emotion '09' of actor '01'; RAVDESS knows emotions 01 to 08 and actors 01"),
        ("03-01-06-01-01-01-25", r"has the emotion '06' of actor '25'; RAVDESS knows"),
        ("03-01-06-01-01-01", "is not named MM-VV-EE-II-SS-RR-AA, like 03-01-06-01-02-01-12; rename or remove it."),
    ],
)
def test_a_name_that_is_not_known_is_named(ravdess, few, tmp_path, stem, told):
    write(few, stem)
    with pytest.raises(ValueError, match=rf"1 of 17 files of RAVDESS cannot be used:\s+{stem}\.wav {told}"):
        ravdess.prepare_ravdess(few, tmp_path / "save", LABELS, expect_official=False)


def test_song_and_video_are_left_out_and_counted(ravdess, few, tmp_path, caplog):
    caplog.set_level("INFO")
    for stem in ("03-02-06-01-01-01-01", "01-01-06-01-01-01-01"):
        write(few, stem)
    assert len(ravdess.prepare_ravdess(few, tmp_path / "save", LABELS, expect_official=False)) == 16
    assert "2 files of song or with pictures are left out: 01-01-06-01-01-01-01, 03-02-06-01-01-01-01." in caplog.text


@pytest.mark.parametrize("place", ["", "corpora/RAVDESS/", "Audio_Speech_Actors_01-24/"])
def test_however_the_files_lie_the_manifest_is_the_same(ravdess, few, tmp_path, place, caplog):
    def prepared(folder):
        return ravdess.prepare_ravdess(folder, tmp_path / "save", LABELS, expect_official=False)

    for path in sorted(few.rglob("*.wav")):
        target = tmp_path / "other" / place / (path.name if not place else path.relative_to(few))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert prepared(tmp_path / "other").hash == prepared(few).hash
    copy = few / "audio_speech_actors_01-24"  # as in a well-known copy of the corpus
    shutil.copytree(few, copy)
    assert len(prepared(few)) == 16 and f"{copy} is left out" in caplog.text


def test_a_bad_file_is_named_and_nothing_is_written(ravdess, few, tmp_path):
    write(few, "03-01-06-01-02-01-01", level=0.0)
    with pytest.raises(ValueError, match="1 of 17 files of RAVDESS cannot be used:\n.*-01.wav holds only zeros"):
        ravdess.prepare_ravdess(few, tmp_path / "save", LABELS, expect_official=False)
    assert not (tmp_path / "save").exists()


@pytest.mark.parametrize("labels", [LABELS[:4], [*LABELS[:7], "joy"], [*LABELS, "sad"]])
def test_labels_must_be_the_eight(ravdess, few, tmp_path, labels):
    with pytest.raises(
        ValueError, match="RAVDESS has exactly neutral, calm, happy, sad, angry, fearful, disgust, surp"
    ):
        ravdess.prepare_ravdess(few, tmp_path, labels)


def test_a_missing_or_empty_folder_is_named(ravdess, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; it must hold RAVDESS's files, such as 03-01"):
        ravdess.prepare_ravdess(tmp_path / "nowhere", tmp_path)
    with pytest.raises(ValueError, match=r"holds no sound file .*; it must hold RAVDESS's files, such as 03-01"):
        ravdess.prepare_ravdess(tmp_path, tmp_path / "save")


def test_both_layouts_of_folds_test_every_actor_once(monkeypatch):
    monkeypatch.chdir(RECIPE)
    names = [f"{layout}{system}" for layout in ("", "emobox_") for system in ("akd", "student", "teacher")]
    folds = {name: load_config([f"hparams/{name}.yaml", "--data_folder=x"])["outer_folds"] for name in names}
    for layout, sizes in (("", [5, 5, 5, 5, 4]), ("emobox_", [4] * 6)):
        groups = folds[f"{layout}akd"]
        assert [len(group) for group in groups] == sizes and sorted(itertools.chain(*groups)) == ACTORS
        assert folds[f"{layout}student"] == folds[f"{layout}teacher"] == groups


def test_the_six_folds_say_where_they_come_from():
    for system in ("akd", "student", "teacher"):
        text = (RECIPE / f"hparams/emobox_{system}.yaml").read_text()
        assert "github.com/emo-box/EmoBox" in text and f"based_on: {system}.yaml " in text
