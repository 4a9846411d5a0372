"""Text encoders with tokenizers of the sentencepiece family, from folders and without a network."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from in_memory import InMemoryAudio
from programs import imported

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers import TeacherBank
from akd_toolkit.teachers.transformers_text import TransformersText

ROOT = Path(__file__).resolve().parents[3]
SENTENCES = (
    "Der Lappen liegt auf dem Eisschrank.",
    "Das will sie am Mittwoch abgeben.",
    "Heute abend könnte ich es ihm sagen.",
    "In sieben Stunden wird es soweit sein.",
)
SIZES = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
WIDTHS = {"d_model": 8, "num_layers": 3, "num_decoder_layers": 1, "num_heads": 2, "d_kv": 4, "d_ff": 16}


@pytest.fixture(scope="module")
def pieces():
    """A small sentencepiece model, trained here."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    options = {"vocab_size": 60, "model_type": "unigram", "pad_id": 3, "hard_vocab_limit": False, "minloglevel": 2}
    sentences = iter(SENTENCES * 5)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=sentences, model_writer=model, **options)
    return model.getvalue()


@pytest.fixture
def folder(tmp_path, pieces):
    """Kind -> a folder with a random encoder and the sentencepiece model alone as its tokenizer."""
    import transformers as tf

    def save(kind="xlm-roberta", **options):
        torch.manual_seed(1)
        place = tmp_path / kind
        if kind == "t5":
            tf.T5Model(tf.T5Config(vocab_size=200, **WIDTHS, **options)).save_pretrained(place)
            (place / "spiece.model").write_bytes(pieces)
        else:
            config = tf.XLMRobertaConfig(**{"vocab_size": 100, "max_position_embeddings": 40, **SIZES, **options})
            tf.XLMRobertaForMaskedLM(config).save_pretrained(place)
            (place / "sentencepiece.bpe.model").write_bytes(pieces)
        return place

    return save


@pytest.mark.parametrize("kind", ["xlm-roberta", "t5"])
def test_features_are_means_over_tokens_of_each_layer(kind, folder):
    from transformers import AutoModelForTextEncoding, AutoTokenizer

    place = folder(kind)
    teacher = TransformersText(str(place))
    model = AutoModelForTextEncoding.from_pretrained(place).eval()
    tokens = AutoTokenizer.from_pretrained(place)(SENTENCES[0], return_tensors="pt").input_ids
    assert tokens.shape[1] > 6 and teacher.modality == "text" and teacher.frame_rate_hz is None
    with torch.no_grad():
        states = model(tokens, output_hidden_states=True).hidden_states
    expected = np.stack([np.mean([state[0, i].numpy() for i in range(tokens.shape[1])], axis=0) for state in states])
    assert expected.shape == (4, 8) == (teacher.num_layers, teacher.feature_dim)
    np.testing.assert_allclose(teacher.features(SENTENCES[0]), expected, rtol=1e-5, atol=1e-6)
    some = TransformersText(str(place), layers=[2])
    np.testing.assert_allclose(some.features(SENTENCES[0]), expected[2:3], rtol=1e-5, atol=1e-6)
    assert some.fingerprint != teacher.fingerprint and 0 < some.num_parameters < teacher.num_parameters
    with pytest.raises(ValueError, match="layers"):
        TransformersText(str(place), layers=[4])


def test_a_transcript_longer_than_the_model_allows_is_read_in_parts(folder):
    teacher, text = TransformersText(str(folder())), " ".join(SENTENCES)
    assert len(teacher._tokenizer(text).input_ids) > 38
    features = teacher.features(text)
    assert np.isfinite(features).all()
    assert not np.allclose(features, teacher.features(SENTENCES[0]))


def test_an_incomplete_or_wrong_folder_is_refused(folder):
    place = folder()
    config = json.loads((place / "config.json").read_text())
    for changes, key in (({"num_hidden_layers": 5}, "partly random"), ({"model_type": "whisper"}, "whisper")):
        (place / "config.json").write_text(json.dumps({**config, **changes}))
        with pytest.raises(ValueError, match=key):
            TransformersText(str(place)).features("Der Lappen")
    place = folder(vocab_size=10)
    with pytest.raises(ValueError, match="more tokens"):
        TransformersText(str(place)).features(SENTENCES[1])
    (place / "sentencepiece.bpe.model").write_bytes(b"no model")
    with pytest.raises(ValueError, match="tokenizer"):
        TransformersText(str(place)).features(SENTENCES[1])
    (place / "sentencepiece.bpe.model").unlink()
    with pytest.raises(FileNotFoundError, match="tokenizer"):
        TransformersText(str(place))


def test_on_emodb_a_text_teacher_is_within_five_points_of_chance(folder, shared_folder, tmp_path):
    """Every actor says the same ten sentences in every emotion; the encoder tells them apart."""
    with imported(ROOT / "recipes/EmoDB/prepare.py") as module:
        emotions, sentences, labels = module.EMOTIONS, module.SENTENCES, module.LABELS
    rows = []
    for name in sorted(path.stem for path in (shared_folder / "data/EmoDB/wav").iterdir()):
        about = {"transcript": sentences[name[2:5]], "sha256": name}
        rows.append(Utterance(name, "-", 0, 1, 1.0, speaker=name[:2], emotion=emotions[name[5]], **about))
    manifest = Manifest("EmoDB", labels, tuple(rows))
    spec = {"name": "transformers_text", "source": str(folder())}
    bank = TeacherBank({"words": spec}, InMemoryAudio(manifest, {}), tmp_path / "store", progress=False)
    groups = [["03", "08"], ["09", "10"], ["11", "12"], ["13", "14"], ["15", "16"]]
    hits = []
    for test in groups:
        scored = manifest.of(test)
        train = [speaker for group in groups if group is not test for speaker in group]
        logits = bank.fold(train, groups).lookup(scored.ids, embeddings=False).logits[0]
        hits += zip(scored.labels, logits.argmax(dim=-1).numpy() == scored.labels)
    truth, right = map(np.array, zip(*hits))
    ua = np.mean([right[truth == label].mean() for label in range(7)])
    assert len(truth) == 535 and ua < 1 / 7 + 0.05
