"""requirements.lock holds what setup.cfg asks for."""

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
UNLOCKED = {"tensorrt"}  # extras whose packages come from another index


def requirements() -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = {name: lines for name, lines in config["options.extras_require"].items() if name not in UNLOCKED}
    text = "\n".join([config["options"]["install_requires"], *extras.values()])
    return [Requirement(line) for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 100
    return [Requirement(line) for line in lines]


def key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_requirement_has_one_locked_version_in_its_range(python, platform):
    machine = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": platform}
    versions: dict[str, list[str]] = {}
    for pin in locked():
        if pin.marker is None or pin.marker.evaluate(machine):
            versions.setdefault(key(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    for wanted in requirements():
        found = versions.get(key(wanted.name), [])
        assert len(found) == 1, f"{wanted.name}: {found} on Python {python}, {platform}; run make lock"
        assert wanted.specifier.contains(found[0]), f"{wanted} does not allow {found[0]}; run make lock"


def test_every_line_is_an_exact_version_without_an_address():
    for pin in locked():
        assert pin.url is None and re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin
