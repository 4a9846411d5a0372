"""What a student can be exported as; known without PyTorch, so that a command line is checked at once."""

FORMATS = {  # format -> precisions that it is written in
    "onnx": ("fp32", "fp16", "int8"),
    "torchscript": ("fp32",),
    "tensorrt": ("fp32", "fp16"),
}
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "tensorrt": ".plan"}
CALIBRATION = 100  # utterances; twice as many changed no more decisions


def check_format(format: str, precision: str, calibration: int = CALIBRATION) -> None:
    """Refuse a file that cannot be written.

    Arguments
    ---------
    calibration
        Utterances that an 8-bit file is calibrated on, >= 1.

    Raises
    ------
    ValueError
        If there is no such format in this precision, or nothing to calibrate on.

    Example
    -------
    >>> check_format("onnx", "int8")
    >>> check_format("torchscript", "fp16")
    Traceback (most recent call last):
    ValueError: there is no torchscript in fp16; onnx is written in fp32, fp16, int8; torchscript is written in fp32; \
tensorrt is written in fp32, fp16.
    """
    if precision not in FORMATS.get(format, ()):
        there = "; ".join(f"{name} is written in {', '.join(precisions)}" for name, precisions in FORMATS.items())
        raise ValueError(f"there is no {format} in {precision}; {there}.")
    if calibration < 1:
        raise ValueError(f"calibration must be at least 1 utterance, got {calibration}.")
