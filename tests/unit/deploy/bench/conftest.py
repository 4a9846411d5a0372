"""A tiny exported student, written without PyTorch's exporter."""

import pytest

GRAPH = """
<ir_version: 9, opset_import: ["": 18]>
tiny (float[batch, samples] waveform) => (float[batch, 2] probabilities)
<int64[1] axes = {1}, float[1, 2] weight = {1, -1}>
{
    level = Abs (waveform)
    mean = ReduceMean <keepdims = 1> (level, axes)
    logits = MatMul (mean, weight)
    probabilities = Softmax (logits)
}
"""


@pytest.fixture
def tiny_file(tmp_path):
    """Mean level of the waveform (the front end), times [1, -1], softmax."""
    import onnx

    model = onnx.parser.parse_model(GRAPH)
    for node, name in zip(model.graph.node, ("front_end/abs", "front_end/mean", "classifier", "softmax")):
        node.name = name
    metadata = {"label_order": '["loud", "quiet"]', "sample_rate_hz": "16000", "window_s": "3.0", "opset": "18"}
    onnx.helper.set_model_props(model, {**metadata, "student": "Tiny", "num_parameters": "2"})
    onnx.save(model, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"
