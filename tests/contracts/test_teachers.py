"""What every registered teacher promises."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from videos import write_video

from akd_toolkit.data.manifest import Utterance
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers import ecapa_tdnn, face_expression


def save_text_encoder(folder):
    """A random BERT with one token for each word of ``given``."""
    from transformers import BertConfig, BertModel

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{index}" for index in range(30))]
    (folder / "vocab.txt").write_text("\n".join(words))
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Registered name -> a teacher; where one reads a model, a small random one is saved first."""

    def make(name):
        options = {}
        if name == "face_expression":  # MTCNN finds no face in noise
            box = np.array([[8.0, 4.0, 40.0, 44.0]])
            monkeypatch.setattr(face_expression, "load_detector", lambda device: lambda picture: box)
        if name == "feature_table":
            path = tmp_path / "table.csv"
            path.write_text("id,one,two\n" + "".join(f"{index},{index},0.5\n" for index in range(5)))
            options = {"source": str(path)}
        if name == "transformers_text":
            options = {"source": str(save_text_encoder(tmp_path))}
        if name == "transformers_encoder":
            from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

            sizes = {"d_model": 8, "encoder_layers": 2, "decoder_layers": 1, "vocab_size": 8}
            heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
            config = WhisperConfig(**sizes, **heads, pad_token_id=0, decoder_start_token_id=1)
            WhisperModel(config).save_pretrained(tmp_path)
            WhisperFeatureExtractor().save_pretrained(tmp_path)
            options = {"source": str(tmp_path)}
        if name == "ecapa_tdnn":
            from safetensors.torch import save_file
            from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

            small = {"channels": [16, 16, 16, 16, 48], "attention_channels": 8}
            monkeypatch.setattr(ecapa_tdnn, "ARCHITECTURE", {**ecapa_tdnn.ARCHITECTURE, **small})
            save_file(ECAPA_TDNN(**ecapa_tdnn.ARCHITECTURE).state_dict(), tmp_path / "model.safetensors")
            options = {"source": str(tmp_path)}
        try:
            return TEACHERS.example(name, **options)
        except ImportError as error:
            pytest.skip(str(error))

    return make


def noise(seconds, seed=0):
    return (0.2 * np.random.default_rng(seed).standard_normal(int(16000 * seconds))).astype(np.float32)


def given(teacher, seconds, seed=0):
    """What the teacher reads of an utterance."""
    if teacher.modality == "table":
        return Utterance(str(seed), "/sound.wav", 0, 1, seconds, speaker="A", emotion="joy")
    if teacher.modality == "video":
        random = np.random.default_rng(seed)
        pictures = random.integers(0, 256, (max(2, int(25 * seconds)), 48, 64, 3)).astype(np.uint8)
        return write_video(Path(tempfile.mkdtemp()) / "noise.mkv", list(pictures), codec="ffv1")
    if teacher.modality == "text":
        return " ".join(f"word{index + seed}" for index in range(int(10 * seconds)))
    wave = noise(seconds, seed)
    wave.flags.writeable = False
    return wave


each_teacher = pytest.mark.parametrize("name", TEACHERS.names())


@each_teacher
def test_teacher_describes_utterances_of_any_length_by_the_same_finite_numbers(name, build):
    teacher = build(name)
    described = [teacher.features(given(teacher, seconds)) for seconds in (0.1, 0.5, 2.0)]
    assert {features.shape for features in described} == {(teacher.num_layers, described[0].shape[1])}
    assert teacher.modality == "audio" or teacher.feature_dim == described[0].shape[1]
    assert all(features.dtype == np.float32 and np.isfinite(features).all() for features in described)


@each_teacher
def test_teacher_gives_the_same_numbers_whatever_came_before_and_leaves_the_waveform_alone(name, build):
    teacher = build(name)
    wave = given(teacher, 0.7)
    first = teacher.features(wave)
    teacher.features(given(teacher, 1.0, seed=1))
    np.testing.assert_array_equal(teacher.features(wave), first)
    teacher.unload()
    np.testing.assert_array_equal(teacher.features(wave), first)


@each_teacher
def test_teacher_has_name_title_version_fingerprint_parameters_and_a_source(name, build):
    teacher = build(name)
    assert teacher.name == name and teacher.title
    assert len(teacher.fingerprint) == 12 and int(teacher.fingerprint, 16) >= 0
    assert isinstance(teacher.num_parameters, int) and isinstance(vars(type(teacher)).get("version"), int)
    teacher.check_label_order(("anger", "sadness"))
    assert "Source:" in type(teacher).__doc__ and "Example" in type(teacher).__doc__


@each_teacher
def test_teacher_gives_frames_or_says_that_it_has_none(name, build):
    teacher = build(name)
    if teacher.frame_rate_hz is None:
        with pytest.raises(ValueError, match=name):
            teacher.frames(given(teacher, 0.5))
    else:
        frames = teacher.frames(noise(0.5))
        assert frames.ndim == 2 and abs(len(frames) - 0.5 * teacher.frame_rate_hz) <= 1
