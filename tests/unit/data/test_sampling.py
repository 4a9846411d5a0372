"""What an epoch hears."""

import numpy as np
import pytest

from akd_toolkit.data.sampling import balanced_order, epoch_order, sampling_of


def test_natural_order_is_the_permutation_that_it_always_was(toy_manifest):
    manifest = toy_manifest("A:anger", "B:neutral", "C:anger", "D:neutral")
    order = epoch_order(manifest, "natural", np.random.default_rng([3, 1]))
    assert order.tolist() == np.random.default_rng([3, 1]).permutation(4).tolist()


@pytest.mark.parametrize("sizes", [(50, 7, 3), (1, 1, 90), (4, 4, 4), (10,)])
def test_groups_are_heard_equally_often_up_to_one_and_all_of_each_before_any_twice(sizes):
    groups = np.repeat(np.arange(len(sizes)) * 5, sizes)
    order = balanced_order(groups, np.random.default_rng(0))
    assert len(order) == len(groups)
    for group, size in zip(np.unique(groups), sizes):
        heard = order[groups[order] == group]
        assert abs(len(heard) - len(groups) / len(sizes)) < 1
        times = np.bincount(heard, minlength=len(groups))[groups == group]
        assert times.max() - times.min() <= 1 and len(times) == size


def test_more_groups_than_utterances_per_group_still_fill_an_epoch():
    order = balanced_order(np.array([0, 1, 2, 2]), np.random.default_rng(1))
    assert len(order) == 4 and set(np.array([0, 1, 2, 2])[order]) == {0, 1, 2}


def test_the_remainder_falls_on_every_group_in_turn():
    groups = np.array([0, 0, 0, 1, 1, 1, 1])
    more = [np.bincount(groups[balanced_order(groups, np.random.default_rng(seed))]).argmax() for seed in range(200)]
    assert 70 < sum(more) < 130


def test_speakers_and_classes_are_told_apart(toy_manifest):
    manifest = toy_manifest("A:anger", "A:anger", "A:anger", "A:neutral", "B:neutral", "B:neutral")
    order = epoch_order(manifest, "speaker_balanced", np.random.default_rng(0))
    assert sum(manifest.utterances[row].speaker == "B" for row in order) == 3
    order = epoch_order(manifest, "class_balanced", np.random.default_rng(0))
    assert np.bincount(manifest.labels[order]).tolist() == [3, 3]


def test_no_setting_is_natural_and_a_wrong_one_is_refused():
    assert sampling_of(None) == sampling_of({"name": "natural"}) == "natural"
    with pytest.raises(ValueError, match=r"'sampling.names'; did you mean 'name'"):
        sampling_of({"names": "natural"})
    with pytest.raises(ValueError, match='sampling.name: got "x"; .* natural, class_balanced or speaker_balanced'):
        sampling_of({"name": "x"})
