import sys
import textwrap

import pytest

from akd_toolkit.registry import LOSSES, Registry


@pytest.fixture
def shapes():
    registry = Registry("shape", "akd_toolkit.nothing")

    @registry.register("square")
    class Square:
        """Four equal sides."""

        example_options = {"side": 1.0}

        def __init__(self, side: float, colour: str = "red"):
            self.side, self.colour = side, colour

    return registry


def test_plugins_are_built_by_name_and_listed(shapes):
    assert shapes.build("square", side=2.0).side == 2.0
    assert shapes.example("square", colour="blue").colour == "blue"
    shapes.check("square", {"colour": "blue"}, given_later=("side",))
    assert shapes.table() == [("square", "Four equal sides.")]
    with pytest.raises(ValueError, match="registered twice: by .*Square and by .*Other"):
        shapes.register("square")(type("Other", (), {}))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("squre", {}, "'squre'. Did you mean 'square'"),
        ("square", {"side": 1.0, "colur": 2.0}, "'square'.*'colur'; it accepts .*Did you mean 'colour'"),
        ("square", {}, "'side'"),
    ],
)
def test_a_wrong_name_or_option_is_refused(shapes, name, options, message):
    with pytest.raises(ValueError, match=message):
        shapes.build(name, **options)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """(package, entry points of losses, source): a module with the metadata of an installed package."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(package, entries, source):
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[akd_toolkit.losses]\n" + textwrap.dedent(entries))
        (tmp_path / f"{package}.py").write_text(textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, package, raising=False)

    return add


@pytest.fixture
def losses():
    registry = Registry("loss", "akd_toolkit.losses")
    registry.register("ours")(type("Ours", (), {}))
    return registry


def test_another_package_adds_a_plugin_by_an_entry_point(install, losses):
    install("theirs", "theirs_mse = theirs:MSE", "class MSE:\n    'Squares.'")
    assert losses.build("ours") is not None and "theirs" not in sys.modules  # imported only when needed
    with pytest.raises(ValueError, match="Did you mean 'theirs_mse'"):
        losses.get("theirs_mze")
    assert losses.get("theirs_mse").__module__ == "theirs" and ("theirs_mse", "Squares.") in losses.table()


@pytest.mark.parametrize(
    "entries, source, reason",
    [
        ("bad = broken:Bad", "import no_such_package", "no_such_package"),
        ("bad = broken:Bad", "1 / 0", "ZeroDivisionError"),
        ("bad = broken:Bad", "", "has no attribute 'Bad'"),
        ("bad = broken", "", "module:Class"),
    ],
)
def test_a_broken_package_is_named_and_left_out_of_the_list(entries, source, reason, install, losses, caplog):
    install("broken", entries, source)
    with pytest.raises(ImportError, match=rf"loss 'bad' of the package broken 1\.0 .*{reason}"):
        losses.get("bad")
    assert losses.names() == losses.names() and "ours" in losses.names() and "bad" not in losses.names()
    assert len(caplog.messages) == 1 and "the package broken 1.0" in caplog.messages[0]


def test_a_package_that_uses_a_taken_name_is_refused_with_both_owners(install, losses, caplog):
    install("thief", "ours = thief:Stolen", "class Stolen: pass")
    with pytest.raises(ValueError, match=r"twice: by .*Ours and by thief\.Stolen of the package thief 1\.0"):
        losses.build("ours")
    assert "ours" in losses.names() and "thief" in caplog.text


def test_a_package_may_also_register_itself_when_imported(install, monkeypatch):
    monkeypatch.setattr(LOSSES, "_plugins", dict(LOSSES._plugins))
    monkeypatch.delitem(LOSSES.__dict__, "_contributed", raising=False)
    source = """
        from akd_toolkit.registry import LOSSES

        @LOSSES.register("theirs_twice")
        class Twice:
            pass
    """
    install("theirs_registered", "theirs_twice = theirs_registered:Twice", source)
    assert LOSSES.get("theirs_twice").__name__ == "Twice"
    LOSSES.__dict__.pop("_contributed")
