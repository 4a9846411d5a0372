"""Promises of every registered augmentation, found by registration."""

import numpy as np
import pytest
import soundfile
import torch

import akd_toolkit.data.augment  # noqa: F401  (registers)
from akd_toolkit.registry import AUGMENTATIONS

COUNTS = torch.tensor([8000, 16000, 1600, 4001])  # 0.1 s is the shortest that there is
FRAMES = torch.tensor([30, 7, 1])
each_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS.names())


@pytest.fixture
def build(tmp_path):
    """Builds the example of an augmentation; one that asks for a folder is given one with a little noise."""

    def make(name, **options):
        folder = {}
        if "folder" in AUGMENTATIONS.get(name).__init__.__annotations__:
            noise = 0.1 * np.random.default_rng(0).standard_normal(6000)
            soundfile.write(tmp_path / "noise.wav", noise, 16000)
            folder = {"folder": str(tmp_path)}
        return AUGMENTATIONS.example(name, **folder, **options)

    return make


def sound(stage):
    """What an augmentation of this stage is called with: padded sound, and where each row ends."""
    generator = torch.Generator().manual_seed(7)
    if stage == "features":
        return torch.randn(3, 30, 40, generator=generator) * within(FRAMES, 30)[..., None], FRAMES
    return 0.1 * torch.randn(4, 16000, generator=generator) * within(COUNTS, 16000), COUNTS


def within(counts, total):
    return torch.arange(total) < counts[:, None]


def test_the_suite_has_found_the_augmentations():
    assert len(AUGMENTATIONS.names()) >= 11, AUGMENTATIONS.names()


@each_augmentation
def test_augmentation_gives_finite_sound_with_silent_padding_and_leaves_what_it_was_given(name, build):
    plugin = build(name, p=1.0)
    values, counts = sound(plugin.stage)
    before = values.clone(), counts.clone()
    for seed in range(5):
        torch.manual_seed(seed)
        out, ends = plugin(values, counts)
        assert out.dtype == torch.float32 and out.isfinite().all() and not torch.equal(out, values)
        assert out.shape[0] == len(values) and out.shape[2:] == values.shape[2:] and ends.shape == counts.shape
        assert ends.dtype == counts.dtype and (ends <= out.shape[1]).all()
        assert out[~within(ends, out.shape[1])].eq(0).all()
        if plugin.stage == "waveform":
            assert (ends >= 1600).all() and out.abs().max() <= 1
        assert (ends >= 1).all() and out.shape[1] == ends.max()
    assert torch.equal(values, before[0]) and torch.equal(counts, before[1])


@each_augmentation
def test_augmentation_does_nothing_at_probability_0(name, build):
    plugin = build(name, p=0.0)
    values, counts = sound(plugin.stage)
    out, ends = plugin(values, counts)
    assert torch.equal(out, values) and torch.equal(ends, counts)


@each_augmentation
def test_augmentation_draws_from_torch_alone(name, build):
    plugin, again = build(name, p=0.7), build(name, p=0.7)
    values, counts = sound(plugin.stage)
    np.random.seed(1)
    torch.manual_seed(3)
    one, ends = plugin(values, counts)
    other, _ = plugin(values, counts)
    np.random.seed(2)
    torch.manual_seed(3)
    same, same_ends = again(values, counts)
    assert torch.equal(one, same) and torch.equal(ends, same_ends)
    assert one.shape != other.shape or not torch.equal(one, other)


@each_augmentation
def test_augmentation_of_an_utterance_does_not_depend_on_the_others(name, build):
    plugin = build(name, p=1.0)
    values, counts = sound(plugin.stage)
    louder = values.clone()
    louder[1] *= 3
    outs = []
    for given in (values, louder):
        torch.manual_seed(0)
        outs.append(plugin(given, counts)[0])
    torch.testing.assert_close(outs[0][[0, 2]], outs[1][[0, 2]])


@each_augmentation
def test_augmentation_survives_silence_and_one_utterance_alone(name, build):
    plugin = build(name, p=1.0)
    values, counts = sound(plugin.stage)
    out, _ = plugin(torch.zeros_like(values[:1]), counts[:1])
    assert out.isfinite().all()


@each_augmentation
@pytest.mark.parametrize("p", [-0.1, 1.5, "often", True])
def test_augmentation_refuses_a_p_that_is_not_a_probability(name, p, build):
    with pytest.raises(ValueError, match=r"p must be a number from 0 to 1, got"):
        build(name, p=p)


@each_augmentation
def test_augmentation_says_what_it_does_where_it_is_from_and_when_it_acts(name):
    plugin = AUGMENTATIONS.get(name)
    assert plugin.stage in ("waveform", "features")
    assert "Source:" in plugin.__doc__ and "Example" in plugin.__doc__
