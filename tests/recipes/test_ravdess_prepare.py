"""RAVDESS's preparer on the real corpus and on tones under its names."""

import itertools
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from programs import RECIPES

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.config import load_config

RECIPE = RECIPES / "RAVDESS"
LABELS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
ACTORS = [f"{number:02d}" for number in range(1, 25)]
FIRST, SECOND = "03-01-03-01-02-01-07", "03-01-03-01-02-02-07"  # identical in the original distribution


def write(folder: Path, stem: str, level: float = 0.5, channels: int = 1) -> None:
    """1 s of silence, 0.5 s of a tone that depends on the name, 1 s of silence."""
    silence, time = np.zeros(SAMPLE_RATE_HZ), np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    tone = level * np.sin(2 * np.pi * (200 + int(stem.replace("-", "")) % 997) * time)
    samples = np.concatenate([silence, tone, silence])
    path = folder / f"Actor_{stem[-2:]}" / f"{stem}.wav"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.stack([samples] * channels, axis=1), SAMPLE_RATE_HZ)


@pytest.fixture
def few(tmp_path):
    """Two actors, eight emotions, one take of each."""
    folder = tmp_path / "few"
    folder.mkdir()
    for emotion, actor in itertools.product(range(1, 9), ("01", "02")):
        write(folder, f"03-01-{emotion:02d}-01-01-01-{actor}")
    return folder


def test_the_official_names_have_the_published_counts(preparer):
    names = preparer.official_names()
    assert len(names) == len(set(names)) == 1440
    assert Counter(name[6:8] for name in names) == {"01": 96} | {f"{code:02d}": 192 for code in range(2, 9)}
    assert Counter(name[-2:] for name in names) == dict.fromkeys(ACTORS, 60)


def test_the_real_corpus_is_complete_and_its_oddities_are_logged(preparer, prepare, shared_folder, caplog):
    caplog.set_level("INFO")
    kept = prepare(shared_folder / "data/RAVDESS", expect_official=True, trim=False, drop_identical=True)
    assert sorted([*kept.ids, SECOND]) == sorted(preparer.official_names())
    assert f"{FIRST} and {SECOND}" in caplog.text and "13 files are very quiet" in caplog.text
    # Livingstone & Russo 2018: 5329.0 s with the repeated recording.
    assert sum(row.duration for row in kept) + kept.by_id[FIRST].duration == pytest.approx(5329.0, abs=0.05)


def test_the_real_corpus_with_the_recipes_settings_has_the_hash_of_the_published_results(
    prepare, shared_folder, tmp_path
):
    manifest = prepare(shared_folder / "data/RAVDESS", expect_official=True)
    assert manifest.hash == "84bc95a9dc71" and Manifest.read(tmp_path / "save/manifest.csv") == manifest
    assert manifest.speakers == tuple(ACTORS)
    assert np.bincount(manifest.labels).tolist() == [96] + 7 * [192]
    assert Counter(row.sex for row in manifest) == {"male": 720, "female": 720}
    row = manifest.by_id["03-01-06-01-02-01-12"]
    assert (row.speaker, row.emotion, row.sex, row.text) == ("12", "fearful", "female", "02")
    # Without silence 2926 s remain of 5329 s.
    assert sum(row.duration for row in manifest) == pytest.approx(2926.1, abs=0.1)


def test_what_is_missing_or_extra_is_listed(prepare, shared_folder, tmp_path):
    links = tmp_path / "links"
    shutil.copytree(shared_folder / "data/RAVDESS", links, copy_function=lambda source, to: Path(to).symlink_to(source))
    shutil.rmtree(links / "Actor_05")
    moved = links / "Actor_07" / "03-01-08-01-02-01-07.flac"
    moved.rename(moved.with_stem("03-01-08-03-02-01-07"))  # there is no third intensity
    with pytest.raises(ValueError, match="1440 files") as info:
        prepare(links, expect_official=True)
    for part in ("files 1380", "angry 184", "actor 05 0", "extra: 03-01-08-03-02-01-07", "expect_official: False"):
        assert part in str(info.value)
    assert "actor 07" not in str(info.value) and not (tmp_path / "save").exists()


def test_silence_is_trimmed_on_request(prepare, few):
    untrimmed = prepare(few, trim=False)
    assert {(row.duration, row.start) for row in untrimmed} == {(2.5, 0)}
    # 0.1 s and half the window of 0.05 s remain on either side of the tone.
    for row in prepare(few, trim=True):
        assert row.duration == pytest.approx(0.75, abs=0.002)
        assert row.start == pytest.approx(0.875 * SAMPLE_RATE_HZ, abs=16)


def test_odd_files_are_logged(prepare, few, caplog):
    caplog.set_level("INFO")
    write(few, "03-01-02-01-01-02-01", channels=2)  # stereo in the official files too
    write(few, "03-01-05-01-01-02-02", channels=2)
    write(few, "03-01-04-01-01-02-02", level=0.002)
    copied = few / "Actor_01" / "03-01-06-02-01-01-01.wav"
    shutil.copy(few / "Actor_01" / "03-01-06-01-01-01-01.wav", copied)
    for stem in ("03-02-06-01-01-01-01", "01-01-06-01-01-01-01"):  # song and video
        write(few, stem)
    manifest = prepare(few, drop_identical=True)
    assert len(manifest) == 19 and copied.stem not in manifest.by_id
    for part in ("2 files are stereo", "03-01-05-01-01-02-02", "1 files are very quiet", "unlike the official files"):
        assert part in caplog.text
    assert "01-01-06-01-01-01-01, 03-02-06-01-01-01-01" in caplog.text


@pytest.mark.parametrize("place", ["", "corpora/RAVDESS/", "Audio_Speech_Actors_01-24/"])
def test_other_folder_layouts_give_the_same_manifest(prepare, few, tmp_path, place, caplog):
    for path in sorted(few.rglob("*.wav")):
        target = tmp_path / "other" / place / (path.name if not place else path.relative_to(few))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert prepare(tmp_path / "other").hash == prepare(few).hash
    repeated = few / "audio_speech_actors_01-24"  # as in a widespread copy of the corpus
    shutil.copytree(few, repeated)
    assert len(prepare(few)) == 16 and f"16 sound files in {repeated} are left out" in caplog.text


def test_both_sets_of_folds_test_every_actor_once(monkeypatch):
    monkeypatch.chdir(RECIPE)
    for layout, sizes in (("", [5, 5, 5, 5, 4]), ("emobox_", [4] * 6)):
        yamls = [f"hparams/{layout}{system}.yaml" for system in ("akd", "student", "teacher")]
        groups, *others = [load_config([yaml, "--data_folder=x"])["outer_folds"] for yaml in yamls]
        assert [len(group) for group in groups] == sizes and sorted(itertools.chain(*groups)) == ACTORS
        assert others == [groups, groups]


def test_videos_of_the_same_performance_are_found_and_those_with_sound_come_first(prepare, few, tmp_path, caplog):
    caplog.set_level("INFO")
    videos = tmp_path / "videos" / "Actor_01"
    videos.mkdir(parents=True)
    for name in ("01-01-03-01-01-01-01.mp4", "02-01-03-01-01-01-01.mp4", "02-01-04-01-01-01-01.mp4", "notes.txt"):
        (videos / name).touch()
    before = prepare(few)
    manifest = prepare(few, video_folder=tmp_path / "videos")
    assert manifest.by_id["03-01-03-01-01-01-01"].video == str(videos / "01-01-03-01-01-01-01.mp4")
    assert manifest.by_id["03-01-04-01-01-01-01"].video == str(videos / "02-01-04-01-01-01-01.mp4")
    assert "2 of 16 utterances have a video" in caplog.text and manifest.hash == before.hash
    with pytest.raises(FileNotFoundError, match="video_folder"):
        prepare(few, video_folder="nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="video_folder"):
        prepare(few, video_folder=tmp_path / "empty")
