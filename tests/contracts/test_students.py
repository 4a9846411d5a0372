"""What every registered student promises, whoever wrote it."""

import copy
import io
from functools import cache

import numpy as np
import pytest
import torch

from akd_toolkit import models  # noqa: F401  registers the students
from akd_toolkit.deploy.export import check_parity, export_onnx
from akd_toolkit.deploy.export.parity import probe_waveforms
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.session import by_row, padded_batch
from akd_toolkit.outputs import ModelOutput
from akd_toolkit.registry import STUDENTS

NAMES = STUDENTS.names()
MIN_SAMPLES = 1600  # 0.1 s

# Options of the size that recipes train, and how many parameters its size class allows.
FULL_SIZE = {
    "micro_cnn": ({}, 0.5e6),
    "pretrained_cnn": ({}, 0.5e6),
    "dkdfmh": ({}, 0.5e6),
    "light_sernet": ({}, 0.5e6),
    "tim_net": ({}, 0.5e6),
    "hybrid_transformer": ({}, 5e6),
    "multihead_attention": ({}, 1e6),
    "vanilla_transformer": ({}, 1.5e6),
    "encoder_student": (
        {"num_layers": 3, "architecture": {"width": 512, "heads": 8, "feed_forward": 2048, "num_mels": 80}},
        25e6,
    ),
}

each_student = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def trained():
    """Builds an example student in eval mode whose batch statistics are no longer those of a fresh layer."""
    built = {}

    def build(name):
        if name not in built:
            with torch.random.fork_rng():
                torch.manual_seed(11)
                student = STUDENTS.example(name, num_classes=4)
                with torch.no_grad():
                    for _ in range(3):
                        student.train()(noise(4, 8000))
            built[name] = student.eval()
        return built[name]

    return build


def noise(batch, num_samples, seed=7):
    generator = torch.Generator().manual_seed(seed)
    gains = torch.logspace(-2, -0.7, batch)[:, None]
    return gains * torch.randn(batch, num_samples, generator=generator)


def test_the_students_of_the_toolkit_are_registered():
    assert set(NAMES) >= set(FULL_SIZE) and len(NAMES) == len(set(NAMES))


@each_student
def test_output_has_the_shapes_of_the_contract(name, trained):
    output = trained(name)(noise(3, 8000), torch.tensor([1.0, 0.5, 0.75]))
    assert isinstance(output, ModelOutput)
    assert output.logits.shape == (3, 4)
    batch, num_frames, _ = output.frames.shape
    assert output.embedding.shape[0] == batch == 3 and output.embedding.dim() == 2
    assert output.layers and all(layer.dim() == 3 and layer.shape[0] == 3 for layer in output.layers.values())
    assert output.lengths.shape == (3,) and (output.lengths > 0).all() and (output.lengths <= 1).all()
    assert output.frame_mask().sum(dim=1).argsort().tolist() == [1, 2, 0] and output.frame_mask()[0].sum() == num_frames


@each_student
def test_every_weight_gets_a_finite_gradient_and_most_get_one_that_is_not_zero(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        student = STUDENTS.example(name, num_classes=4).train()
        output = student(noise(6, 8000), torch.linspace(0.4, 1.0, 6))
    torch.nn.functional.cross_entropy(output.logits, torch.arange(6) % 4).backward()
    gradients = [weight.grad for weight in student.parameters() if weight.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert sum(bool(gradient.any()) for gradient in gradients) > 0.8 * len(gradients)


@each_student
@pytest.mark.parametrize("valid", [1600, 5000, 8123, 15999])
def test_an_utterance_in_a_padded_batch_gets_the_answer_it_gets_alone(name, valid, trained):
    student, total = trained(name), 16000
    waveform = noise(3, total)
    waveform[1, valid:] = 0.0
    with torch.no_grad():
        together = student(waveform, torch.tensor([1.0, valid / total, 1.0]))
        alone = student(waveform[1:2, :valid])
    torch.testing.assert_close(together.logits[1:2], alone.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.embedding[1:2], alone.embedding, atol=1e-4, rtol=1e-4)
    num_valid = int(together.frame_mask()[1].sum())
    assert num_valid == alone.frames.shape[1]
    torch.testing.assert_close(together.frames[1:2, :num_valid], alone.frames, atol=1e-4, rtol=1e-4)


@each_student
def test_what_lies_in_the_padding_does_not_matter(name, trained):
    waveform, lengths = noise(2, 16000), torch.tensor([1.0, 0.6])
    loud = waveform.clone()
    waveform[1, 9600:] = 0.0
    with torch.no_grad():
        silent, loud = trained(name)(waveform, lengths), trained(name)(loud, lengths)
    torch.testing.assert_close(silent.logits, loud.logits, atol=1e-5, rtol=0)


@each_student
def test_reordering_the_batch_reorders_the_outputs(name, trained):
    waveform, lengths, order = noise(4, 8000), torch.tensor([1.0, 0.9, 0.5, 0.7]), torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        straight = trained(name)(waveform, lengths).logits
        reordered = trained(name)(waveform[order], lengths[order]).logits
    torch.testing.assert_close(reordered, straight[order], atol=1e-5, rtol=0)


@each_student
def test_a_tenth_of_a_second_is_enough_and_less_is_refused_in_one_sentence(name, trained):
    assert trained(name)(noise(2, MIN_SAMPLES)).logits.isfinite().all()
    with pytest.raises(ValueError, match=r"1600") as refusal:
        trained(name)(noise(2, MIN_SAMPLES - 1))
    assert "\n" not in str(refusal.value)


@each_student
def test_silence_and_full_scale_give_finite_outputs(name, trained):
    extremes = torch.stack([torch.zeros(8000), torch.ones(8000), noise(1, 8000)[0].sign()])
    output = trained(name)(extremes)
    assert output.logits.isfinite().all() and output.frames.isfinite().all()


@each_student
def test_the_embedding_is_what_a_linear_classifier_reads(name, trained):
    student = trained(name)
    dims = student.output_dims()
    output = student(noise(2, 8000))
    assert output.embedding.shape[1] == dims["student_embedding_dim"]
    assert output.frames.shape[2] == dims["student_frame_dim"]
    assert {name: layer.shape[2] for name, layer in output.layers.items()} == dims["student_layer_dims"]
    torch.testing.assert_close(student.classifier(output.embedding), output.logits, atol=1e-5, rtol=1e-5)


@each_student
def test_full_size_stays_within_its_size_class(name):
    if name not in FULL_SIZE:
        pytest.skip(f"'{name}' comes from another package, which sets its own size.")
    options, budget = FULL_SIZE[name]
    student = STUDENTS.build(name, num_classes=7, **options)
    assert budget / 100 < student.num_parameters() <= budget


@each_student
def test_a_copy_and_a_reloaded_state_answer_alike(name, trained):
    student, waveform = trained(name), noise(2, 8000)
    saved = io.BytesIO()
    torch.save(student.state_dict(), saved)
    saved.seek(0)
    with torch.random.fork_rng():
        fresh = STUDENTS.example(name, num_classes=4).eval()
    fresh.load_state_dict(torch.load(saved, weights_only=True))
    with torch.no_grad():
        expected = student(waveform).logits
        assert torch.equal(copy.deepcopy(student)(waveform).logits, expected)
        assert torch.equal(fresh(waveform).logits, expected)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Name of a student -> the trained one as a file, and the report of its writing; written once."""

    @cache
    def make(name, student):
        path = tmp_path_factory.mktemp(name) / "student.onnx"
        return path, export_onnx(student, path, label_order=["anger", "boredom", "fear", "neutral"])

    return make


@each_student
def test_exports_to_onnx_and_agrees_at_every_length_and_batch_size(name, trained, exported):
    path, report = exported(name, trained(name))
    assert report.num_waveforms == 3 * (1 + 3)
    # Lengths and batch sizes that export_onnx did not try itself.
    again = check_parity(
        path, trained(name), waveforms=probe_waveforms(lengths=(1601, 8000, 31999), batch_sizes=(2, 5))
    )
    assert again.largest_difference <= 1e-4 and again.changed_decisions == 0.0


SOUNDS = probe_waveforms(lengths=(MIN_SAMPLES, 8000), batch_sizes=(2,))


@pytest.fixture(scope="module")
def converted(trained, exported):
    """Name of a student -> its files in every precision; written once."""

    @cache
    def make(name):
        file, _ = exported(name, trained(name))
        return {
            "fp32": file,
            "fp16": to_fp16(file, file.with_name("student.fp16.onnx")),
            "dynamic": to_int8(file, file.with_name("dynamic.onnx"), mode="dynamic"),
            "static": to_int8(file, file.with_name("static.onnx"), [sound[0] for sound in SOUNDS]),
        }

    return make


@each_student
def test_a_file_gives_a_padded_batch_the_results_of_each_utterance_alone(name, converted):
    waveforms = [sound.numpy() for sound in (noise(1, 16000)[0], *noise(3, 5003), noise(1, MIN_SAMPLES)[0])]
    padded, lengths = padded_batch(waveforms)
    padded[1, 5003:] = 0.5  # what lies in the padding does not matter
    for precision, path in converted(name).items():
        engine = open_engine(path)
        together, alone = engine(padded, lengths), by_row(engine, padded, lengths)
        limit = 1e-5 if precision == "fp32" else 1e-3
        np.testing.assert_allclose(together, alone, rtol=0, atol=limit, err_msg=precision)
        assert (together.argmax(axis=1) == alone.argmax(axis=1)).all(), precision


@each_student
def test_every_precision_works_on_edge_cases(name, converted):
    """Half precision and 8 bits: 0.1 s, silence, a square wave at full scale; finite, and near the file in 32 bits."""
    square = np.sign(np.sin(np.arange(8000) / 9)).astype(np.float32)[None]
    sounds = [*SOUNDS, np.zeros_like(square), square]
    files = converted(name)
    expected = [open_engine(files["fp32"])(sound) for sound in sounds]
    for precision in ("fp16", "dynamic", "static"):
        engine = open_engine(files[precision])  # which refuses answers that are no numbers
        limit = 0.02 if precision == "fp16" else 0.3
        for sound, wanted in zip(sounds, expected):
            assert np.abs(engine(sound) - wanted).max() < limit, (precision, sound.shape)
