"""The hybrid transformer: its sizes, its U, its two kinds of attention, what it hides in training."""

import numpy as np
import pytest
import torch

from akd_toolkit.models.hybrid_blocks import AttentionBlock, hidden_run
from akd_toolkit.models.hybrid_transformer import HybridTransformer
from akd_toolkit.registry import STUDENTS

SMALL = {"dim": 16, "channels": (8, 8), "heads": 2}


@pytest.fixture
def build():
    """Builds with fixed weights, whatever the tests before have drawn."""

    def build(**options):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return HybridTransformer(num_classes=4, **{**SMALL, **options}).eval()

    return build


def noise(batch=2, num_samples=16000):
    return 0.1 * torch.randn(batch, num_samples, generator=torch.Generator().manual_seed(1))


def test_default_size_is_small_class():
    assert 0.5e6 < STUDENTS.build("hybrid_transformer", num_classes=7).num_parameters() < 2e6


def test_layers_are_named_per_block_and_halve_towards_the_bottleneck(build):
    layers = build()(noise()).layers  # 98 frames of 10 ms -> 25 of 40 ms -> 13 -> 7
    assert {name: layer.shape[1] for name, layer in layers.items()} == {
        "stem": 25,
        "frequency": 25,
        "encoder_0": 25,
        "encoder_1": 13,
        "bottleneck": 7,
        "decoder_1": 13,
        "decoder_0": 25,
    }


@pytest.mark.parametrize("options", [{"deltas": 0}, {"deltas": 2}, {"num_mels": 80}, {"halvings": 0}, {"halvings": 4}])
@pytest.mark.parametrize("num_samples", [1600, 16123])
def test_every_size_takes_any_length(build, options, num_samples):
    output = build(**options)(noise(num_samples=num_samples), torch.tensor([1.0, 0.999]))
    assert output.logits.shape == (2, 4) and output.logits.isfinite().all()


def test_depth_settings_make_the_model_deeper(build):
    one, two = build(depth=1, frequency_depth=1), build(depth=2, frequency_depth=3)
    count = lambda student: sum(isinstance(part, AttentionBlock) for part in student.modules())  # noqa: E731
    assert count(one) == 1 + 5 and count(two) == 3 + 10


def test_attention_without_padding_equals_softmax_of_scaled_products_written_as_loops():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        block = AttentionBlock(dim=6, heads=2, mlp_ratio=2.0, drop_path=0.0, neighbours=False).double()
    x = torch.randn(1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    mask = torch.tensor([[True, True, True, False, False]])
    result = block._attend(x, mask)[0].detach().numpy()

    weight = block.query_key_value.weight.detach().numpy()
    mixed = x[0].numpy() @ weight.T + block.query_key_value.bias.detach().numpy()  # [5, 18]
    query, key, value = mixed[:, :6], mixed[:, 6:12], mixed[:, 12:]
    heard = np.zeros((5, 6))
    for head in (slice(0, 3), slice(3, 6)):
        for t in range(5):
            scores = np.array([query[t, head] @ key[s, head] / np.sqrt(3) for s in range(3)])
            shares = np.exp(scores) / np.exp(scores).sum()
            heard[t, head] = sum(share * value[s, head] for s, share in enumerate(shares))
    expected = heard @ block.project.weight.detach().numpy().T + block.project.bias.detach().numpy()
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_attention_over_frequency_sees_its_own_frame_alone(build):
    student = build()
    frequency = []
    for block in student.frequency:
        block.register_forward_hook(lambda module, given, result: frequency.append((given[0], result)))
    output = student(noise())
    given, result = frequency[0]
    assert given.shape == (2 * 25, 10, 8)  # every frame is a sequence of its bands
    assert torch.equal(result.reshape(2, 25, 80), output.layers["frequency"])
    alone = student.frequency[0](given[7:8], None)
    torch.testing.assert_close(alone, result[7:8], atol=1e-6, rtol=1e-5)


def test_bands_and_moments_are_told_apart(build):
    """Attention alone cannot tell the order of its tokens; band embeddings and convolutions must."""
    student = build()
    waveform = noise(batch=1)
    assert not torch.allclose(student(waveform).logits, student(waveform.flip(1)).logits, atol=1e-6)
    assert student.band_embedding.shape == (10, 8)
    with torch.no_grad():
        before = student(waveform).logits
        student.band_embedding.copy_(student.band_embedding.flip(0))
        assert not torch.allclose(before, student(waveform).logits, atol=1e-7)


def test_the_decoder_adds_what_the_encoder_had_at_its_resolution(build):
    student = build()
    with torch.no_grad():
        for up in student.up:
            up.weight.zero_()
            up.bias.zero_()
    layers = student(noise()).layers
    expected = student.decoder[0][0](layers["encoder_0"], None)  # nothing from below: the skip alone
    torch.testing.assert_close(layers["decoder_0"], expected)


def test_in_half_precision_every_weight_learns(build):
    student = build().train()
    with torch.autocast("cpu", torch.bfloat16), torch.random.fork_rng():
        torch.manual_seed(0)
        logits = student(noise(batch=4), torch.tensor([1.0, 0.5, 0.7, 0.9])).logits
    torch.nn.functional.cross_entropy(logits.float(), torch.arange(4)).backward()
    assert all(weight.grad.isfinite().all() for weight in student.parameters())


def test_gain_does_not_matter_when_the_level_is_taken_away(build):
    student = build(normalize="level")
    torch.testing.assert_close(student(0.5 * noise()).logits, student(noise()).logits, atol=1e-2, rtol=0)


def test_hidden_runs_are_one_run_no_longer_than_their_share():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = hidden_run(torch.zeros(200, 50, 40, 2), axis=1, share=0.2)
    assert kept.shape == (200, 50, 1, 1)
    hidden = 1 - kept[:, :, 0, 0]
    assert hidden.sum(dim=1).max() < 0.2 * 50 and hidden.any(dim=1).float().mean() > 0.7
    edges = hidden.diff(dim=1).abs().sum(dim=1) + hidden[:, 0] + hidden[:, -1]
    assert (edges[hidden.any(dim=1)] == 2).all()


def test_training_draws_masks_and_drops_and_evaluation_does_not(build):
    student, waveform = build(dropout=0.0, stochastic_depth=0.0, masking=0.5), noise(batch=4)
    with torch.no_grad():
        assert torch.equal(student(waveform).logits, student(waveform).logits)
        student.train()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            assert not torch.equal(student(waveform).logits, student(waveform).logits)


def test_stochastic_depth_leaves_the_mean_of_a_branch_as_it_was():
    block = AttentionBlock(dim=4, heads=1, mlp_ratio=1.0, drop_path=0.25, neighbours=False)
    branch = torch.ones(4000, 2, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = block.train()._keep(branch)
    assert kept.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.03)
    assert block.eval()._keep(branch) is branch


def test_padding_has_no_say_in_the_statistics_that_training_gathers(build):
    options = {"dropout": 0.0, "stochastic_depth": 0.0, "masking": 0.0}
    tight, loose = build(**options).train(), build(**options).train()
    waveform = noise(batch=3, num_samples=16000)
    with torch.no_grad():
        expected = tight(waveform, torch.ones(3))
        padded = torch.cat([waveform, torch.zeros(3, 16000)], dim=1)
        output = loose(padded, torch.full((3,), 0.5))
    torch.testing.assert_close(output.logits, expected.logits, atol=1e-4, rtol=1e-4)
    for name, gathered in tight.named_buffers():
        torch.testing.assert_close(loose.get_buffer(name), gathered, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"num_mels": 42}, {"dim": 18, "heads": 4}, {"channels": (8, 6), "frequency_heads": 4}],
)
def test_sizes_that_do_not_divide_are_refused(options):
    with pytest.raises(ValueError, match="multiple"):
        HybridTransformer(num_classes=4, **{**SMALL, **options})


@pytest.mark.parametrize("option", ["dropout", "stochastic_depth", "masking"])
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_shares_out_of_range_are_refused(option, value):
    with pytest.raises(ValueError, match=rf"{option} must be in \[0, 1\), got {value}"):
        HybridTransformer(num_classes=4, **SMALL, **{option: value})


@pytest.mark.parametrize("options", [{"depth": 0}, {"halvings": -1}, {"frequency_depth": -1}, {"channels": (8,)}])
def test_numbers_of_blocks_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="hybrid_transformer needs"):
        HybridTransformer(num_classes=4, **{**SMALL, **options})
