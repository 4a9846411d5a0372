import pytest
import torch

from akd_toolkit.models.micro_cnn import MicroCNN


def test_the_default_is_a_micro_student():
    student = MicroCNN(num_classes=7)
    assert 200_000 < student.num_parameters() <= 500_000


def test_it_learns_to_tell_two_tones():
    torch.manual_seed(0)
    student = MicroCNN(num_classes=2, **MicroCNN.example_options)
    time_s = torch.arange(8000) / 16000
    labels = torch.arange(16) % 2
    tones = torch.stack([0.3 * torch.sin(6.283 * hz * time_s) for hz in torch.where(labels == 0, 300.0, 1500.0)])
    tones = tones + 0.01 * torch.randn_like(tones)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    for _ in range(15):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(student(tones).logits, labels).backward()
        optimizer.step()
    assert (student.eval()(tones).logits.argmax(dim=1) == labels).all()


def test_layers_are_named_and_as_long_as_the_frames():
    output = MicroCNN(num_classes=3, **MicroCNN.example_options).eval()(torch.zeros(2, 16000))
    assert list(output.layers) == ["stem", "block_0", "block_1"]
    assert {layer.shape for layer in output.layers.values()} == {output.frames.shape}


@pytest.mark.parametrize("options", [{"num_mels": 30}, {"channels": [4]}, {"dilations": []}])
def test_sizes_that_do_not_fit_are_refused(options):
    with pytest.raises(ValueError, match="micro_cnn|num_mels must be a multiple of 4"):
        MicroCNN(num_classes=2, **{**MicroCNN.example_options, **options})
