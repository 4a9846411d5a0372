"""The hybrid transformer: its sizes, its U, its two kinds of attention, what it hides in training."""

import numpy as np
import pytest
import torch

from akd_toolkit.models.hybrid_blocks import AttentionBlock, hidden_run
from akd_toolkit.models.hybrid_transformer import HybridTransformer

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
    read = np.zeros((5, 6))
    for head in (slice(0, 3), slice(3, 6)):
        for t in range(5):
            scores = np.array([query[t, head] @ key[s, head] / np.sqrt(3) for s in range(3)])
            shares = np.exp(scores) / np.exp(scores).sum()
            read[t, head] = sum(share * value[s, head] for s, share in enumerate(shares))
    expected = read @ block.project.weight.detach().numpy().T + block.project.bias.detach().numpy()
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


def test_the_decoder_adds_what_the_encoder_had_at_its_resolution(build):
    student = build()
    with torch.no_grad():
        for up in student.up:
            up.weight.zero_()
            up.bias.zero_()
    layers = student(noise()).layers
    expected = student.decoder[0][0](layers["encoder_0"], None)  # nothing from below: the skip alone
    torch.testing.assert_close(layers["decoder_0"], expected)


def test_hidden_runs_are_one_run_no_longer_than_their_share():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = hidden_run(torch.zeros(200, 50, 40, 2), axis=1, share=0.2)
    assert kept.shape == (200, 50, 1, 1)
    hidden = 1 - kept[:, :, 0, 0]
    assert hidden.sum(dim=1).max() < 0.2 * 50 and hidden.any(dim=1).float().mean() > 0.7
    edges = hidden.diff(dim=1).abs().sum(dim=1) + hidden[:, 0] + hidden[:, -1]
    assert (edges[hidden.any(dim=1)] == 2).all()


def test_stochastic_depth_leaves_the_mean_of_a_branch_as_it_was():
    block = AttentionBlock(dim=4, heads=1, mlp_ratio=1.0, drop_path=0.25, neighbours=False)
    branch = torch.ones(4000, 2, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = block.train()._keep(branch)
    assert kept.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.03)
    assert block.eval()._keep(branch) is branch


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_mels": 42}, "multiple"),
        ({"dim": 18, "heads": 4}, "multiple"),
        ({"channels": (8, 6), "frequency_heads": 4}, "multiple"),
        ({"dropout": -0.1}, "dropout must be in"),
        ({"stochastic_depth": 1.0}, "stochastic_depth must be in"),
        ({"masking": 1.0}, "masking must be in"),
        *(({name: value}, "hybrid_transformer needs") for name, value in (("depth", 0), ("halvings", -1))),
        *(({name: value}, "hybrid_transformer needs") for name, value in (("frequency_depth", -1), ("channels", (8,)))),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HybridTransformer(num_classes=4, **{**SMALL, **options})
