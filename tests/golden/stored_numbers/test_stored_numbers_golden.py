"""Numbers that users keep on disk change only under another version."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).with_name("make_reference.py")))
STORED = json.loads(SCRIPT["PATH"].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def now():
    return SCRIPT["compute"]()


@pytest.mark.parametrize("name", STORED)
def test_stored_numbers_are_those_of_their_version(name, now):
    moved = SCRIPT["changed"](STORED[name], now[name])
    assert not moved, f"raise the version of {name} and run make_reference.py: {moved} changed"


def test_everything_that_is_computed_is_stored(now):
    assert list(STORED) == list(now) == ["logmel_statistics", "heads", "attribute heads"]
