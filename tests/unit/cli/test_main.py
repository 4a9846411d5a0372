"""``akd`` itself: what it makes of its words, what it imports, and what a shell completes."""

from pathlib import Path

import pytest
from programs import run_python

from akd_toolkit import __version__
from akd_toolkit.cli import COMMANDS, load, main


@pytest.mark.parametrize(
    "words, near",
    [
        (["predit", "a.wav"], "'predict'"),
        (["--verson"], "--version"),
        (["predict", "a.wav", "--modle", "m.onnx"], "--model"),
        (["study", "overlop", "results"], "'overlap'"),
        (["study", "overlap", "results", "--window-s", "1"], "--window_s"),
        (["predict", "a.wav", "--backend", "onx"], "'onnx'"),
        (["predict"], "FILE"),
        (["export", "run", "--batch", "1", "2"], "akd export --help"),
        ([], "akd --help"),
    ],
)
def test_words_that_cannot_be_read_are_one_sentence_with_the_nearest(capsys, words, near):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: ") and near in err and err.count("\n") == 1


def test_every_command_has_help_and_the_version_is_printed(capsys):
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: akd {name} [OPTIONS]")
    assert main(["-h"]) == main(["--version"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS) and out.endswith(f"{__version__}\n")


def test_a_list_option_takes_words_up_to_the_next_option_and_can_be_repeated():
    command = load("bench")
    words = ["a", "--threads", "1", "all", "--ways", "onnx", "--batches=4", "--threads", "2", "--", "-b"]
    given = {name: value for name, value in command.make_context("bench", words).params.items() if value}
    assert [list(given[name]) for name in ("threads", "ways", "batches")] == [["1", "all", "2"], ["onnx"], [4]]
    assert list(given["source"]) == ["a", "-b"] and len(given["peers"]) == 3  # the default


@pytest.mark.parametrize("words", [["--help"], ["predict", "--jobs", "0"], *([name, "--help"] for name in COMMANDS)])
def test_only_the_called_command_is_imported_and_nothing_slow(words):
    code = (
        f"import sys; from akd_toolkit.cli import main; main({words}); "
        "print(*(name for name in sys.modules), file=sys.stderr)"
    )
    loaded = run_python("-c", code, cwd=Path.cwd()).stderr.split()
    assert {"rich", "pydantic", "torch", "numpy"}.isdisjoint(loaded)
    commands = {f"akd_toolkit.cli.{name.replace('-', '_')}" for name in COMMANDS}
    assert commands & set(loaded) == {f"akd_toolkit.cli.{words[0].replace('-', '_')}"} & commands


def completed(monkeypatch, capsys, shell: str, words: str) -> list[str]:
    monkeypatch.setenv("_AKD_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    with pytest.raises(SystemExit):
        main([])
    return capsys.readouterr().out.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_and_choices_are_completed(monkeypatch, capsys, shell):
    def found(words: str) -> str:
        return " ".join(completed(monkeypatch, capsys, shell, words))

    assert "predict" in found("akd pre") and "listen" not in found("akd pre")
    assert "--timeline" in found("akd predict a.wav --ti")
    assert "onnx" in found("akd predict a.wav --backend o") and "torch" not in found("akd predict a.wav --backend o")
    assert "students" in found("akd plugins st")
    assert "cross" in found("akd study c") and "--on" in found("akd study cross a --o")
    assert "int8" in found("akd export run --precision i") and "openvino-int8" in found("akd bench m --ways open")
