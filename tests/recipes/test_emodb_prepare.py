import hashlib
import importlib.util
import itertools
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.registry import CORPORA

RECIPE = Path(__file__).resolve().parents[2] / "recipes/EmoDB"
LABELS = ["anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral"]


@pytest.fixture(scope="module")
def emodb():
    """The recipe's prepare.py; the registry is left as it was found."""
    owner = CORPORA._plugins.pop("emodb", None)
    spec = importlib.util.spec_from_file_location("recipe_emodb_prepare", RECIPE / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert CORPORA.get("emodb") is module.prepare_emodb
    yield module
    CORPORA._plugins.pop("emodb")
    if owner is not None:
        CORPORA._plugins["emodb"] = owner


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Generated speech under EmoDB's names: ten speakers, seven emotions, one utterance of each."""
    folder = tmp_path_factory.mktemp("spoken") / "EmoDB"
    return generate_corpus(folder, 10, LABELS, 1, layout="emodb", progress=False)


@pytest.fixture
def copy(spoken, tmp_path):
    """A copy of the generated speech to damage."""
    return Path(shutil.copytree(spoken, tmp_path / "copy"))


@pytest.fixture
def links(shared_folder, tmp_path):
    """A folder of links to the real corpus, to take from and add to."""
    folder = tmp_path / "links" / "wav"
    folder.mkdir(parents=True)
    for path in sorted((shared_folder / "data/EmoDB/wav").glob("*.flac")):
        (folder / path.name).symlink_to(path.resolve())
    return folder


def test_the_real_corpus_has_the_published_counts(emodb, shared_folder, tmp_path):
    manifest = emodb.prepare_emodb(shared_folder / "data/EmoDB", tmp_path, LABELS)
    assert (len(manifest), len(manifest.speakers)) == (535, 10)
    # Burkhardt et al. 2005 and the corpus' own pages.
    assert np.bincount(manifest.labels).tolist() == [127, 81, 46, 69, 71, 62, 79]
    assert Counter(row.sex for row in manifest) == {"female": 302, "male": 233}
    row = manifest.by_id["03a01Fa"]
    assert (row.speaker, row.emotion, row.sex, row.text, row.start) == ("03", "happiness", "male", "a01", 0)
    assert sum(row.duration for row in manifest) == pytest.approx(1487.1, abs=0.05)
    assert Manifest.read(tmp_path / "manifest.csv") == manifest
    assert all(Path(row.wav).is_absolute() for row in manifest)


def test_the_committed_checksums_are_of_the_samples(emodb, shared_folder):
    checksums = emodb.official_checksums()
    assert len(checksums) == len(set(checksums.values())) == 535
    for stem in ("03a01Fa", "16b10Wb"):
        pcm, _ = soundfile.read(shared_folder / f"data/EmoDB/wav/{stem}.flac", dtype="int16")
        assert hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() == checksums[stem]


def test_the_checksum_table_has_the_published_counts_per_speaker(emodb):
    stems = list(emodb.official_checksums())
    speakers = Counter(stem[:2] for stem in stems)
    published = {"03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71}
    assert speakers == published
    assert Counter(stem[5] for stem in stems) == {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "T": 62, "N": 79}


def test_a_wav_copy_passes_as_the_official_corpus_and_has_the_same_hash(emodb, shared_folder, links, tmp_path):
    source = shared_folder / "data/EmoDB/wav"
    for path in sorted(links.iterdir())[:5]:
        pcm, rate = soundfile.read(source / path.name, dtype="int16")
        path.unlink()
        soundfile.write(path.with_suffix(".wav"), pcm, rate, subtype="PCM_16")
    mixed = emodb.prepare_emodb(links, tmp_path / "mixed", LABELS)
    assert mixed.hash == emodb.prepare_emodb(source, tmp_path / "flac", LABELS).hash


def test_what_differs_from_the_official_corpus_is_listed(emodb, links, tmp_path):
    (links / "03a01Wa.flac").unlink()
    (links / "08a01Fd.flac").rename(links / "08a01Ed.flac")
    with pytest.raises(ValueError, match="differs from the official EmoDB") as info:
        emodb.prepare_emodb(links, tmp_path, LABELS)
    message = str(info.value)
    for part in (
        "files 534 instead of 535",
        "anger 126 instead of 127",
        "disgust 47 instead of 46",
        "happiness 70 instead of 71",
        "speaker 03 48 instead of 49",
        "speaker 08 disgust 1 instead of 0",
        "missing: 03a01Wa, 08a01Fd",
        "extra: 08a01Ed",
        "set expect_official: False to use it as it is.",
    ):
        assert part in message
    assert "neutral" not in message and not (tmp_path / "manifest.csv").exists()


def test_other_sound_under_an_official_name_is_found(emodb, links, tmp_path):
    first, second = sorted(links.iterdir())[:2]
    target = second.resolve()
    first.unlink()
    first.symlink_to(target)
    with pytest.raises(ValueError, match=f"other sound than the official file: {first.stem}"):
        emodb.prepare_emodb(links, tmp_path, LABELS)


def test_differences_are_warned_of_where_they_are_expected(emodb, spoken, tmp_path, caplog):
    manifest = emodb.prepare_emodb(spoken, tmp_path, LABELS, expect_official=False)
    assert len(manifest) == 70 and len(manifest.speakers) == 10
    assert "files 70 instead of 535" in caplog.text
    assert len(load_waveforms(manifest, progress=False)) == 70


def test_version_2_is_told_apart(emodb, spoken, tmp_path, caplog):
    source = next((spoken / "wav").glob("*.wav"))
    folder = tmp_path / "emodb2"
    folder.mkdir()
    codes = itertools.product(emodb.SEX, ("a01", "b10"), emodb.EMOTIONS, "abcdef")
    for code in itertools.islice(codes, 816):
        os.link(source, folder / f"{''.join(code)}.wav")
    told = r"holds 816 files: this is EmoDB 2\.0, .* not the 535 .* expect_official: False"
    with pytest.raises(ValueError, match=told):
        emodb.prepare_emodb(folder, tmp_path / "save", LABELS)
    manifest = emodb.prepare_emodb(folder, tmp_path / "save", LABELS, expect_official=False)
    assert len(manifest) == 816 and "this is EmoDB 2.0" in caplog.text


def test_a_manifest_is_reused_until_arguments_or_files_change(emodb, copy, tmp_path, caplog):
    caplog.set_level("INFO")

    def prepare(labels=LABELS):
        caplog.clear()
        return emodb.prepare_emodb(copy, tmp_path / "save", labels, expect_official=False)

    first = prepare()
    assert "wrote" in caplog.text and "there was none" in caplog.text
    again = prepare()
    assert "reused" in caplog.text and "wrote" not in caplog.text and again == first
    turned = prepare(LABELS[::-1])
    assert "label_order changed" in caplog.text and turned.labels.tolist() == [6 - x for x in first.labels]
    assert turned.hash != first.hash
    prepare()
    os.utime(next((copy / "wav").glob("*.wav")), (1, 1))
    prepare()
    assert "files changed" in caplog.text
    sorted((copy / "wav").glob("*.wav"))[0].unlink()
    assert len(prepare()) == 69
    (tmp_path / "save" / "manifest.csv").write_text("half")
    assert len(prepare()) == 69 and "the old one was damaged" in caplog.text


def test_files_directly_in_the_folder_are_found_too(emodb, spoken, tmp_path):
    assert len(emodb.prepare_emodb(spoken / "wav", tmp_path, LABELS, expect_official=False)) == 70


def test_the_folder_above_is_understood_and_other_sound_in_it_is_counted(emodb, spoken, tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "corpora/other").mkdir(parents=True)
    (tmp_path / "corpora/other/a.wav").write_bytes(b"")
    (tmp_path / "corpora/EmoDB").symlink_to(spoken)
    manifest = emodb.prepare_emodb(tmp_path / "corpora", tmp_path / "save", LABELS, expect_official=False)
    assert len(manifest) == 70 and "1 sound files elsewhere" in caplog.text


def test_a_missing_folder_is_named(emodb, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data_folder .*nowhere is not a folder; it must hold EmoDB's files"):
        emodb.prepare_emodb(tmp_path / "nowhere", tmp_path, LABELS)


def test_an_empty_folder_is_named(emodb, tmp_path):
    (tmp_path / "empty" / "wav").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"holds no sound file .*; it must hold EmoDB's files"):
        emodb.prepare_emodb(tmp_path / "empty", tmp_path, LABELS)


def test_an_unknown_emotion_letter_is_named(emodb, copy, tmp_path):
    (copy / "wav" / "03a01Na.wav").rename(copy / "wav" / "03a01Xa.wav")
    with pytest.raises(ValueError, match=r"03a01Xa\.wav has the emotion letter 'X'; EmoDB knows W L E A F T N\."):
        emodb.prepare_emodb(copy, tmp_path / "save", LABELS, expect_official=False)


def test_a_name_of_another_scheme_is_named(emodb, copy, tmp_path):
    (copy / "wav" / "03a01Na.wav").rename(copy / "wav" / "take-7.wav")
    with pytest.raises(ValueError, match=r"take-7\.wav is not named SSTTTEV as in 03a01Fa"):
        emodb.prepare_emodb(copy, tmp_path / "save", LABELS, expect_official=False)


def test_one_recording_in_two_formats_is_refused(emodb, copy, tmp_path):
    samples, rate = soundfile.read(copy / "wav" / "03a01Na.wav")
    soundfile.write(copy / "wav" / "03a01Na.flac", samples, rate)
    with pytest.raises(ValueError, match="holds 03a01Na twice"):
        emodb.prepare_emodb(copy, tmp_path / "save", LABELS, expect_official=False)


@pytest.mark.parametrize("labels", [LABELS[:4], [*LABELS[:6], "joy"], [*LABELS, "anger"]])
def test_labels_must_be_the_seven(emodb, spoken, tmp_path, labels):
    with pytest.raises(ValueError, match="EmoDB has exactly anger, boredom, disgust, fear, happiness, sadness, neut"):
        emodb.prepare_emodb(spoken, tmp_path, labels)


def damaged(kind, path):
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "not audio":
        path.write_text("words, words, words")
    else:
        samples, rate = soundfile.read(path)
        if kind == "not finite":
            samples[5] = np.nan
        samples = {"3 samples": samples[:3], "zeros": 0 * samples}.get(kind, samples)
        soundfile.write(path, samples, rate, subtype="FLOAT")


@pytest.mark.parametrize(
    "kind, message",
    [
        ("empty", r"is empty \(0 bytes\)"),
        ("truncated", "is truncated"),
        ("not audio", "cannot be read as audio"),
        ("3 samples", "holds 3 samples"),
        ("zeros", "holds only zeros"),
        ("not finite", "holds NaN or infinite samples"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_written(emodb, copy, tmp_path, kind, message):
    damaged(kind, copy / "wav" / "08a01Wa.wav")
    with pytest.raises(ValueError, match=rf"1 of 70 files of EmoDB cannot be used:\s+.*08a01Wa\.wav {message}"):
        emodb.prepare_emodb(copy, tmp_path / "save", LABELS, expect_official=False)
    assert not (tmp_path / "save").exists()


def test_8_khz_and_stereo_files_are_accepted(emodb, copy, tmp_path):
    samples, rate = soundfile.read(copy / "wav" / "08a01Wa.wav")
    soundfile.write(copy / "wav" / "08a01Wa.wav", samples[::2], rate // 2)
    soundfile.write(copy / "wav" / "08a01Na.wav", np.stack([samples, samples], axis=1), rate)
    manifest = emodb.prepare_emodb(copy, tmp_path / "save", LABELS, expect_official=False)
    assert manifest.by_id["08a01Wa"].duration == pytest.approx(len(samples) / rate, abs=1e-4)


def test_without_folder_and_network_the_ways_out_are_told(emodb, tmp_path):
    with pytest.raises(ConnectionError, match=r"cannot be reached .* or fetch it by hand and give data_folder"):
        emodb.prepare_emodb(None, tmp_path, LABELS, url="http://127.0.0.1:1/download.zip")
    with pytest.raises(ValueError, match="no data_folder was given and download is False"):
        emodb.prepare_emodb("", tmp_path, LABELS, download=False)


def test_without_a_folder_the_archive_is_fetched_and_checked(emodb, spoken, tmp_path):
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
        for path in (spoken / "wav").iterdir():
            archive.write(path, f"wav/{path.name}")
    url = (tmp_path / "download.zip").as_uri()
    with pytest.raises(ValueError, match="differs from the official EmoDB"):
        emodb.prepare_emodb(None, tmp_path / "save", LABELS, url=url)
    manifest = emodb.prepare_emodb(None, tmp_path / "save", LABELS, expect_official=False, url=url)
    assert len(manifest) == 70
    assert Path(manifest.utterances[0].wav).is_relative_to(tmp_path / "save" / "download" / "wav")
