"""A small corpus of tones and small random models in ``save_pretrained`` layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers.base import Teacher

LABELS = ("low", "high")
CONVOLUTIONS = {"conv_dim": (8, 8, 8, 8), "conv_kernel": (10, 8, 4, 4), "conv_stride": (5, 4, 4, 4)}
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


def save_encoder(kind: str, folder: Path, **options) -> Path:
    """Write a random model of three layers with its feature extractor."""
    import transformers as tf

    torch.manual_seed(3)
    if kind == "whisper":
        tokens = {
            "vocab_size": 12,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        }
        heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
        widths = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_layers": 3, "decoder_layers": 1}
        config = tf.WhisperConfig(num_mel_bins=80, **widths, **heads, **tokens, **options)
        model, extractor = tf.WhisperModel(config), tf.WhisperFeatureExtractor()
    else:
        classes = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
        positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "vocab_size": 5}
        config = getattr(tf, f"{classes[kind]}Config")(**SMALL, **CONVOLUTIONS, **positions, **options)
        model = getattr(tf, f"{classes[kind]}Model")(config)
        extractor = tf.Wav2Vec2FeatureExtractor(do_normalize=True)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


@pytest.fixture
def encoder_folder(tmp_path):
    return lambda kind="wav2vec2", **options: save_encoder(kind, tmp_path / kind, **options)


@pytest.fixture
def voice():
    """Seconds of noise -> a waveform that changes over time."""

    def make(seconds=1.0, seed=0):
        random = np.random.default_rng(seed)
        time_s = np.arange(int(16000 * seconds)) / 16000
        tone = np.sin(2 * np.pi * (150 + 40 * np.sin(5 * time_s)) * time_s) * (0.6 + 0.4 * np.sin(9 * time_s))
        return (0.3 * tone + 0.05 * random.standard_normal(len(time_s))).astype(np.float32)

    return make


def make_manifest(speakers="ABCD", repeats=5) -> Manifest:
    rows = [
        Utterance(f"{s}-{emotion}-{i}", "-", 0, 4000, 0.25, speaker=s, emotion=emotion, sha256=f"{s}{emotion}{i}")
        for s in speakers
        for emotion in LABELS
        for i in range(repeats)
    ]
    return Manifest("tones", LABELS, tuple(rows))


@pytest.fixture
def manifest():
    return make_manifest()


@pytest.fixture
def sounds(manifest, voice):
    """ID -> waveform; ``high`` is louder in its upper band."""
    found = {}
    for index, row in enumerate(manifest):
        clean = voice(0.25 + 0.01 * (index % 3), seed=index)
        found[row.id] = clean if row.emotion == "low" else (clean * np.cos(np.arange(len(clean)) * 2)).astype("f4")
    return found


@pytest.fixture
def audio(manifest, sounds):
    return InMemoryAudio(manifest, sounds)


class Counting(Teacher):
    """A teacher that counts its calls."""

    name, title, num_layers, frame_rate_hz = "counting", "counting", 2, 100.0

    def __init__(self, tag="a"):
        self.tag, self.calls, self.stop_after = tag, 0, None

    def identity(self):
        return {"tag": self.tag}

    def features(self, waveform):
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        return np.array([[waveform.mean(), len(waveform)], [waveform.std(), 1.0]], dtype=np.float32)

    def features_and_frames(self, waveform):
        return self.features(waveform), waveform[: len(waveform) // 160 * 160].reshape(-1, 160)[:, :3]


@pytest.fixture
def counting():
    return Counting
