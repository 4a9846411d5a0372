"""``akd listen`` fed through a pipe; the microphone's part is tested in test_live.py."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from programs import LIMIT_S

from akd_toolkit.cli import main
from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak
from akd_toolkit.inference import StreamingRecognizer, live
from akd_toolkit.inference.engine import open_engine


@pytest.fixture(scope="module")
def talk():
    """Two voices with silence before, between and behind, as 16-bit integers."""
    random = np.random.default_rng(3)
    voices = [speak(random_sentence(random), VoiceSettings(level_db=6.0), random) for _ in range(4)]
    parts = [np.zeros(20000), *voices[:3], np.zeros(40000), voices[3], np.zeros(33000)]
    return (np.concatenate(parts) * 32767).astype("<i2")


def expected(student_folder, talk, **options):
    recognizer = StreamingRecognizer(open_engine(student_folder), **options)
    samples = talk.astype(np.float32) / 32768
    return recognizer.push(samples) + recognizer.finish()


@pytest.fixture
def listen(student_folder, monkeypatch, capsys):
    """``listen(data, *words)`` pipes data into the command: exit code, lines on stdout and text on stderr."""

    def call(data, *words):
        pipe = data if hasattr(data, "read") else io.BytesIO(data)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe, isatty=lambda: False))
        code = main(["listen", "-", "--model", str(student_folder), *words])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


def as_json(moment):
    label = moment.label if moment.speaking else "no speech"
    row = {"start_s": moment.start_s, "time_s": moment.time_s, "speaking": moment.speaking, "label": label}
    return {**row, "raw": moment.raw, "smoothed": moment.smoothed, "probability": moment.probability}


@pytest.mark.parametrize("hop_s", [None, 0.5])
def test_every_hop_is_an_object_with_json(listen, student_folder, talk, hop_s):
    code, lines, err = listen(talk.tobytes(), "--json", *([] if hop_s is None else ["--hop_s", str(hop_s)]))
    moments = expected(student_folder, talk, hop_s=hop_s or 1.0)
    assert code == 0 and not err and [json.loads(line) for line in lines] == list(map(as_json, moments))
    assert {moment.speaking for moment in moments} == {True, False}


def test_people_see_a_line_where_the_decision_changes(listen, student_folder, talk):
    code, lines, err = listen(talk.tobytes() + b"\0")
    moments = expected(student_folder, talk)
    labels = [moment.label or "no speech" for moment in moments if moment.label or not moment.speaking]
    changes = [label for before, label in zip(["no speech", *labels], labels) if label != before]
    assert code == 0 and [re.split(" {2,}", line)[1] for line in lines] == changes
    assert changes.count("no speech") == 2 and "the last 1 of 2 bytes were left out" in err


def test_ctrl_c_prints_what_was_recognised_and_ends_with_130(listen, student_folder, talk):
    class Stopped(io.BytesIO):
        def read1(self, count=-1):
            data = super().read1(count)
            if not data:
                raise KeyboardInterrupt
            return data

    code, lines, _ = listen(Stopped(talk.tobytes()), "--json")
    assert code == 130 and len(lines) == len(expected(student_folder, talk))


def test_the_microphone_is_read_and_its_losses_are_reported(student_folder, talk, monkeypatch, capsys):
    @contextmanager
    def card(rate_hz, device):
        assert (rate_hz, device) == (16000, 3)
        yield rate_hz, SimpleNamespace(overruns=2), iter(np.array_split(talk.astype(np.float32) / 32768, 50))

    monkeypatch.setattr(live, "open_microphone", card)
    assert main(["listen", "--model", str(student_folder), "--device", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(expected(student_folder, talk))
    assert "listening at 16000 Hz" in err and "sound was lost 2 times" in err


@pytest.mark.parametrize(
    "options, data, key",
    [
        ([], b"", "pipe is empty"),
        (["--rate", "1"], bytes(99), "rate"),
        (["--hop_s", "9"], bytes(99), "hop_s"),
        (["--format", "f32le"], b"\xff" * 400, "nan"),
        (["--model", "nowhere/at/all"], bytes(99), "nowhere"),
        ([], b"this is text\n" * 9, "58 samples"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(listen, options, data, key):
    code, _, err = listen(data, *options)
    assert code == 1 and err.startswith("error: ") and key in err and err.count("\n") == 1


def test_without_a_model_or_a_pipe_or_with_a_file_it_is_refused(student_folder, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("akd_toolkit.inference.hub.PRETRAINED", tmp_path)
    for words, is_terminal, key in (
        (["-"], False, "--model"),
        (["-", "--model", str(student_folder)], True, "piped"),
        (["a.wav", "--model", str(student_folder)], True, "akd predict a.wav --timeline"),
    ):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda answer=is_terminal: answer))
        assert main(["listen", *words]) == 1 and key in capsys.readouterr().err


def test_as_a_process_it_ends_when_nobody_reads_and_when_it_is_stopped(student_folder, talk):
    """Both processes at once, because each spends seconds on its imports."""
    command = [sys.executable, "-m", "akd_toolkit.cli", "listen", "-", "--model", str(student_folder), "--json"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def start():  # Ctrl-C reaches it even if the tests run in the background, where it is ignored
        restore = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(command, env=os.environ, preexec_fn=restore, **pipes)

    unread, stopped = start(), start()
    stopped.stdin.write(talk.tobytes())
    stopped.stdin.flush()
    assert json.loads(stopped.stdout.readline())["time_s"] == 1.0  # predicted while the pipe is open
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=LIMIT_S)
    assert stopped.returncode == 130 and not err
    unread.stdout.close()
    unread.stdin.write(bytes(40000))  # a moment, and less than a pipe holds, so that nothing here waits
    unread.stdin.close()
    assert unread.stderr.read() == b"" and unread.wait(timeout=LIMIT_S) == 1
    unread.stderr.close()
