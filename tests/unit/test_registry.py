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


def test_a_plugin_is_built_by_name(shapes):
    assert shapes.build("square", side=2.0).side == 2.0
    assert shapes.example("square", colour="blue").colour == "blue"


def test_an_unknown_name_is_refused_with_the_nearest(shapes):
    with pytest.raises(ValueError, match=r"unknown shape 'squre'\. Did you mean 'square'\? Known: square\."):
        shapes.build("squre")


def test_a_wrong_option_names_the_plugin_and_its_signature(shapes):
    with pytest.raises(
        ValueError, match=r"shape 'square': got an unexpected keyword argument 'syde'; it accepts \(side"
    ):
        shapes.build("square", side=1.0, syde=2.0)


def test_a_missing_option_is_named(shapes):
    with pytest.raises(ValueError, match="missing a required argument: 'side'"):
        shapes.build("square")


def test_what_the_toolkit_gives_later_need_not_be_there_yet(shapes):
    shapes.check("square", {"colour": "blue"}, given_later=("side",))


def test_a_taken_name_is_refused_with_both_owners(shapes):
    with pytest.raises(ValueError, match=r"registered twice: by .*Square and by .*Other\. Rename one"):

        @shapes.register("square")
        class Other:
            pass


def test_the_table_shows_the_first_line_of_each(shapes):
    assert shapes.table() == [("square", "Four equal sides.")]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """(package, entry points of losses, source) -> a module with the metadata that an installed package leaves."""
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
    """A registry that other packages contribute to and that knows one loss itself."""
    registry = Registry("loss", "akd_toolkit.losses")
    registry.register("ours")(type("Ours", (), {}))
    return registry


def test_another_package_contributes_under_the_name_of_its_entry_point(install, losses):
    install("theirs", "theirs_mse = theirs:MSE", "class MSE:\n    'Squares.'")
    assert losses.get("theirs_mse").__module__ == "theirs"
    assert ("theirs_mse", "Squares.") in losses.table()


def test_a_package_is_not_imported_for_a_name_that_is_not_its_own(install, losses):
    install("theirs", "theirs_mse = theirs:MSE", "raise RuntimeError('imported')")
    assert losses.build("ours") is not None and "theirs" not in sys.modules


@pytest.mark.parametrize(
    "entries, source, reason",
    [
        ("bad = broken:Bad", "import no_such_package", r"\(ModuleNotFoundError: No module named 'no_such_package'\)"),
        ("bad = broken:Bad", "1 / 0", r"\(ZeroDivisionError: division by zero\)"),
        ("bad = broken:Bad", "", r"\(AttributeError: module 'broken' has no attribute 'Bad'\)"),
        ("bad = broken", "", r"is broken, which is not a class\. Write its entry point as"),
    ],
)
def test_a_broken_package_is_named_to_who_asks_for_it_and_left_out_of_the_list(
    entries, source, reason, install, losses, caplog
):
    install("broken", entries, source)
    with pytest.raises(ImportError, match=r"loss 'bad' of the package broken 1\.0 .*" + reason):
        losses.get("bad")
    assert losses.names() == losses.names() and "ours" in losses.names() and "bad" not in losses.names()
    assert len(caplog.messages) == 1 and "the package broken 1.0" in caplog.messages[0]  # said once


def test_an_unknown_name_is_compared_with_what_packages_offer_too(install, losses):
    install("theirs", "theirs_mse = theirs:MSE", "1 / 0")
    with pytest.raises(ValueError, match=r"unknown loss 'theirs_mze'\. Did you mean 'theirs_mse'\? Known: .*ours"):
        losses.get("theirs_mze")


def test_a_package_that_takes_our_name_is_refused_with_both_owners(install, losses, caplog):
    install("thief", "ours = thief:Stolen", "class Stolen: pass")
    owners = r"'ours' is registered twice: by .*Ours and by thief\.Stolen of the package thief 1\.0\. Rename one"
    with pytest.raises(ValueError, match=owners):
        losses.build("ours")
    assert "ours" in losses.names() and "thief" in caplog.text


def test_a_package_may_register_itself_when_imported_as_well(install, monkeypatch):
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
