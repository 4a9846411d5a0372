"""Formats and precisions of exported files; imports nothing, so that ``akd export --help`` is quick."""

PRECISIONS = ("fp32", "fp16", "int8")
FORMATS = {"onnx": PRECISIONS, "torchscript": ("fp32",), "tensorrt": ("fp32", "fp16")}
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "tensorrt": ".plan"}
CALIBRATION = 100  # utterances; twice as many changed no more decisions


def check_format(format: str, precision: str, calibration: int = CALIBRATION) -> None:
    """Raise ValueError if the format has no such precision, or ``calibration`` (utterances) is below 1."""
    if precision not in FORMATS.get(format, ()):
        supported = "; ".join(f"{name} in {', '.join(precisions)}" for name, precisions in FORMATS.items())
        raise ValueError(f"{format} does not support {precision}; supported: {supported}.")
    if calibration < 1:
        raise ValueError(f"calibration must be at least 1 utterance, got {calibration}.")
