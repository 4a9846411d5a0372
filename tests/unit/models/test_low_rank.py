"""Reduced-rank regression, and an encoder student that copies its source at low rank."""

from operator import itemgetter

import pytest
import torch
from torch.utils.data import DataLoader

from akd_toolkit.data.batches import collate
from akd_toolkit.data.draws import Draw
from akd_toolkit.models.encoder_student import EncoderStudent
from akd_toolkit.models.low_rank import LowRankConvolution, LowRankLinear
from akd_toolkit.models.whisper_layers import sinusoids
from akd_toolkit.registry import STUDENTS
from akd_toolkit.training.head import reduce_encoder

FULL = {"conv1": 32, "conv2": 32, "attention": 32, "project": 32, "expand": 32, "contract": 32}
LOW = {"conv1": 20, "conv2": 20, "attention": 12, "project": 12, "expand": 12, "contract": 12}


def student_of(source, ranks):
    return EncoderStudent(num_classes=4, source=source, num_layers=2, frozen_layers=2, ranks=ranks).eval()


@pytest.fixture(scope="module")
def sounds():
    generator = torch.Generator().manual_seed(2)
    return [0.1 * torch.randn(n, generator=generator).cumsum(0) / 20 for n in range(4000, 16000, 400)]


def test_regression_finds_a_map_of_low_rank_and_its_offset():
    generator = torch.Generator().manual_seed(1)
    x, left, right = (torch.randn(*size, generator=generator) for size in ((500, 6), (5, 2), (2, 6)))
    layer = LowRankLinear(6, 5, rank=2)
    layer.fit([x[:200], x[200:]], [part @ (left @ right).T + 3 for part in (x[:200], x[200:])])
    torch.testing.assert_close(layer(x), x @ (left @ right).T + 3, atol=0.02, rtol=0.01)


def test_regression_is_the_best_of_its_rank():
    """Without noise no other rank-1 map does better: not even one found by gradient descent."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(300, 4, generator=generator) @ torch.randn(4, 4, generator=generator)
    y = x @ torch.randn(4, 3, generator=generator)
    layer, other = LowRankLinear(4, 3, rank=1), LowRankLinear(4, 3, rank=1)
    layer.fit([x], [y])
    optimiser = torch.optim.LBFGS(other.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = (other(x) - y).square().mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert (layer(x) - y).square().mean() <= 1.001 * closure()


@pytest.mark.parametrize("stride", [1, 2])
def test_patches_are_what_the_convolution_reads(stride):
    conv, x = LowRankConvolution(3, 4, rank=2, stride=stride), torch.randn(1, 3, 9)
    torch.testing.assert_close(conv.patches(x) @ conv.narrow.weight.flatten(1).T, conv.narrow(x)[0].T)


def test_full_ranks_compute_what_the_source_computes(source, sounds):
    student, whole = student_of(source, FULL), student_of(source, None)
    assert student.to_fit is not None and whole.to_fit is None
    student.reduce(sounds)
    assert student.to_fit is None
    expected = whole(sounds[-1][None]).frames
    assert (student(sounds[-1][None]).frames - expected).square().mean() < 0.02 * expected.var()


def test_lower_ranks_are_smaller_and_close_on_new_speech(source, sounds):
    whole, student, untied = student_of(source, None), student_of(source, LOW), student_of(source, LOW)
    sizes = [sum(weight.numel() for weight in each.encoder.parameters()) for each in (whole, student)]
    assert sizes[1] < 0.8 * sizes[0]
    student.reduce(sounds[::2])
    untied.reduce([torch.randn(8000, generator=torch.Generator().manual_seed(4))])  # fitted to something else
    errors = []
    for each in (student, untied):
        pairs = [(each(x[None]).frames, whole(x[None]).frames) for x in sounds[1::2]]
        errors.append(sum((a - b).square().sum().item() for a, b in pairs))
    assert errors[0] < 0.7 * errors[1]


def test_it_is_reduced_on_the_training_speakers_and_rebuilt_without_its_source(source, sounds, tmp_path):
    batches = {}
    for number, kind in enumerate((0, 0, 1)):
        waves = [wave.numpy() for wave in sounds[10 * number : 10 * number + 10]]
        batches[Draw(kind, number, place=0.0)] = collate([str(number)] * 10, waves, [0] * 10)
    loader = DataLoader(batches, batch_sampler=[[draw] * 10 for draw in batches], collate_fn=itemgetter(0))
    student, by_hand = student_of(source, LOW), student_of(source, LOW)
    reduce_encoder(student, loader, tmp_path)
    by_hand.reduce(sounds[:20])
    torch.testing.assert_close(student.encoder.state_dict(), by_hand.encoder.state_dict(), atol=1e-3, rtol=1e-3)
    again, other = student_of(source, LOW), student_of(source, FULL)
    again.reduce = None  # its weights are read from the store
    reduce_encoder(again, loader, tmp_path)
    assert again.to_fit is None
    torch.testing.assert_close(again.encoder.state_dict(), student.encoder.state_dict(), atol=0, rtol=0)
    reduce_encoder(other, loader, tmp_path)
    assert len(list(tmp_path.glob("reduced_encoders/*"))) == 2
    rebuilt = STUDENTS.build("encoder_student", **student.build_options).eval()
    assert rebuilt.to_fit is None
    rebuilt.load_state_dict(student.state_dict())
    assert torch.equal(rebuilt(sounds[0][None]).logits, student(sounds[0][None]).logits)


@pytest.mark.parametrize(
    "ranks, key",
    [({"conv1": 4}, "conv2"), ({**LOW, "project": 33}, "ranks.project"), ({**LOW, "expand": 0.5}, "expand")],
)
def test_ranks_that_fit_no_map_are_refused(source, ranks, key):
    with pytest.raises(ValueError, match=key):
        student_of(source, ranks)


def test_the_frozen_copy_learns_nothing(source, sounds):
    student = student_of(source, LOW)
    student.reduce(sounds[:4])
    student.train()(torch.stack([sounds[-1]] * 2)).logits.square().sum().backward()
    assert not any(weight.grad is not None for weight in student.encoder.parameters())
    assert student.classifier.weight.grad.isfinite().all()


def test_later_maps_correct_the_errors_of_earlier_ones(source, sounds, monkeypatch):
    """Fitted to the full model's sums, the layers end nearer to it than fitted to its own additions."""

    def additions_alone(part, before, inputs, targets):
        part.fit((x[0] for x in inputs), (y[0] for y in next(added)))
        return [x + part(y) for x, y in zip(before, inputs)]

    ranks = {**FULL, "conv2": 8}
    whole, student, other = student_of(source, None), student_of(source, ranks), student_of(source, ranks)
    student.reduce(sounds)
    added = additions(whole, sounds)
    monkeypatch.setattr("akd_toolkit.models.whisper_reduction._residual", additions_alone)
    other.reduce(sounds)
    expected = [whole(x[None]).frames.detach() for x in sounds]
    errors = [
        sum((each(x[None]).frames - y).square().sum().item() for x, y in zip(sounds, expected))
        for each in (student, other)
    ]
    assert errors[0] < 0.95 * errors[1]


def additions(whole, sounds):
    """What attention and the feed-forward part of each full layer add, for all sounds, one after the other."""
    mels = [whole.front_end.of_batch(x[None], None)[0] for x in sounds]
    states = [torch.nn.functional.gelu(whole.encoder.conv1(mel)) for mel in mels]
    states = [torch.nn.functional.gelu(whole.encoder.conv2(x)).transpose(1, 2) for x in states]
    states = [x + sinusoids(*x.shape[1:]) for x in states]
    for layer in whole.encoder.layers:
        yield (added := [layer.project(layer.attended(layer.qkv(x), None)).detach() for x in states])
        states = [x + y for x, y in zip(states, added)]
        yield (added := [layer.contract(layer.expanded(x)).detach() for x in states])
        states = [x + y for x, y in zip(states, added)]
