import dataclasses

import numpy as np
import pytest

from akd_toolkit.data.manifest import COLUMNS, Manifest, Utterance, load_waveforms
from akd_toolkit.data.preparing import measure


@pytest.fixture
def three(toy_manifest):
    return toy_manifest("B:neutral", "A:anger", "A:neutral")


def test_of_keeps_only_these_speakers_in_order(three):
    assert three.of(["A"]).ids == ("u1", "u2") and three.of("B").ids == ("u0",) and len(three.of([])) == 0
    with pytest.raises(ValueError, match="toy has no speaker C"):
        three.of(["A", "C"])


def test_written_and_read_again_it_is_the_same(tmp_path, three):
    manifest = dataclasses.replace(three, arguments={"data_folder": "/corpus", "expect_official": True})
    manifest.write(tmp_path / "manifest.csv")
    again = Manifest.read(tmp_path / "manifest.csv")
    assert again == manifest and again.hash == manifest.hash and again.arguments == manifest.arguments
    header = (tmp_path / "manifest.csv").read_text().splitlines()[0]
    assert header == "ID,wav,start,stop,duration,speaker,emotion,sex,text,sha256" == ",".join(COLUMNS)


def with_first(manifest, **values):
    """The manifest with another first row."""
    first = dataclasses.replace(manifest.utterances[0], **values)
    return dataclasses.replace(manifest, utterances=(first, *manifest.utterances[1:]))


def test_hash_follows_the_content_and_not_the_place(three, rated):
    assert three.hash == "f5ece9fcfdd0"  # must never change: stored features are found by it
    assert with_first(three, wav="/elsewhere/u0.flac").hash == three.hash
    changes = {"sha256": "other"}, {"speaker": "C"}, {"emotion": "anger"}, {"stop": 9}, {"id": "x"}
    others = [with_first(three, **change) for change in changes]
    others += [dataclasses.replace(three, label_order=("neutral", "anger"))]
    others += [rated, with_first(rated, attributes={"valence": 2.5, "arousal": 0.5})]
    assert len({three.hash, *(other.hash for other in others)}) == 9


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.json"])
def test_a_missing_manifest_is_named(tmp_path, three, name):
    three.write(tmp_path / "manifest.csv")
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Manifest.read(tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"id": "u1"}, "two utterances u1"),
        ({"emotion": "joy"}, "utterance u0 has the emotion 'joy'"),
        ({"stop": 0}, "utterance u0 goes from sample 0 to 0"),
        ({"attributes": {"valence": float("nan")}}, "utterance u0 has the attribute valence"),
        ({"attributes": {"speaker": 1.0}}, "utterance u0 has the attribute speaker"),
    ],
)
def test_bad_rows_are_refused(three, change, message):
    with pytest.raises(ValueError, match=message):
        with_first(three, **change)


@pytest.mark.parametrize("order", [(), ("anger", "anger")])
def test_a_label_order_names_each_emotion_once(order):
    with pytest.raises(ValueError, match="label_order"):
        Manifest("toy", order, ())


def corpus_of(paths):
    return [Utterance(p.stem, str(p), 0, 0, 0.0, "A", "anger") for p in paths]


@pytest.mark.parametrize("read", [lambda rows: load_waveforms(rows, False), lambda rows: measure(rows, "toy", False)])
def test_all_bad_files_are_named_in_one_error(sound_file, tmp_path, read):
    (tmp_path / "words.wav").write_text("no sound")
    sound_file("silent.wav", np.zeros(4000))
    rows = corpus_of([tmp_path / f"{name}.wav" for name in ("gone", "words", "silent")] + [sound_file("good.wav")])
    with pytest.raises(ValueError, match="3 of 4 files") as info:
        read([dataclasses.replace(row, stop=4000, duration=0.25) for row in rows])
    assert all(name in str(info.value) for name in ("gone.wav", "words.wav", "silent.wav"))
    assert "good.wav" not in str(info.value)
    with pytest.raises(ValueError, match=r"13 of 13 files[\s\S]*\.\.\. and 3 more$"):
        read(corpus_of([tmp_path / f"{index}.wav" for index in range(13)]))


@pytest.fixture
def rated(three):
    """The same rows with dimensional labels, of which one is unknown."""
    ratings = ({"valence": 2.5, "arousal": 1 / 3}, {"arousal": 4}, {})
    rows = (dataclasses.replace(row, attributes=values) for row, values in zip(three, ratings))
    return dataclasses.replace(three, utterances=tuple(rows))


def test_attributes_are_in_the_requested_order_with_nan_where_unknown(rated, three):
    assert rated.attribute_names == ("arousal", "valence") and three.attribute_names == ()
    expected = [[2.5, 1 / 3], [np.nan, 4.0], [np.nan, np.nan]]
    np.testing.assert_array_equal(rated.attribute_values(["valence", "arousal"]), expected)
    assert rated.attribute_values([]).shape == (3, 0) and three.attribute_values(["valence"]).shape == (3, 1)


@pytest.mark.parametrize(
    "damage, token",
    [
        (lambda text: text.replace("B,neutral", "B,anger"), r"manifest\.csv has changed since it was written"),
        (lambda text: "", "run prepare again"),
        (lambda text: "ID,wav\nu0,/a.wav\n", "run prepare again"),
    ],
)
def test_an_edited_or_half_written_manifest_is_refused(tmp_path, three, damage, token):
    path = tmp_path / "manifest.csv"
    three.write(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=token):
        Manifest.read(path)


def test_names_with_commas_quotes_and_umlauts_and_attributes_survive(tmp_path, rated):
    manifest = with_first(rated, id="ü,1", wav='/c/"a",b.wav', text="für\nwas?", duration=1 / 3)
    manifest.write(tmp_path / "manifest.csv")
    assert Manifest.read(tmp_path / "manifest.csv") == manifest


def test_only_the_utterance_is_measured_and_loaded_from_a_long_file(sound_file, tone):
    path = sound_file(samples=tone(2.0))
    row = Utterance("part", str(path), 8000, 16000, 0.5, "A", "anger")
    waveforms = load_waveforms(Manifest("toy", ("anger",), (row,)), progress=False)
    np.testing.assert_allclose(waveforms["part"], tone(2.0)[8000:16000], atol=4e-5)
    (row,) = measure(corpus_of([path]), "toy", progress=False)
    assert (row.start, row.stop, row.duration, len(row.sha256)) == (0, 32000, 2.0, 64)
