"""Seconds that the features of a speech encoder take with one and with several processes, and after a kill.

    python tools/feature_speed.py --data_folder /path/to/EmoDB --source openai/whisper-base

Takes recordings of a folder, stores their sound, then lets ``FeatureStore.prepare`` compute every layer of the encoder,
in a process of its own for each number of jobs. The last row kills such a process with all its workers (SIGKILL) when a
third is done, and prepares again: the seconds are those of the second part. All rows must give the same bytes.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpus_memory import repeated

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.store import FeatureStore


def prepare(store: Path, folder: Path, source: str, hours: float, jobs: int, backend: str) -> None:
    """Compute the features below ``store``, and print the time and a hash."""
    manifest = repeated(folder, hours)
    audio = AudioStore(manifest, store, progress=False)
    audio.prepare(1)
    features = FeatureStore(store, audio, TEACHERS.build("transformers_encoder", source=source))
    begin = time.monotonic()
    features.prepare(jobs, backend)
    seconds = time.monotonic() - begin
    (path,) = features.folder.glob("*.features.npy")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    rate = len(manifest) / seconds
    print(f"| {backend} | {jobs} | {len(manifest)} | {seconds:.1f} | {rate:.1f} | {digest} |", flush=True)


def kill_at(command: list[str], store: Path, chunks: int) -> None:
    """Start ``command`` in a new process group and kill it with its workers once ``chunks`` chunks are stored."""
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and len(list(store.rglob("*.features.parts/*.npz"))) < chunks:
        time.sleep(0.05)
    if process.poll() is not None:
        sys.exit("the features were complete before the process could be killed; give more --hours.")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_folder", type=Path, required=True)
    parser.add_argument("--source", required=True, help="hub name or folder of the encoder")
    parser.add_argument("--hours", type=float, default=0.4, help="of speech, from the folder")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--backend", default="local", choices=["local", "ray"])
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)  # of a process that measures one row
    arguments = parser.parse_args()
    options = arguments.data_folder, arguments.source, arguments.hours
    if arguments.store is not None:
        prepare(arguments.store, *options, arguments.jobs[0], arguments.backend)
        return
    print("| backend | jobs | utterances | seconds | utterances a second | SHA-256 |")
    print("|---|---:|---:|---:|---:|---|", flush=True)
    names = "--data_folder", "--source", "--hours"
    own = [sys.executable, __file__, "--backend", arguments.backend]
    own += [str(word) for pair in zip(names, options) for word in pair]
    for jobs in arguments.jobs:
        with tempfile.TemporaryDirectory() as store:
            subprocess.run([*own, "--jobs", str(jobs), "--store", store], check=True)
    with tempfile.TemporaryDirectory() as store:
        command = [*own, "--jobs", str(arguments.jobs[-1]), "--store", store]
        kill_at(command, Path(store), len(repeated(arguments.data_folder, arguments.hours)) // (3 * 16))
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
