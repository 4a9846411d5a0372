"""Samples in memory, however they are laid out and counted."""

import numpy as np

FULL_SCALE = {"uint8": (128, 128), "int16": (0, 2**15), "int32": (0, 2**31)}  # type -> its zero, and what 1.0 is in it
MAX_CHANNELS = 2  # of an array; more is taken for a batch that was meant to be a list


def samples_of(x, name: str) -> np.ndarray:
    """An array or a tensor as [samples, channels]; of two axes the shorter is the channels.

    Raises
    ------
    ValueError
        If it has another shape, more than two channels, or holds something else than floats or whole numbers of the
        types uint8, int16 and int32.

    Example
    -------
    >>> samples_of(np.zeros((2, 4000)), "stereo").shape, samples_of([0.5, 0.25, 0.5], "mono").shape
    ((4000, 2), (3, 1))
    """
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        x = (x.float() if x.is_floating_point() else x).numpy()
    samples = np.asarray(x)
    if samples.dtype.kind != "f" and samples.dtype.name not in FULL_SCALE:
        raise ValueError(
            f"{name} holds {samples.dtype.name}; give floats in [-1, 1], or {', '.join(FULL_SCALE)} as sound cards do"
            f"{whole_numbers_hint(samples.dtype)}."
        )
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim != 2 or min(samples.shape) > MAX_CHANNELS:
        raise ValueError(
            f"{name} has the shape {list(samples.shape)}; give one sound: [samples], or [channels, samples] or "
            "[samples, channels] with one or two channels. Several sounds make a list."
        )
    return samples if samples.shape[1] <= MAX_CHANNELS else samples.T


def whole_numbers_hint(dtype: np.dtype) -> str:
    """What makes whole numbers of another type, as ``np.array`` makes them of a list, one that is known; or nothing."""
    return " (16-bit samples: .astype(np.int16))" if dtype.kind in "iu" else ""


def scaled(samples: np.ndarray) -> np.ndarray:
    """Any sample type as float32 whose full scale is 1.

    Example
    -------
    >>> scaled(np.array([0, 128, 192], np.uint8)), scaled(np.array([-32768, 8192], np.int16))
    (array([-1. ,  0. ,  0.5], dtype=float32), array([-1.  ,  0.25], dtype=float32))
    """
    zero, one = FULL_SCALE.get(samples.dtype.name, (0, 1))
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused
        samples = samples.astype(np.float32)
    return (samples - np.float32(zero)) / np.float32(one) if one != 1 else samples


def whole_rate(sample_rate_hz) -> int:
    """A sampling rate that was given as any kind of number."""
    try:
        if int(sample_rate_hz) == sample_rate_hz:
            return int(sample_rate_hz)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"sample_rate_hz must be a whole number of samples a second, got {sample_rate_hz!r}.")
