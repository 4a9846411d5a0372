"""What the three attention students share; then the vanilla transformer and attention pooling alone."""

import math

import numpy as np
import pytest
import torch

from akd_toolkit.models.hybrid_transformer import HybridTransformer
from akd_toolkit.models.multihead_attention import MultiheadAttention
from akd_toolkit.models.vanilla_transformer import VanillaTransformer, sinusoids

SMALL = {
    HybridTransformer: {"dim": 16, "channels": (8, 8), "heads": 2},
    VanillaTransformer: {"dim": 16, "depth": 2, "heads": 2},
    MultiheadAttention: {"channels": (4, 8), "dim": 16, "heads": 2},
}


@pytest.fixture
def build():
    """Builds with fixed weights, whatever the tests before have drawn."""

    def build(student, **options):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return student(num_classes=4, **{**SMALL[student], **options}).eval()

    return build


def noise(batch=2, num_samples=16000):
    return 0.1 * torch.randn(batch, num_samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("student", SMALL)
@pytest.mark.parametrize("options", [{"deltas": 0}, {"deltas": 2}, {"num_mels": 80}])
@pytest.mark.parametrize("num_samples", [1600, 16123])
def test_every_size_takes_any_length(build, student, options, num_samples):
    output = build(student, **options)(noise(num_samples=num_samples), torch.tensor([1.0, 0.999]))
    assert output.logits.shape == (2, 4) and output.logits.isfinite().all()


@pytest.mark.parametrize("student", SMALL)
def test_training_hides_parts_and_evaluation_does_not(build, student):
    options = {} if student is MultiheadAttention else {"stochastic_depth": 0.0}
    student, waveform = build(student, dropout=0.0, masking=0.5, **options), noise(batch=4)
    with torch.no_grad(), torch.random.fork_rng():
        assert torch.equal(student(waveform).logits, student(waveform).logits)
        torch.manual_seed(0)
        assert not torch.equal(student.train()(waveform).logits, student(waveform).logits)


@pytest.mark.parametrize("student", SMALL)
def test_padding_has_no_say_in_training(build, student):
    options = {"dropout": 0.0, "masking": 0.0}
    options |= {} if student is MultiheadAttention else {"stochastic_depth": 0.0}
    waveform = noise(batch=3)
    tight, loose = build(student, **options).train(), build(student, **options).train()
    with torch.no_grad():
        expected = tight(waveform, torch.ones(3))
        output = loose(torch.cat([waveform, torch.zeros(3, 16000)], dim=1), torch.full((3,), 0.5))
    torch.testing.assert_close(output.logits, expected.logits, atol=1e-4, rtol=1e-4)
    for name, gathered in tight.named_buffers():
        torch.testing.assert_close(loose.get_buffer(name), gathered, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("student", "options", "message"),
    [
        (VanillaTransformer, {"patch": 0}, "needs patch, depth and heads >= 1"),
        (VanillaTransformer, {"depth": 0}, "depth=0"),
        (VanillaTransformer, {"dim": 15, "heads": 3}, "even dim.*dim=15"),
        (VanillaTransformer, {"heads": 3}, "multiple of heads"),
        (MultiheadAttention, {"channels": ()}, "multihead_attention needs at least one stage"),
        (MultiheadAttention, {"num_mels": 42}, "num_mels=42"),
        (MultiheadAttention, {"heads": 3}, "dim one of heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(build, student, options, message):
    with pytest.raises(ValueError, match=message):
        build(student, **options)


# The vanilla transformer.


def test_positions_are_sines_and_cosines_of_ever_slower_waves():
    positions = sinusoids(50, 8)
    for t, i in [(0, 0), (7, 1), (49, 3)]:
        angle = t / 10000 ** (2 * i / 8)
        assert positions[t, i] == pytest.approx(math.sin(angle), abs=1e-5)
        assert positions[t, 4 + i] == pytest.approx(math.cos(angle), abs=1e-5)


def test_a_token_is_a_linear_map_of_its_patch_and_the_last_patch_may_be_part_empty(build):
    student = build(VanillaTransformer)
    with torch.no_grad():
        output = student(noise())
        features, num_frames = student.front_end(noise())
    assert num_frames.tolist() == [98, 98]
    norm = student.input_norm
    normed = ((features - norm.running_mean) / (norm.running_var + norm.eps).sqrt()).numpy()
    weight, bias = student.embed.weight.detach().numpy(), student.embed.bias.detach().numpy()  # [dim, features, patch]
    for token, frames in [(3, range(12, 16)), (24, range(96, 98))]:
        expected = bias + sum(weight[:, :, place] @ normed[0, frame] for place, frame in enumerate(frames))
        found = (output.layers["patches"][0, token] - sinusoids(25, 16)[token]).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert output.frames.shape == (2, 25, 16)


def test_every_token_depends_on_the_whole_utterance(build):
    student = build(VanillaTransformer, deltas=0, normalize="none")
    waveform = noise(batch=1)
    changed = waveform.clone()
    changed[:, 15000:] *= 0.3  # in the last two of 25 patches alone
    with torch.no_grad():
        before, after = student(waveform).layers, student(changed).layers
    assert torch.equal(before["patches"][0, :20], after["patches"][0, :20])
    assert ((before["block_0"] - after["block_0"])[0, :20].abs().amax(dim=1) > 0).all()


def test_the_embedding_is_the_mean_of_the_speech_frames(build):
    with torch.no_grad():
        output = build(VanillaTransformer)(noise(), torch.tensor([1.0, 0.5]))
    num_frames = int(output.frame_mask()[1].sum())
    assert num_frames == 12  # 48 frames of 10 ms
    torch.testing.assert_close(output.embedding[1], output.frames[1, :num_frames].mean(dim=0))


# Attention pooling.


def test_attention_pooling_equals_its_formula_written_as_loops(build):
    student = build(MultiheadAttention)
    frames = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(3))
    mask = torch.tensor([[True, True, True, False, False]])
    with torch.no_grad():
        result = student.pool(frames, mask)[0].numpy()
    weights = {name: tensor.numpy() for name, tensor in student.state_dict().items()}
    expected = []
    for head in range(2):
        rows = slice(8 * head, 8 * head + 8)
        scores, values = [], []
        for t in range(3):
            frame = frames[0, t].numpy()
            scores.append(weights["query"][head] @ (weights["key.weight"][rows] @ frame) / math.sqrt(8))
            values.append(weights["value.weight"][rows] @ frame + weights["value.bias"][rows])
        shares = np.exp(scores) / np.exp(scores).sum()
        expected.extend(sum(share * value for share, value in zip(shares, values)))
    np.testing.assert_allclose(result, expected, atol=1e-5)
