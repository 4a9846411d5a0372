"""Formats and precisions of an export; imports no PyTorch, so that a command line is checked at once."""

PRECISIONS = ("fp32", "fp16", "int8")
FORMATS = {"onnx": PRECISIONS, "torchscript": ("fp32",), "tensorrt": ("fp32", "fp16")}
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "tensorrt": ".plan"}
CALIBRATION = 100  # utterances; twice as many changed no more decisions


def check_format(format: str, precision: str, calibration: int = CALIBRATION) -> None:
    """Raise ValueError if the format has no such precision, or ``calibration`` (utterances) is below 1.

    Example
    -------
    >>> check_format("onnx", "int8")
    >>> check_format("torchscript", "fp16")
    Traceback (most recent call last):
    ValueError: torchscript does not support fp16; supported: onnx in fp32, fp16, int8; torchscript in fp32; \
tensorrt in fp32, fp16.
    """
    if precision not in FORMATS.get(format, ()):
        supported = "; ".join(f"{name} in {', '.join(precisions)}" for name, precisions in FORMATS.items())
        raise ValueError(f"{format} does not support {precision}; supported: {supported}.")
    if calibration < 1:
        raise ValueError(f"calibration must be at least 1 utterance, got {calibration}.")
