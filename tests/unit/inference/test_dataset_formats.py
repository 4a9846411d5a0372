"""Sounds and results in the forms of datasets, audformat and pandas."""

from collections import UserList

import numpy as np
import pandas as pd
import pytest
import soundfile

from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.audformat_index import recognize_index


@pytest.fixture(scope="module")
def recognizer(student_folder):
    return EmotionRecognizer.from_pretrained(student_folder)


def test_cells_and_columns_of_datasets_are_recognised_like_their_samples(recognizer, speech):
    file = speech(1.5, rate=22050)
    samples, rate = soundfile.read(file, dtype="float32")
    expected = recognizer(samples, rate).probabilities

    class Decoder:  # as of datasets 4: no mapping, but has its keys
        def get_all_samples(self):
            """Marks torchcodec's decoders."""

        def __getitem__(self, key):
            return cell[key]

    cell = {"path": "a.wav", "array": samples, "sampling_rate": rate}
    found = [recognizer(cell), *recognizer([cell, Decoder()]), *recognizer(UserList([cell]))]
    found.append(recognizer({**cell, "array": samples.tolist()}))
    found += recognizer([{"bytes": file.read_bytes(), "path": None}, {"bytes": None, "path": str(file)}])
    for result in found:
        assert result.probabilities == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "cell, options, key",
    [
        ({"array": np.zeros(16000)}, {}, "sampling_rate"),
        ({"array": np.zeros(16000), "sampling_rate": 8000}, {"sample_rate_hz": 16000}, "8000"),
        ({"text": "words"}, {}, "array"),
        ({"bytes": None, "path": None}, {}, "array"),
    ],
)
def test_a_dict_that_holds_no_sound_is_refused(recognizer, cell, options, key):
    with pytest.raises(ValueError, match=key):
        recognizer(cell, **options)


def test_a_table_of_audformat_gets_its_index_back(recognizer, speech, tmp_path):
    audformat = pytest.importorskip("audformat")
    speech(1.5, name="a.wav"), speech(2.5, rate=8000, name="b.wav", seed=2)
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16000), 16000)
    files = audformat.filewise_index(["a.wav", "b.wav", "zeros.wav"])
    found = recognize_index(recognizer, files, tmp_path)
    assert found.index.equals(files) and list(found.label)[2] == "no speech" and found.p_anger.isna()[2:].all()
    for file in ("a.wav", "b.wav"):
        expected = recognizer(tmp_path / file)
        assert found.label[file] == expected.label and found.p_anger[file] == expected.probabilities["anger"]
    segments = audformat.segmented_index(["b.wav", "a.wav", "a.wav"], ["0.5s", "0s", "0s"], ["2s", pd.NaT, "1.2s"])
    found = recognize_index(recognizer, segments, tmp_path)
    samples, rate = soundfile.read(tmp_path / "b.wav", dtype="float32")
    expected = recognizer(samples[rate // 2 : 2 * rate], rate)
    assert found.index.equals(segments) and found.p_anger.iloc[0] == pytest.approx(expected.probabilities["anger"])
    table = audformat.Table(segments)
    table["emotion"] = audformat.Column()
    table["emotion"].set(found.label)
    assert list(table.df.emotion) == list(found.label)
    with pytest.raises(ValueError, match=r"a\.wav"):
        recognize_index(recognizer, audformat.segmented_index(["a.wav"], ["0s"], ["9s"]), tmp_path)
    with pytest.raises(ValueError, match="audformat"):
        recognize_index(recognizer, pd.Index(["a.wav"]), tmp_path)
