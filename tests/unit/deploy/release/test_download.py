"""Students by name from a hub, against a real server: what arrives is what was released, or a sentence says why not."""

import errno
import logging
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.deploy.release import resolve_source
from akd_toolkit.inference.bundle import ALLOWED, write_list
from akd_toolkit.inference.engine import open_engine

NAME = "me/emotion"
SOUND = np.random.default_rng(0).standard_normal((2, 9600)).astype(np.float32) * 0.1


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "kept"


def answers(folder, backend):
    return open_engine(folder, backend)(SOUND)


def test_a_student_comes_from_the_hub_as_it_was_released(hub, released, cache):
    commit = hub.put(NAME, released)
    folder = resolve_source(NAME, cache_folder=cache)
    assert folder.name == commit and folder.is_relative_to(cache)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in released.iterdir())
    for backend in ("torch", "onnx"):
        np.testing.assert_array_equal(answers(folder, backend), answers(released, backend))


def test_what_is_in_the_cache_is_not_fetched_twice(hub, released, cache):
    hub.put(NAME, released)
    first = resolve_source(NAME, cache_folder=cache)
    assert "student.onnx" in hub.fetched("HEAD")
    hub.requests.clear()
    assert resolve_source(NAME, cache_folder=cache) == first
    assert hub.fetched("GET") == [] and not any("/cdn/" in path for _, path, _ in hub.requests)


def test_a_pinned_commit_stays_and_a_branch_moves(hub, released, bundle, cache):
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
    assert resolve_source(NAME, revision=old, cache_folder=cache) == pinned
    assert hub.requests == []  # a commit that is in the cache needs nobody


@pytest.mark.parametrize("way", ["local_only", "HF_HUB_OFFLINE", "no network", "hub is down"])
def test_without_a_hub_the_copy_in_the_cache_is_used(hub, released, cache, way, monkeypatch, caplog):
    from huggingface_hub import constants

    hub.put(NAME, released)
    folder = resolve_source(NAME, cache_folder=cache)
    hub.requests.clear()
    if way == "HF_HUB_OFFLINE":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if way == "no network":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    if way == "hub is down":
        hub.faults["api"] = 500
    with caplog.at_level(logging.WARNING, logger="akd_toolkit"):
        assert resolve_source(NAME, cache_folder=cache, local_only=way == "local_only") == folder
    asked_in_vain = way in ("no network", "hub is down")
    assert ("The copy in the cache is used." in caplog.text) == asked_in_vain
    assert bool(hub.requests) == (way == "hub is down")


def test_without_a_hub_and_without_a_copy_one_sentence_says_so(hub, released, cache, monkeypatch):
    from huggingface_hub import constants

    hub.put(NAME, released)
    with pytest.raises(FileNotFoundError, match=r"me/emotion \(main\) is not in the cache, and nobody may be asked"):
        resolve_source(NAME, cache_folder=cache, local_only=True)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"http://127.0.0.1:9 cannot be reached for me/emotion \(main\) \(.*\)"):
        resolve_source(NAME, cache_folder=cache)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub, released, cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)  # 10 MB otherwise: what is smaller begins again
    hub.put(NAME, released)
    size = (released / "student.onnx").stat().st_size
    hub.faults["student.onnx"] = ("cut", size // 3, 2)
    folder = resolve_source(NAME, cache_folder=cache)
    assert (folder / "student.onnx").read_bytes() == (released / "student.onnx").read_bytes()
    ranges = [told for verb, path, told in hub.requests if verb == "GET" and path.endswith("/student.onnx") and told]
    whole = size // 3 // 4096 * 4096  # of each part, what was kept
    assert ranges == [f"bytes={whole}-", f"bytes={2 * whole}-"]


def test_a_stopped_download_goes_on_with_what_is_whole(hub, released, cache):
    hub.put(NAME, released)
    hub.faults["student.onnx"] = ("cut", 0, 99)
    with pytest.raises(ConnectionError, match="me/emotion .main. broke off before all of it had arrived"):
        resolve_source(NAME, cache_folder=cache)
    assert not list(cache.rglob("*.incomplete"))
    hub.faults.clear()
    hub.requests.clear()
    folder = resolve_source(NAME, cache_folder=cache)
    assert not any(verb == "GET" and path.endswith("/student.safetensors") for verb, path, _ in hub.requests)
    np.testing.assert_array_equal(answers(folder, "onnx"), answers(released, "onnx"))


def test_a_truncated_file_is_refused_and_leaves_the_cache(hub, released, cache):
    hub.put(NAME, released)
    content = (released / "student.onnx").read_bytes()
    hub.repositories[NAME].commit({**hub.repositories[NAME].commits[hub.repositories[NAME].at("main")],
                                   "student.onnx": content[:-100]})  # fmt: skip
    with pytest.raises(ValueError, match=rf"student.onnx is truncated: {len(content) - 100} of {len(content)} bytes"):
        resolve_source(NAME, cache_folder=cache)
    assert not list(cache.rglob("student.onnx")) and list(cache.rglob("student.safetensors"))


def test_a_wrong_hash_is_refused_by_name_and_the_next_call_succeeds(hub, released, cache):
    hub.put(NAME, released)
    content = (released / "student.safetensors").read_bytes()
    hub.faults["student.safetensors"] = ("body", content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"student.safetensors has SHA-256 [0-9a-f]{12}\.\.\., not [0-9a-f]{12}\.\.\."):
        resolve_source(NAME, cache_folder=cache)
    hub.faults.clear()
    folder = resolve_source(NAME, cache_folder=cache)
    np.testing.assert_array_equal(answers(folder, "torch"), answers(released, "torch"))


def test_a_copy_that_was_damaged_in_the_cache_is_fetched_again(hub, released, cache):
    commit = hub.put(NAME, released)
    folder = resolve_source(NAME, cache_folder=cache)
    (folder / "student.json").resolve().write_text("{}")
    assert resolve_source(NAME, revision=commit, cache_folder=cache) == folder
    assert (folder / "student.json").read_bytes() == (released / "student.json").read_bytes()


@pytest.mark.parametrize(
    ("source", "revision", "error", "told"),
    [
        ("me/nothing", None, FileNotFoundError, r"me/nothing \(main\) is neither a folder here nor a repository on"),
        (NAME, "v9", FileNotFoundError, r"me/emotion \(v9\) is not on .* no such revision"),
        ("me/secret", None, PermissionError, r"me/secret \(main\) is private or does not exist .* set HF_TOKEN"),
        ("me/--..x", None, ValueError, "is no name of a repository"),
    ],
)
def test_what_is_not_there_for_us_is_told_in_one_sentence(hub, released, cache, source, revision, error, told):
    hub.put(NAME, released)
    hub.put("me/secret", released, private=True)
    with pytest.raises(error, match=told) as caught:
        resolve_source(source, revision, cache)
    assert "\n" not in str(caught.value) and caught.value.__cause__ is None


def test_a_private_student_comes_to_who_has_the_token(hub, released, cache, monkeypatch):
    hub.put(NAME, released, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    assert (resolve_source(NAME, cache_folder=cache) / "student.onnx").is_file()


@pytest.mark.parametrize("where", ["api", "bundle.json", "student.onnx"])
@pytest.mark.parametrize(("status", "error"), [(500, ConnectionError), (503, ConnectionError), (403, PermissionError)])
def test_a_hub_that_fails_is_named_with_its_answer(hub, released, cache, where, status, error):
    hub.put(NAME, released)
    hub.faults[where] = status
    told = "is not open to you" if status == 403 else f"answered {status} when asked for me/emotion"
    with pytest.raises(error, match=told) as caught:
        resolve_source(NAME, cache_folder=cache)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["api", "student.onnx"])
def test_a_hub_that_says_nothing_is_not_waited_for_without_end(hub, released, cache, where, monkeypatch):
    from huggingface_hub import constants

    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, 0.2)
    hub.put(NAME, released)
    hub.faults[where] = "hang"
    begin = time.monotonic()
    with pytest.raises(ConnectionError, match="did not answer in time when asked for me/emotion"):
        resolve_source(NAME, cache_folder=cache)
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("model.pkl", pickle.dumps([1]), r"holds model.pkl, and no bundle holds a kind of file that may run code"),
        (
            "pytorch_model.bin",
            b"PK\x03\x04",
            "holds pytorch_model.bin, and no bundle holds a kind of file that may run",
        ),
        ("custom.py", b"print(1)", "holds custom.py, and no bundle holds a kind of file that may run code"),
        ("other.yaml", b"a: 1", "holds other.yaml, and no bundle holds a kind of file that may run code"),
        ("sub/student.json", b"{}", "holds sub/student.json, which is no part of a bundle"),
        (".env", b"", "holds hidden file .env, which is no part of a bundle"),
    ],
)
def test_a_repository_with_foreign_files_is_refused_before_anything_is_fetched(
    hub, released, cache, file, content, told
):
    hub.put(NAME, released)
    repository = hub.repositories[NAME]
    repository.commit({**repository.commits[repository.at("main")], file: content})
    with pytest.raises(ValueError, match=rf"me/emotion \(main\) {told}"):
        resolve_source(NAME, cache_folder=cache)
    assert hub.fetched("GET") == hub.fetched("HEAD") == [] and not cache.exists()


def test_a_repository_that_is_no_bundle_or_too_large_is_refused_before_anything_is_fetched(hub, released, cache):
    hub.put(NAME, released)
    repository = hub.repositories[NAME]
    files = repository.commits[repository.at("main")]
    repository.commit({name: files[name] for name in files if name != "bundle.json"})
    with pytest.raises(ValueError, match=r"me/emotion \(main\) is no bundle \(bundle.json is missing\)"):
        resolve_source(NAME, cache_folder=cache)
    repository.commit({**files, "student.json": b" " * (1 << 21)})
    with pytest.raises(ValueError, match="student.json has 2097152 bytes, and at most 1048576 are allowed"):
        resolve_source(NAME, cache_folder=cache)
    assert hub.fetched("GET") == []


def test_a_constructor_in_the_yaml_is_refused_by_name(hub, bundle, cache):
    (bundle / "hyperparams.yaml").write_text("model: !new:os.system {command: date}\n")
    write_list(bundle)
    hub.put(NAME, bundle)
    with pytest.raises(ValueError, match=r"hyperparams.yaml calls !new:os.system in line 1, and no bundle does"):
        resolve_source(NAME, cache_folder=cache)


def test_a_full_disk_is_told(hub, released, cache, monkeypatch):
    import huggingface_hub

    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    hub.put(NAME, released)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(OSError, match=r"no space left for me/emotion \(main\) in the cache") as caught:
        resolve_source(NAME, cache_folder=cache)
    assert caught.value.errno == errno.ENOSPC


def test_a_repository_that_changes_meanwhile_is_not_mixed(hub, released, cache, monkeypatch):
    from huggingface_hub import HfApi

    hub.put(NAME, released)
    listed = HfApi.model_info

    def then_changes(self, *args, **options):
        told = listed(self, *args, **options)
        hub.put(NAME, released)
        return told

    monkeypatch.setattr(HfApi, "model_info", then_changes)
    with pytest.raises(ConnectionError, match="was changed on .* while it was being loaded; try again"):
        resolve_source(NAME, cache_folder=cache)


def test_what_lies_here_is_taken_from_here(hub, released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Path("me/emotion")
    run.mkdir(parents=True)  # a run's own folder need not be a bundle
    assert resolve_source("me/emotion") == run
    assert resolve_source(released) == released
    assert resolve_source(released / "student.onnx") == released / "student.onnx"
    assert hub.requests == []
    with pytest.raises(ValueError, match="lies on this disk and has no revisions"):
        resolve_source(released, revision="main")
    for source in ("nowhere", "./a/b", "a/b/c", tmp_path / "none", "~/x", "models/foo.onnx", "me/typo"):
        with pytest.raises(FileNotFoundError, match="does not exist; give the folder of a run"):
            resolve_source(source)
    assert hub.requests == []


def test_a_folder_that_says_it_is_a_bundle_is_checked(bundle):
    (bundle / "student.json").write_text("{}")
    with pytest.raises(ValueError, match="student.json is truncated"):
        resolve_source(bundle)


def test_every_allowed_file_is_a_plain_name():
    assert all("/" not in name and not name.startswith(".") for name in ALLOWED) and len(ALLOWED) == 10
