"""What is done to training batches: drawn from (seed, epoch, place) alone, and nowhere else than in training."""

import hashlib

import numpy as np
import pytest
import torch

from akd_toolkit.data.augment import Mixup, build_augmentations, change_batch
from akd_toolkit.data.augment.base import mixed, partners
from akd_toolkit.data.batches import collate, collate_items
from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.outputs import UNLABELLED, TeacherOutput

WAVEFORM = [{"name": "speed_change", "p": 0.5}, {"name": "added_noise", "p": 0.5}, {"name": "chunk_drop", "p": 0.5}]


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    windows = [0.1 * random.standard_normal(n).astype(np.float32) for n in (4000, 8000, 2500, 8000, 5000)]
    return collate(list("abcde"), windows, [0, 1, 0, UNLABELLED, UNLABELLED], None, np.full((5, 1), np.nan))


def test_what_a_batch_becomes_depends_on_its_key_alone_and_leaves_torchs_own_numbers(batch):
    augmentations, mixup = build_augmentations(WAVEFORM), Mixup(alpha=1.0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = change_batch(batch, (17, 3, 1), augmentations, mixup)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same = change_batch(batch, (17, 3, 1), build_augmentations(WAVEFORM), mixup)
    other = change_batch(batch, (17, 3, 2), augmentations, mixup)
    assert torch.equal(one.waveforms, same.waveforms) and torch.equal(one.partner, same.partner)
    assert one.share == same.share != other.share and one.ids == batch.ids
    assert one.waveforms.shape != other.waveforms.shape or not torch.equal(one.waveforms, other.waveforms)


def test_everyone_has_a_partner_of_the_same_kind_and_none_is_left_out():
    labels = torch.tensor([0, 1, UNLABELLED, 2, UNLABELLED, 1, 0])
    seen = set()
    for seed in range(50):
        partner = partners(labels, np.random.default_rng(seed))
        assert sorted(partner.tolist()) == list(range(7))
        assert (partner != torch.arange(7)).all() and torch.equal(labels == UNLABELLED, labels[partner] == UNLABELLED)
        seen.add(int(partner[0]))
    assert seen == {1, 3, 5, 6}


def test_a_mixture_is_both_at_equal_loudness_and_as_loud_as_its_first():
    random = np.random.default_rng(0)
    windows = [0.1 * random.standard_normal(16000), 0.02 * random.standard_normal(8000)]
    batch = collate(["a", "b"], [window.astype(np.float32) for window in windows], [0, 1])
    both, lengths = mixed(batch.waveforms, batch.lengths, torch.tensor([1, 0]), share=0.75)
    assert lengths.tolist() == [1.0, 1.0]
    first = both[0] * (0.75**2 + 0.25**2) ** 0.5
    wanted = 0.75 * batch.waveforms[0]
    wanted[:8000] += 0.25 * batch.waveforms[1, :8000] * (0.1 / 0.02)
    torch.testing.assert_close(first, wanted, atol=0.003, rtol=0)
    assert float(both[0, :8000].square().mean().sqrt()) == pytest.approx(0.1, rel=0.03)
    assert float(both[1, :8000].square().mean().sqrt()) == pytest.approx(0.02, rel=0.03)


def test_a_mixture_stays_within_full_scale_and_silence_lifts_nothing():
    loud = torch.tensor([[1.0, -1.0], [0.9, -0.9], [0.0, 0.0]])
    both, _ = mixed(loud, torch.ones(3), torch.tensor([1, 2, 0]), share=0.5)
    assert both.isfinite().all() and both.abs().max() <= 1
    torch.testing.assert_close(both[1], 0.9 * torch.tensor([1.0, -1.0]) / 2**0.5)
    quiet = torch.tensor([[1.0, -1.0], [1e-4, 1e-4]])
    both, _ = mixed(quiet, torch.ones(2), torch.tensor([1, 0]), share=0.5)
    torch.testing.assert_close(both[0] * 0.5**0.5, torch.tensor([0.5005, -0.4995]))  # 20 dB and no more


def test_the_larger_share_belongs_to_the_row_and_a_batch_may_stay_as_it_is(batch):
    results = [Mixup(alpha=0.4, p=0.5)(batch, np.random.default_rng(seed)) for seed in range(400)]
    left = [result for result in results if result.partner is None]
    assert 150 < len(left) < 250 and all(result is batch for result in left)
    shares = np.array([result.share for result in results if result.partner is not None])
    assert (shares >= 0.5).all() and (shares <= 1).all()
    drawn = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert shares.mean() == pytest.approx(np.maximum(drawn, 1 - drawn).mean(), abs=0.03)


def test_batches_of_a_recipe_without_changes_are_those_of_old():
    """The digest was made before there was anything that changes batches."""
    rng = np.random.default_rng(0)
    counts = [1600 + 331 * i for i in range(24)]
    rows = [Utterance(f"u{i}", "/u", 0, n, n / 16000, f"s{i % 4}", "ab"[i % 2]) for i, n in enumerate(counts)]
    more = [Utterance(f"x{i}", "/x", 0, n, n / 16000, "x", "unlabelled") for i, n in enumerate(counts[:9])]
    waves = {row.id: (0.1 * rng.standard_normal(row.stop)).astype(np.float32) for row in [*rows, *more]}
    value = {row.id: float(index) for index, row in enumerate([*rows, *more])}

    def teachers(name, view, span):
        return TeacherOutput(torch.tensor([[[value[name] + view]]]))

    def speech(name, labels, rows, views):
        manifest = Manifest(name, labels, tuple(rows))
        return Speech(manifest, lambda i, v: waves[i], teachers, views, labelled=name == "toy")

    sources = [speech("toy", ("a", "b"), rows, 2), speech("more", ("unlabelled",), more, 1)]
    dataset, sampler, digest = WindowDataset(sources), TrainSampler(sources, 0.3, 8, 5), hashlib.sha256()
    for epoch in (1, 2):
        sampler.set_epoch(epoch)
        for draws in sampler:
            batch = collate_items([dataset[draw] for draw in draws])
            assert batch.partner is None and batch.share == 1.0
            digest.update(" ".join(batch.ids).encode())
            for tensor in (batch.waveforms, batch.lengths, batch.labels, batch.teacher.logits):
                digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest() == "0d0c49aac69927150838cfe15a3809f3fa9c19b29609bbdadc4062d1b0d7f596"
