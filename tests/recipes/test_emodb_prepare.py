"""EmoDB's preparer on the real corpus and on generated speech under its names."""

import itertools
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from programs import RECIPES

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.synthetic import generate_corpus

RECIPE = RECIPES / "EmoDB"
LABELS = ["anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral"]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Ten speakers, seven emotions, one utterance of each."""
    folder = tmp_path_factory.mktemp("spoken") / "EmoDB"
    return generate_corpus(folder, 10, LABELS, 1, layout="emodb", progress=False)


@pytest.fixture
def copy(spoken, tmp_path):
    return Path(shutil.copytree(spoken, tmp_path / "copy"))


@pytest.fixture
def links(shared_folder, tmp_path):
    """Links to the real corpus, to remove from and add to."""
    folder = tmp_path / "links" / "wav"
    folder.mkdir(parents=True)
    for path in sorted((shared_folder / "data/EmoDB/wav").glob("*.flac")):
        (folder / path.name).symlink_to(path.resolve())
    return folder


def test_the_real_corpus_has_the_published_counts(preparer, shared_folder, tmp_path):
    manifest = preparer.prepare_emodb(shared_folder / "data/EmoDB", tmp_path, LABELS)
    assert (len(manifest), len(manifest.speakers)) == (535, 10)
    # Burkhardt et al. 2005 and the web pages of the corpus.
    assert np.bincount(manifest.labels).tolist() == [127, 81, 46, 69, 71, 62, 79]
    assert Counter(row.sex for row in manifest) == {"female": 302, "male": 233}
    row = manifest.by_id["03a01Fa"]
    assert (row.speaker, row.emotion, row.sex, row.text, row.start) == ("03", "happiness", "male", "a01", 0)
    assert row.transcript == "Der Lappen liegt auf dem Eisschrank."
    assert len({row.transcript for row in manifest}) == 10 and all(row.transcript for row in manifest)
    assert sum(row.duration for row in manifest) == pytest.approx(1487.1, abs=0.05)
    assert Manifest.read(tmp_path / "manifest.csv") == manifest
    assert all(Path(row.wav).is_absolute() for row in manifest)


def test_a_wav_copy_passes_as_the_official_corpus_and_has_the_same_hash(prepare, shared_folder, links):
    source = shared_folder / "data/EmoDB/wav"
    for path in sorted(links.iterdir())[:5]:
        pcm, rate = soundfile.read(source / path.name, dtype="int16")
        path.unlink()
        soundfile.write(path.with_suffix(".wav"), pcm, rate, subtype="PCM_16")
    assert prepare(links, expect_official=True).hash == prepare(source, expect_official=True).hash


def test_differences_from_the_official_corpus_are_listed(prepare, links, spoken, tmp_path, caplog):
    (links / "03a01Wa.flac").unlink()
    (links / "08a01Fd.flac").rename(links / "08a01Ed.flac")
    with pytest.raises(ValueError, match="differs from the official EmoDB") as info:
        prepare(links, expect_official=True)
    parts = ("files 534", "anger 126", "disgust 47", "speaker 03 48", "speaker 08 disgust 1", "03a01Wa, 08a01Fd")
    assert all(part in str(info.value) for part in (*parts, "extra: 08a01Ed", "expect_official: False"))
    assert "neutral" not in str(info.value) and not (tmp_path / "save").exists()
    assert len(prepare(spoken)) == 70 and "files 70 instead of 535" in caplog.text


def test_other_sound_under_an_official_name_is_found(prepare, links):
    first, second = sorted(links.iterdir())[:2]
    target = second.resolve()
    first.unlink()
    first.symlink_to(target)
    with pytest.raises(ValueError, match=f"other sound than the official file: {first.stem}"):
        prepare(links, expect_official=True)


def test_version_2_is_recognised(preparer, prepare, spoken, tmp_path, caplog):
    source, folder = next((spoken / "wav").glob("*.wav")), tmp_path / "emodb2"
    folder.mkdir()
    codes = itertools.product(preparer.SEX, ("a01", "b10"), preparer.EMOTIONS, "abcdef")
    for code in itertools.islice(codes, 816):
        os.link(source, folder / f"{''.join(code)}.wav")
    with pytest.raises(ValueError, match=r"EmoDB 2\.0"):
        prepare(folder, expect_official=True)
    assert len(prepare(folder)) == 816 and "EmoDB 2.0" in caplog.text


def test_a_manifest_is_reused_until_arguments_or_files_change(prepare, copy, tmp_path, caplog):
    caplog.set_level("INFO")
    first = prepare(copy)
    assert prepare(copy) == first and "reused" in caplog.text
    turned = prepare(copy, LABELS[::-1])
    assert "label_order changed" in caplog.text and turned.labels.tolist() == [6 - x for x in first.labels]
    assert turned.hash != first.hash
    prepare(copy)
    sorted((copy / "wav").glob("*.wav"))[0].unlink()
    assert len(prepare(copy)) == 69 and "files changed" in caplog.text
    (tmp_path / "save" / "manifest.csv").write_text("half")
    assert len(prepare(copy)) == 69 and "damaged" in caplog.text


def test_the_files_themselves_and_the_folder_above_are_accepted(prepare, spoken, tmp_path, caplog):
    caplog.set_level("INFO")
    assert len(prepare(spoken / "wav")) == 70
    (tmp_path / "corpora/other").mkdir(parents=True)
    (tmp_path / "corpora/other/a.wav").write_bytes(b"")
    (tmp_path / "corpora/EmoDB").symlink_to(spoken)
    assert len(prepare(tmp_path / "corpora")) == 70 and "1 sound files elsewhere" in caplog.text


def test_without_a_folder_the_archive_is_downloaded_and_checked(prepare, spoken, tmp_path):
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
        for path in (spoken / "wav").iterdir():
            archive.write(path, f"wav/{path.name}")
    url = (tmp_path / "download.zip").as_uri()
    with pytest.raises(ValueError, match="differs from the official EmoDB"):
        prepare(None, url=url, expect_official=True)
    manifest = prepare(None, url=url)
    assert len(manifest) == 70
    assert Path(manifest.utterances[0].wav).is_relative_to(tmp_path / "save" / "download" / "wav")


def test_without_folder_and_network_the_message_says_what_to_do(prepare):
    with pytest.raises(ConnectionError, match="data_folder"):
        prepare(None, url="http://127.0.0.1:1/download.zip")
    with pytest.raises(ValueError, match="data_folder.*download is False"):
        prepare("", download=False)
