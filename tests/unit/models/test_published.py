"""Students from published papers: sizes, and the layers that define them."""

import itertools
import math

import pytest
import torch
from torch import nn

from akd_toolkit.models.dkdfmh import FusedAttention
from akd_toolkit.models.light_sernet import LightSernet, pooled_map
from akd_toolkit.models.tim_net import TimNet, _CausalConv, backwards
from akd_toolkit.registry import STUDENTS

MEBIBYTE = 2**20


def test_light_sernet_is_as_large_as_in_its_paper():
    paths = 3 * 32 * (1 + 2) + 32 * (11 + 9 + 9)  # biases, norms, weights
    widths = [96, 64, 96, 128, 160]
    blocks = sum(9 * a * b + 2 * b for a, b in itertools.pairwise(widths)) + 160 * 320 + 2 * 320
    count = LightSernet(num_classes=7).num_parameters()
    assert count == paths + blocks + 320 * 7 + 7 == 461_703
    assert 2 * count / MEBIBYTE == pytest.approx(0.88, rel=0.02)  # the paper says 0.88 MB


def test_tim_net_is_as_large_as_in_its_paper():
    block = 2 * (2 * 39 * 39 + 39 + 2 * 39)  # two convolutions with biases, and their norms
    count = TimNet(num_classes=7).num_parameters()
    assert count == 2 * (39 * 39 + 39) + 2 * 8 * block + 8 + 39 * 7 + 7 == 104_496
    assert 4 * count / MEBIBYTE == pytest.approx(0.40, rel=0.02)  # the paper says 0.40 MB


@pytest.mark.parametrize("name", ["dkdfmh", "light_sernet", "tim_net", "micro_cnn"])
def test_it_learns_to_tell_two_tones(name):
    student = STUDENTS.example(name, num_classes=2)
    time_s = torch.arange(8000) / 16000
    labels = torch.arange(16) % 2
    tones = torch.stack([0.3 * torch.sin(6.283 * hz * time_s) for hz in torch.where(labels == 0, 300.0, 1500.0)])
    tones = tones + 0.01 * torch.randn_like(tones)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(student(tones).logits, labels).backward()
        optimizer.step()
    assert (student.eval()(tones).logits.argmax(dim=1) == labels).all()


@pytest.mark.parametrize("name", STUDENTS.names())
def test_it_trains_in_half_precision(name):
    student = STUDENTS.example(name, num_classes=2).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = student(0.1 * torch.randn(4, 8000), torch.tensor([1.0, 0.4, 0.7, 0.9]))
    nn.functional.cross_entropy(output.logits.float(), torch.arange(4) % 2).backward()
    assert all(p.grad.isfinite().all() for p in student.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("micro_cnn", {"num_mels": 30}, "multiple of 4"),
        ("micro_cnn", {"channels": [4]}, "micro_cnn"),
        ("micro_cnn", {"dilations": []}, "micro_cnn"),
        ("light_sernet", {"num_mfcc": 12}, "multiple of 8"),
        ("light_sernet", {"channels": [8, 8]}, "five channels"),
        ("tim_net", {"num_blocks": 0}, "num_blocks must be >= 1, got 0"),
        ("dkdfmh", {"heads": 0}, "heads >= 1, got .* heads=0"),
        ("dkdfmh", {"channels": [4]}, "two channels or more"),
        ("dkdfmh", {"num_mels": 60}, "num_mels must be a multiple of 8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        STUDENTS.example(name, num_classes=2, **options)


def test_pooling_an_odd_utterance_is_the_same_with_and_without_padding():
    short = torch.randn(1, 3, 5, 4)
    long = torch.full((1, 3, 8, 4), 99.0)
    long[:, :, :5] = short
    alone, _, _ = pooled_map(short, (2, 2), None, None)
    padded, mask, num_frames = pooled_map(long, (2, 2), torch.arange(8)[None] < 5, torch.tensor([5]))
    assert num_frames.tolist() == [3] and mask.tolist() == [[True, True, True, False]]
    torch.testing.assert_close(padded[:, :, :3], alone)
    assert not padded[:, :, 3:].any()


def test_causal_convolution_is_two_grouped_ones():
    ours, theirs = _CausalConv(dim=3, dilation=2), nn.Conv1d(6, 6, 2, dilation=2, groups=2)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.permute(1, 2, 3, 0).reshape(6, 3, 2))
        theirs.bias.copy_(ours.bias)
    x = torch.randn(2, 7, 6)
    expected = theirs(nn.functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
    torch.testing.assert_close(ours(x), expected)


def test_reversing_twice_changes_nothing_and_stays_within_each_length():
    x, num_frames = torch.randn(3, 6, 2), torch.tensor([6, 1, 4])
    once = backwards(x, num_frames)
    assert torch.equal(backwards(once, num_frames), x)
    assert torch.equal(once[2, :4], x[2, :4].flip(0)) and torch.equal(once[2, 4:], x[2, 4:])
    assert torch.equal(backwards(x, None), x.flip(1))


def test_tim_net_hears_the_past_in_one_direction_and_the_future_in_the_other():
    student = TimNet(num_classes=2, **TimNet.example_options).eval()
    x = torch.randn(1, 9, 16)
    later = x.clone()
    later[:, 5] += 1.0
    with torch.no_grad():
        changed = (student.blocks[0](later, None) - student.blocks[0](x, None)).abs().sum(dim=(0, 2)) > 0
    assert changed.tolist() == [5 <= frame <= 7 for frame in range(9)]  # two convolutions, each one frame back


def test_tim_net_says_the_same_of_reversed_speech_if_both_directions_share_weights():
    student = TimNet(num_classes=2, **TimNet.example_options).eval()
    with torch.no_grad():
        student.enter[1].load_state_dict(student.enter[0].state_dict())
        for block in student.blocks:
            for conv in block.convs:
                conv.weight[:, 1] = conv.weight[:, 0]
                conv.bias[8:] = conv.bias[:8]
        features = torch.randn(2, 20, 13)
        straight = student.encode(features, None)
        reverse = student.encode(features.flip(1), None)
    torch.testing.assert_close(straight.logits, reverse.logits)
    torch.testing.assert_close(straight.frames, reverse.frames.flip(1))


def test_tim_net_fuses_the_means_of_its_scales():
    student = TimNet(num_classes=2, **TimNet.example_options).eval()
    with torch.no_grad():
        student.scale_weights.copy_(torch.tensor([0.5, -1.0, 2.0]))
    output = student(0.1 * torch.randn(1, 8000))
    means = [layer.mean(dim=1) for layer in output.layers.values()]
    torch.testing.assert_close(output.embedding, 0.5 * means[0] - means[1] + 2 * means[2])


def test_fused_attention_is_the_mean_of_its_heads():
    attention = FusedAttention(dim=4, heads=3)
    x, mask = torch.randn(2, 5, 4), torch.tensor([[True] * 5, [True, True, True, False, False]])
    numbers = attention.query_key_value(attention.norm(x)).detach()
    expected = x.clone()
    for b in range(2):
        num_frames = int(mask[b].sum())
        for h in range(3):
            head = numbers[b, :, 8 * h : 8 * h + 8]  # two for the query, two for the key, four for the value
            for t in range(5):
                scores = [math.exp(float(head[t, :2] @ head[s, 2:4]) / math.sqrt(2)) for s in range(num_frames)]
                value = sum(score * head[s, 4:] for s, score in enumerate(scores)) / sum(scores)
                expected[b, t] += value / 3
    torch.testing.assert_close(attention(x, mask), expected)
