import pytest

from akd_toolkit.registry import Registry


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


def test_a_temporary_plugin_is_gone_afterwards(shapes):
    with shapes.temporarily("circle", object):
        assert shapes.names() == ["circle", "square"]
    assert shapes.names() == ["square"]


def test_the_table_shows_the_first_line_of_each(shapes):
    assert shapes.table() == [("square", "Four equal sides.")]
