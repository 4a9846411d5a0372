"""What may be asked of the bench; known without PyTorch, so that a mistake is found at once."""

import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.deploy.bench.machine import num_cores
from akd_toolkit.deploy.bench.ways import WAYS

PEERS = {
    "opensmile": "openSMILE eGeMAPS functionals (88 numbers; no classifier)",
    "wav2vec2": "wav2vec 2.0 base, frozen (no classifier)",
    "light_sernet": "LIGHT-SERNET, our registered student, as ONNX",
}


def check_options(sources, ways, peers, threads, batches, window_s, seconds) -> None:
    """Refuse what cannot be measured, before anything is loaded; arguments as of ``run_bench``.

    Whether a name is that of a registered student is seen when the source is opened.

    Raises
    ------
    ValueError
        If an option is out of range, a way or peer unknown, or a source neither there nor a name.

    Example
    -------
    >>> check_options(["micro_cnn"], ["onnx"], [], [1], [1, 8], 3.0, 2.0)
    >>> check_options(["results/akd/seed17"], ["onnx"], [], [1], [1, 8], 3.0, 2.0)
    Traceback (most recent call last):
    ValueError: 'results/akd/seed17' does not exist, and no student is called so; give an .onnx file, the folder of a \
run or of a bundle, or the name of a registered student (akd plugins).
    """
    for what, given, known in (("way", ways, WAYS), ("peer", peers, PEERS)):
        for name in given:
            if name not in known:
                also = ", or none" if what == "peer" else ""
                raise ValueError(f"unknown {what} '{name}'; known: {', '.join(known)}{also}.")
    thread_counts(threads)
    if min(batches, default=1) < 1:
        raise ValueError(f"batches must be >= 1, got {list(batches)}.")
    if not 0.1 <= window_s <= 60:
        raise ValueError(f"window_s must be from 0.1 to 60 s, got {window_s:g}.")
    if not 0 < seconds <= 3600:
        raise ValueError(f"seconds must be from above 0 to 3600, got {seconds:g}.")
    for source in sources:
        if not Path(source).exists() and not re.fullmatch(r"[\w-]+", str(source)):
            raise ValueError(
                f"'{source}' does not exist, and no student is called so; give an .onnx file, the folder of a run or "
                "of a bundle, or the name of a registered student (akd plugins)."
            )


def thread_counts(wanted: Sequence[int | str]) -> list[int]:
    """Numbers of threads, each once.

    Example
    -------
    >>> thread_counts([1, 2, 1])
    [1, 2]
    >>> thread_counts(["some"])
    Traceback (most recent call last):
    ValueError: threads must be numbers >= 1 or 'all', got 'some'.
    """
    for count in wanted:
        if count != "all" and not (str(count).isdigit() and int(count) >= 1):
            raise ValueError(f"threads must be numbers >= 1 or 'all', got '{count}'.")
    return list(dict.fromkeys(num_cores() if count == "all" else int(count) for count in wanted))
