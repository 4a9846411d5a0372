"""Students from a hub, against a real local server: what arrives is what was released, or a sentence says why not."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.bundle import write_list
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.hub import resolve_source

NAME = "me/emotion"
SOUND = np.random.default_rng(0).standard_normal((2, 9600)).astype(np.float32) * 0.1


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "kept"


def same_results(folder, released, backend="onnx"):
    np.testing.assert_array_equal(open_engine(folder, backend)(SOUND), open_engine(released, backend)(SOUND))


def test_a_student_is_downloaded_once(hub, released, cache):
    commit = hub.put(NAME, released)
    folder = resolve_source(NAME, cache_folder=cache)
    assert folder.name == commit and folder.is_relative_to(cache)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in released.iterdir())
    for backend in ("torch", "onnx"):
        same_results(folder, released, backend)
    hub.requests.clear()
    recognizer = EmotionRecognizer.from_pretrained(NAME, cache_folder=cache, activity="off")
    assert hub.fetched("GET") == [] and not any("/cdn/" in path for _, path in hub.requests)
    expected = open_engine(released).posterior(SOUND[0])
    np.testing.assert_allclose(list(recognizer(SOUND[0]).probabilities.values()), expected, atol=1e-6)


def test_a_commit_is_pinned_and_a_branch_moves(hub, released, bundle, cache):
    old = hub.put(NAME, released)
    (bundle / "hyperparams.yaml").write_text("seed: 18\n")
    write_list(bundle)
    new = hub.put(NAME, bundle)
    assert resolve_source(NAME, cache_folder=cache).name == new
    pinned = resolve_source(NAME, revision=old, cache_folder=cache)
    assert pinned.name == old and "seed: 17" in (pinned / "hyperparams.yaml").read_text()
    hub.repositories[NAME].refs["v1"] = old
    assert resolve_source(NAME, revision="v1", cache_folder=cache) == pinned
    hub.requests.clear()
    assert resolve_source(NAME, revision=old, cache_folder=cache) == pinned and hub.requests == []


@pytest.mark.parametrize("how", ["local_only", "HF_HUB_OFFLINE", "no network", "hub is down"])
def test_without_a_hub_the_copy_in_the_cache_is_used(hub, released, cache, how, monkeypatch, caplog):
    from huggingface_hub import constants

    hub.put(NAME, released)
    if how == "local_only":
        with pytest.raises(FileNotFoundError, match="cache"):
            resolve_source(NAME, cache_folder=cache, local_only=True)
    folder = resolve_source(NAME, cache_folder=cache)
    hub.requests.clear()
    if how == "HF_HUB_OFFLINE":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if how == "no network":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # a closed port
    if how == "hub is down":
        hub.faults["api"] = 500
    with caplog.at_level(logging.WARNING, logger="akd_toolkit"):
        assert resolve_source(NAME, cache_folder=cache, local_only=how == "local_only") == folder
    assert ("copy in the cache" in caplog.text) == (how in ("no network", "hub is down"))
    assert bool(hub.requests) == (how == "hub is down")


def test_damaged_files_are_refused_and_leave_the_cache(hub, released, cache):
    commit = hub.put(NAME, released)
    content = (released / "student.safetensors").read_bytes()
    for damaged, key in ((content[:-1] + bytes([content[-1] ^ 1]), "SHA-256"), (content[:-100], "truncated")):
        hub.faults["student.safetensors"] = damaged
        with pytest.raises((ValueError, ConnectionError), match=f"student.safetensors .*{key}|connection"):
            resolve_source(NAME, cache_folder=cache)
        assert not list(cache.rglob("student.safetensors")) and list(cache.rglob("student.json"))
    hub.faults.clear()
    folder = resolve_source(NAME, cache_folder=cache)
    same_results(folder, released, "torch")
    (folder / "student.json").resolve().write_text("{}")  # damaged later
    assert resolve_source(NAME, revision=commit, cache_folder=cache) == folder
    assert (folder / "student.json").read_bytes() == (released / "student.json").read_bytes()


@pytest.mark.parametrize(
    ("source", "revision", "error", "key"),
    [
        ("me/nothing", None, FileNotFoundError, r"me/nothing \(main\)"),
        (NAME, "v9", FileNotFoundError, r"me/emotion \(v9\) .*revision"),
        ("me/secret", None, PermissionError, "me/secret .*HF_TOKEN"),
        ("me/--..x", None, ValueError, "me/--..x"),
    ],
)
def test_what_does_not_exist_is_named(hub, released, cache, source, revision, error, key, monkeypatch):
    hub.put(NAME, released)
    hub.put("me/secret", released, private=True)
    with pytest.raises(error, match=key) as caught:
        resolve_source(source, revision, cache)
    assert "\n" not in str(caught.value) and caught.value.__cause__ is None
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    assert (resolve_source("me/secret", cache_folder=cache) / "student.onnx").is_file()


@pytest.mark.parametrize("where", ["api", "bundle.json", "student.onnx"])
@pytest.mark.parametrize(
    ("fault", "error"), [(503, ConnectionError), (403, PermissionError), ("hang", ConnectionError)]
)
def test_a_hub_that_fails_is_named(hub, released, cache, where, fault, error, monkeypatch):
    from huggingface_hub import constants

    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, 0.2)
    if (where, fault) == ("bundle.json", "hang"):
        pytest.skip("the server can hang at large files only")
    hub.put(NAME, released)
    hub.faults[where] = fault
    begin = time.monotonic()
    with pytest.raises(error, match="503|timed out|no access") as caught:
        resolve_source(NAME, cache_folder=cache)
    assert NAME in str(caught.value) and "\n" not in str(caught.value) and time.monotonic() - begin < 60


@pytest.mark.parametrize(
    ("file", "content", "key"),
    [
        ("model.pkl", b"", "model.pkl"),
        ("other.yaml", b"a: 1", "other.yaml"),
        ("sub/student.json", b"{}", "sub/student.json"),
        ("bundle.json", None, "bundle.json is missing"),
        ("student.json", b" " * (1 << 21), "2097152 bytes"),
    ],
)
def test_a_wrong_repository_is_refused_before_anything_is_fetched(hub, released, cache, file, content, key):
    hub.put(NAME, released)
    repository = hub.repositories[NAME]
    files = {**repository.commits[repository.at("main")], file: content}
    repository.commit({name: body for name, body in files.items() if body is not None})
    with pytest.raises(ValueError, match=rf"me/emotion \(main\).*{key}"):
        resolve_source(NAME, cache_folder=cache)
    assert hub.fetched("GET") == hub.fetched("HEAD") == [] and not cache.exists()


def test_a_repository_that_changes_meanwhile_is_not_mixed(hub, released, cache, monkeypatch):
    from huggingface_hub import HfApi

    hub.put(NAME, released)
    model_info = HfApi.model_info

    def then_changes(self, *args, **options):
        info = model_info(self, *args, **options)
        hub.put(NAME, released)
        return info

    monkeypatch.setattr(HfApi, "model_info", then_changes)
    with pytest.raises(ConnectionError, match="changed"):
        resolve_source(NAME, cache_folder=cache)


def test_places_on_this_disk_come_first(hub, released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Path(NAME)
    run.mkdir(parents=True)  # a run's folder need not be a bundle
    assert resolve_source(NAME) == run
    for place in (released, released / "student.onnx"):
        assert resolve_source(place) == place
    with pytest.raises(ValueError, match="revision"):
        resolve_source(released, revision="main")
    for source in ("nowhere", "./a/b", "a/b/c", tmp_path / "none", "~/x", "models/foo.onnx", "me/typo"):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            resolve_source(source)
    assert hub.requests == []


def test_a_stopped_download_keeps_complete_files(hub, released, cache):
    hub.put(NAME, released)
    hub.faults["student.onnx"] = "cut"
    with pytest.raises(ConnectionError, match="me/emotion .main."):
        resolve_source(NAME, cache_folder=cache)
    assert not list(cache.rglob("*.incomplete"))
    hub.faults.clear()
    hub.requests.clear()
    folder = resolve_source(NAME, cache_folder=cache)
    assert "student.safetensors" not in hub.fetched("GET")
    same_results(folder, released)
