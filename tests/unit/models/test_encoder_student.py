"""encoder_student and its front end: Whisper's numbers, masks, rebuilding without the source, export."""

import io
from copy import deepcopy

import numpy as np
import pytest
import torch

from akd_toolkit.models.encoder_student import EncoderStudent
from akd_toolkit.models.features.whisper_log_mel import WhisperLogMel
from akd_toolkit.models.whisper_layers import load_whisper
from akd_toolkit.registry import STUDENTS

transformers = pytest.importorskip("transformers")


@pytest.fixture
def student(source):
    return EncoderStudent(num_classes=4, source=source, num_layers=2).eval()


def noise(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [0.1 * torch.randn(length, generator=generator) for length in lengths]


@pytest.mark.parametrize("samples, num_mels", [(1600, 80), (1759, 80), (1760, 80), (16000, 128), (40001, 80)])
def test_front_end_equals_the_published_extractor(samples, num_mels):
    time = np.arange(samples) / 16000
    waveform = 0.3 * np.sin(2 * np.pi * 440 * time) * np.exp(-2 * time) + 1e-4 * np.cos(9000 * time)
    waveform = waveform.astype("float32")
    extractor = transformers.WhisperFeatureExtractor(feature_size=num_mels)
    expected = extractor(waveform, sampling_rate=16000, padding=False, return_tensors="pt").input_features
    mel, num_frames = WhisperLogMel(num_mels)(torch.tensor(waveform)[None], torch.tensor([samples]))
    assert num_frames.tolist() == [expected.shape[-1]]
    torch.testing.assert_close(mel, expected, atol=2e-4, rtol=0)


def test_layers_equal_the_encoder_they_began_as(whisper, student):
    (waveform,) = noise(16000)  # 100 mel frames, all 50 positions of the small encoder
    mel, _ = student.front_end(waveform[None], torch.tensor([16000]))
    with torch.no_grad():
        expected = whisper.encoder(mel, output_hidden_states=True).hidden_states
        output = student(waveform[None])
    torch.testing.assert_close(output.layers["layer1"], expected[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.layers["layer2"], expected[2], atol=1e-4, rtol=1e-4)


def test_shorter_input_uses_the_first_positions(whisper, student):
    (waveform,) = noise(8000)
    encoder = whisper.encoder
    with torch.no_grad():
        mel, _ = student.front_end(waveform[None], torch.tensor([8000]))
        hidden = torch.nn.functional.gelu(encoder.conv2(torch.nn.functional.gelu(encoder.conv1(mel))))
        hidden = hidden.transpose(1, 2) + encoder.embed_positions.weight[:25]
        expected = encoder.layers[0](hidden, None)
        torch.testing.assert_close(student(waveform[None]).layers["layer1"], expected, atol=1e-4, rtol=1e-4)


def test_rebuilt_from_plain_options_and_weights_without_the_source(student):
    saved = io.BytesIO()
    torch.save(student.state_dict(), saved)
    saved.seek(0)
    assert "source" not in student.build_options
    rebuilt = STUDENTS.build("encoder_student", **student.build_options).eval()
    rebuilt.load_state_dict(torch.load(saved, weights_only=True))
    (waveform,) = noise(4000)
    assert torch.equal(rebuilt(waveform[None]).logits, student(waveform[None]).logits)


def test_lowest_layers_are_frozen_and_upper_ones_learn(source):
    student = EncoderStudent(num_classes=4, source=source, num_layers=2, frozen_layers=1)
    student(torch.stack(noise(3200, 3200))).logits.square().sum().backward()
    learning = {name.split(".")[1] for name, p in student.encoder.named_parameters() if p.grad is not None}
    assert learning == {"1"}
    assert student.encoder.conv1.weight.grad is None
    assert student.layer_logits.grad is not None


def test_none_freezes_nothing_and_silence_gives_finite_gradients(source):
    student = EncoderStudent(num_classes=4, source=source, num_layers=2, frozen_layers=None)
    student(torch.zeros(2, 3200)).logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())


def test_fitted_head_separates_and_balances(student):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(4).repeat(10)
    pooled = torch.randn(40, 64, generator=generator) * 5 + 3
    pooled[torch.arange(40), labels] += 40
    student.fit_head(pooled, torch.nn.functional.one_hot(labels, 4).float())
    logits = student.classifier((pooled - student.centre) / student.scale)
    assert torch.equal(logits.argmax(1), labels)
    # At the optimum the balanced residual of every class, the bias's gradient, is zero.
    residual = torch.softmax(logits, 1).mean(0) - 0.25
    torch.testing.assert_close(residual, torch.zeros(4), atol=1e-4, rtol=0)


def test_fitted_head_gives_softened_targets_back(student):
    generator = torch.Generator().manual_seed(1)
    pooled = torch.randn(40, 64, generator=generator)
    targets = torch.softmax(pooled[:, :4], dim=1)
    student.fit_head(pooled, targets, temperature=2.0, decay=0.0)
    logits = student.classifier((pooled - student.centre) / student.scale)
    torch.testing.assert_close(torch.softmax(logits / 2, dim=1), targets, atol=2e-2, rtol=0)


def test_a_fitted_head_weighs_unlabelled_utterances(student):
    """Twenty unlabelled copies of one utterance with a weight of 1/40 each count as that utterance with 1/2."""
    generator, double = torch.Generator().manual_seed(1), torch.float64  # in float32 the solver stops elsewhere
    student, labels = deepcopy(student).double(), torch.arange(4).repeat(5)
    pooled = torch.randn(20, 64, generator=generator, dtype=double)
    targets = torch.nn.functional.one_hot(labels, 4).to(double)
    other = torch.randn(1, 64, generator=generator, dtype=double) + 2
    fitted, soft = {}, torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=double)
    for copies in (1, 20):
        mask, weights = torch.arange(20 + copies) < 20, torch.ones(20 + copies)
        weights[20:] = 0.5 / copies
        inputs, both = torch.cat([pooled, other.expand(copies, -1)]), torch.cat([targets, soft.expand(copies, -1)])
        fitted[copies] = student.fit_head(inputs, both, weights, mask, decay=1.0)[:20]
        torch.testing.assert_close(student.centre, pooled.mean(0))  # of the labelled ones alone
    torch.testing.assert_close(fitted[1], fitted[20], atol=2e-3, rtol=1e-3)
    alone = student.fit_head(pooled, targets, decay=1.0)
    assert (alone - fitted[1]).abs().max() > 0.01


def test_parameter_groups_hold_every_learning_weight_once(source):
    student = EncoderStudent(num_classes=4, source=source, num_layers=3, frozen_layers=1)
    groups = student.parameter_groups(1e-4, layer_decay=0.5)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in student.parameters() if p.requires_grad)
    assert [group["lr"] for group in groups] == [1e-4, 1e-4, 5e-5]


def test_missing_weights_are_refused_not_invented(whisper, tmp_path):
    state = whisper.state_dict()
    del state["encoder.layers.1.fc1.weight"]
    whisper.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"no fitting weights for 1 encoder tensors, such as .*fc1"):
        load_whisper(str(tmp_path), num_layers=2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_layers": 4}, "num_layers is 4"),
        ({"num_layers": 0}, "num_layers"),
        ({"num_layers": 2, "frozen_layers": 3}, "frozen_layers"),
        ({"num_layers": 2, "dropout": 1.0}, "dropout"),
        ({"source": None}, "neither source nor architecture"),
        ({"source": None, "architecture": {"width": 16}}, "architecture needs exactly width, heads"),
        (
            {"source": None, "architecture": {"width": 18, "heads": 4, "feed_forward": 8, "num_mels": 80}},
            "width must be a multiple of twice",
        ),
        ({"source": "another"}, "is a wav2vec2 model; give a Whisper model"),
    ],
)
def test_wrong_options_are_named(source, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transformers.Wav2Vec2Config().save_pretrained("another")
    with pytest.raises(ValueError, match=message):
        EncoderStudent(num_classes=4, **{"source": source, **options})
