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


@pytest.fixture
def model(student_folder):
    return str(student_folder)


@pytest.fixture(scope="module")
def talk():
    """Two voices with silence before, between and behind, as 16-bit integers."""
    random = np.random.default_rng(3)
    voices = [speak(random_sentence(random), VoiceSettings(level_db=6.0), random) for _ in range(4)]
    parts = [np.zeros(20000), *voices[:3], np.zeros(40000), voices[3], np.zeros(33000)]
    return (np.concatenate(parts) * 32767).astype("<i2")


def expected(model, talk, **options):
    recognizer = StreamingRecognizer(open_engine(model), **options)
    samples = talk.astype(np.float32) / 32768
    return recognizer.push(samples) + recognizer.finish()


def piped(monkeypatch, data):
    pipe = data if hasattr(data, "read") else io.BytesIO(data)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe, isatty=lambda: False))


def as_json(moment):
    label = moment.label if moment.speaking else "no speech"
    row = {"start_s": moment.start_s, "time_s": moment.time_s, "speaking": moment.speaking, "label": label}
    return {**row, "raw": moment.raw, "smoothed": moment.smoothed, "probability": moment.probability}


@pytest.mark.parametrize("hop_s", [None, 0.5])
def test_every_hop_is_an_object_with_json(model, talk, monkeypatch, capsys, hop_s):
    piped(monkeypatch, talk.tobytes())
    options = [] if hop_s is None else ["--hop_s", str(hop_s)]
    assert main(["listen", "-", "--model", model, "--json", *options]) == 0
    out, err = capsys.readouterr()
    moments = expected(model, talk, hop_s=hop_s or 1.0)
    assert [json.loads(line) for line in out.splitlines()] == [as_json(moment) for moment in moments]
    assert {moment.speaking for moment in moments} == {True, False} and not err


def test_people_see_a_line_where_the_decision_changes(model, talk, monkeypatch, capsys):
    piped(monkeypatch, talk.tobytes() + b"\0")
    assert main(["listen", "-", "--model", model]) == 0
    out, err = capsys.readouterr()
    labels = [moment.label or "no speech" for moment in expected(model, talk) if moment.label or not moment.speaking]
    changes = [label for before, label in zip(["no speech", *labels], labels) if label != before]
    found = [re.split(" {2,}", line)[1] for line in out.splitlines()]
    assert found == changes and changes.count("no speech") == 2
    assert "the last 1 of 2 bytes were left out" in err


def test_ctrl_c_prints_what_was_recognised_and_ends_with_130(model, talk, monkeypatch, capsys):
    class Stopped(io.BytesIO):
        def read1(self, count=-1):
            data = super().read1(count)
            if not data:
                raise KeyboardInterrupt
            return data

    piped(monkeypatch, Stopped(talk.tobytes()))
    assert main(["listen", "-", "--model", model, "--json"]) == 130
    assert len(capsys.readouterr().out.splitlines()) == len(expected(model, talk))


def test_the_microphone_is_read_and_its_losses_are_reported(model, talk, monkeypatch, capsys):
    @contextmanager
    def card(rate_hz, device):
        assert (rate_hz, device) == (16000, 3)
        yield rate_hz, SimpleNamespace(overruns=2), iter(np.array_split(talk.astype(np.float32) / 32768, 50))

    monkeypatch.setattr(live, "open_microphone", card)
    assert main(["listen", "--model", model, "--device", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(expected(model, talk))
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
def test_a_mistake_is_one_sentence_and_exit_code_1(model, monkeypatch, capsys, options, data, key):
    piped(monkeypatch, data)
    assert main(["listen", "-", "--model", model, *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and key in err and err.count("\n") == 1


def test_without_a_model_or_a_pipe_or_with_a_file_it_is_refused(model, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("akd_toolkit.inference.hub.PRETRAINED", tmp_path)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert main(["listen", "-"]) == 1
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    assert main(["listen", "-", "--model", model]) == 1
    assert main(["listen", "a.wav", "--model", model]) == 1
    err = capsys.readouterr().err
    assert "--model" in err and "piped" in err and "akd predict a.wav --timeline" in err


def test_as_a_process_it_ends_when_nobody_reads_and_when_it_is_stopped(model, talk):
    """Both processes at once, because each spends seconds on its imports."""
    command = [sys.executable, "-m", "akd_toolkit.cli", "listen", "-", "--model", model, "--json"]
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
