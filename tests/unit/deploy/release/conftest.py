"""A local server with the hub's protocol, and a bundle made by ``akd release`` to put on it."""

import hashlib
import json
import shutil
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
import torch
from corpora import write_corpus
from finished import write_plan, write_scores_of

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import STUDENTS

TOKEN = "hf_a_token_of_the_tests"
LABELS = ("anger", "sadness", "neutral")
JSON = {"Content-Type": "application/json"}
LARGE = (".safetensors", ".onnx")  # kept as large files: served from another place, as the real hub does


@dataclass
class Repository:
    """Commits of one repository: commit -> name -> bytes."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """A commit that holds these files and no others; its hash."""
        sha = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[sha], self.refs[branch] = dict(files), sha
        return sha

    def at(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.refs.get(revision)


class Hub(ThreadingHTTPServer):
    """What ``huggingface_hub`` needs of the hub, in memory, on a free port of this machine.

    ``faults`` maps a file's name (or ``"api"``) to what goes wrong with it: a status, ``"hang"``, ``"cut"`` (the
    connection breaks before its content), or bytes that come instead.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.elsewhere = f"http://localhost:{self.server_port}"  # another host by name, which gets no token
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}  # by SHA-256
        self.requests: list[tuple[str, str]] = []  # method, path
        self.faults: dict = {}
        self.released = threading.Event()  # ends hanging responses when the test ends

    def put(self, name: str, folder: Path, **options) -> str:
        """A repository with the files of a folder; its commit."""
        repository = self.repositories.setdefault(name, Repository(**options))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        return repository.commit({".gitattributes": b"*.onnx filter=lfs\n", **files})

    def fetched(self, method: str = "GET") -> list[str]:
        """Names of the files requested by this method, in order."""
        return [path.rsplit("/", 1)[1] for verb, path in self.requests if verb == method and "/resolve/" in path]

    def create_commit(self, name, operations, revision=None, **_) -> SimpleNamespace:
        """In place of the method of ``HfApi``: these additions and deletions in one commit."""
        repository, branch = self.repositories[name], revision or "main"
        files = dict(repository.commits[repository.at(branch)])
        for change in operations:
            source = getattr(change, "path_or_fileobj", None)
            files[change.path_in_repo] = source and Path(source).read_bytes()
        kept = {file: content for file, content in files.items() if content is not None}
        return SimpleNamespace(oid=repository.commit(kept, branch))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _serve(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = path.strip("/").split("/")
        fault = self.server.faults.get("api" if parts[0] == "api" else parts[-1])
        if fault == "hang" and parts[0] in ("api", "cdn"):
            self.server.released.wait(10)
            self.close_connection = True
            return
        status, body, headers = (fault, b"", {}) if isinstance(fault, int) else self._answer(parts)
        if status == 200 and isinstance(fault, bytes):
            body = fault
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if status == 200 and fault == "cut":
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = _serve

    def _answer(self, parts) -> tuple[int, bytes, dict]:
        """Status, content and headers."""
        if parts[:3] == ["api", "repos", "create"]:
            return self._create()
        if parts[0] == "cdn":
            return 200, self.server.objects[parts[1]], {}
        api = parts[0] == "api"
        if api and parts[1] != "models":
            return 404, b"", {}
        name, rest = ("/".join(parts[2:4]), parts[4:]) if api else ("/".join(parts[:2]), parts[2:])
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self._known()):
            return 404 if repository is None else 401, b"", {"X-Error-Code": "RepoNotFound"}
        if api and rest[:1] == ["branch"]:
            repository.refs.setdefault(rest[1], repository.refs.get("main", ""))
            return 200, b"{}", JSON
        sha = repository.at(rest[1] if rest else "main")
        if sha is None:
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        files, file = repository.commits[sha], "/".join(rest[2:])
        if api:
            siblings = [
                {"rfilename": file, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
                for file, content in files.items()
            ]
            about = {"id": name, "sha": sha, "private": repository.private, "siblings": siblings}
            return 200, json.dumps(about).encode(), JSON
        if file not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}
        headers = {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha1(files[file]).hexdigest()}"'}
        if not file.endswith(LARGE):
            return 200, files[file], headers
        digest = hashlib.sha256(files[file]).hexdigest()
        self.server.objects[digest] = files[file]
        headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(files[file]))}
        return 302, b"", {**headers, "Location": f"{self.server.elsewhere}/cdn/{digest}/{file}"}

    def _create(self) -> tuple[int, bytes, dict]:
        if not self._known():
            return 401, b'{"error": "Invalid username or password."}', {}
        request = json.loads(self.body)
        name = f"{request['organization']}/{request['name']}"
        there = name in self.server.repositories
        if not there:
            private = request.get("private") or request.get("visibility") == "private"
            self.server.repositories[name] = Repository(private=bool(private))
            self.server.repositories[name].commit({".gitattributes": b""})
        return 409 if there else 200, json.dumps({"url": f"{self.server.endpoint}/{name}"}).encode(), JSON

    def _known(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The local hub as the one of huggingface_hub, without waiting times and without a token."""
    import huggingface_hub.file_download
    import huggingface_hub.utils._http as http
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils import close_session

    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(HfApi, "create_commit", lambda api, *args, **options: server.create_commit(*args, **options))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    idle = SimpleNamespace(**{**vars(http.time), "sleep": lambda seconds: None})
    monkeypatch.setattr(http, "time", idle)
    monkeypatch.setattr(huggingface_hub.file_download, "time", idle)
    yield server
    close_session()
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def toy_experiment(folder: Path, corpus: str = "EmoDB", **settings) -> Path:
    """A finished experiment of four speakers in two folds, whose students are real and untrained."""
    rows = list(product("ABCD", LABELS, "01"))
    noise = 0.1 * np.random.default_rng(0).standard_normal((len(rows), 16000))
    names = ["-".join(row) for row in rows]
    speech = [(name, *row[:2], wave, {"text": name}) for name, row, wave in zip(names, rows, noise)]
    manifest = write_corpus(folder / "sound", speech, LABELS, corpus)
    fixed = {
        **{"number_of_epochs": 2, "candidates": [{}], "objective": {"task": {"name": "cross_entropy"}}},
        **{"opt_class": {"!name:torch.optim.AdamW": {"lr": 0.1}}, "window_s": 1.0, "test_overlap_s": 0.5, **settings},
    }
    plan = {"recipe": "student", "system": "student", "seeds": [17], "folds": [1, 2]}
    folds = write_plan(folder, manifest, [["A", "B"], ["C", "D"]], plan, **fixed)
    options = STUDENTS.get("micro_cnn").example_options
    for fold, (tested, trained) in enumerate((folds, folds[::-1]), start=1):
        run = folder / f"seed17/fold{fold}/outer"
        torch.manual_seed(fold)
        student = STUDENTS.build("micro_cnn", **options, num_classes=len(LABELS))
        student.classifier.bias.data[1] += 2.0  # always predicts sadness, in any precision
        about = {"sample_rate_hz": 16000, "window_s": 1.0, "test_overlap_s": 0.5, "corpus": corpus, "candidate": {}}
        about |= {"train_speakers": trained, "test_speakers": tested, "seconds": 1.0}
        save_student(run, student, {"name": "micro_cnn", **options}, LABELS, **about)
        # anger is classified as sadness, the others are right
        found = [max(1, LABELS.index(row.emotion)) for row in manifest.of(tested)]
        write_scores_of(run, manifest, tested, 0.1 + 0.7 * np.eye(len(LABELS))[found], fold)
        pd.DataFrame({"epoch": [1, 2], "total": [2.0, 1.0]}).to_csv(run / "metrics.csv", index=False)
        (run / "audit.json").write_text(json.dumps({"proved": ["no speaker is shared"], "not_proved": []}))
    return folder


@pytest.fixture
def make_experiment(tmp_path):
    """(corpus, ...) -> folder of a finished toy experiment of its own."""
    return lambda name="experiment", **options: toy_experiment(tmp_path / name, **options)


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A bundle as ``akd release`` writes it, made once; tests that change it take ``bundle``."""
    from akd_toolkit.deploy.release.release import release

    root = tmp_path_factory.mktemp("released")
    run = toy_experiment(root / "experiment") / "seed17/fold1/outer"
    return release(run, root / "bundle", sound=False)


@pytest.fixture
def bundle(released, tmp_path):
    """A copy of the bundle that a test may damage."""
    return shutil.copytree(released, tmp_path / "bundle")
