import importlib.util
from pathlib import Path

import pytest

from akd_toolkit.evaluate.report import (
    ablation_markdown,
    append_results,
    check_readme,
    publish_results,
    read_ablation,
    read_results,
    results_row,
    results_table_markdown,
    summarise,
    sync_readme,
    write_ablation,
)

PAGE = "# EmoDB\n\nProtocol.\n\n<!-- results -->\n<!-- /results -->\n\nWhat did not work.\n"
WITH_ABLATION = f"{PAGE}\n<!-- ablation -->\n<!-- /ablation -->\n\nThe end.\n"
TOOL = Path(__file__).parents[4] / "tools" / "publish_results.py"


@pytest.fixture
def results(tmp_path, row):
    path = tmp_path / "results.csv"
    append_results(path, row)
    append_results(path, row | {"system": "teacher", "recipe": "teacher", "student": "", "params": 16_300_000})
    return path


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_page_gets_the_table_between_its_markers_and_keeps_the_rest(results, readme):
    assert sync_readme(readme, results) is True
    page = readme.read_text(encoding="utf-8")
    assert page == PAGE.replace("-->\n<!-- /", f"-->\n\n{results_table_markdown(results)}\n\n<!-- /")
    assert sync_readme(readme, results) is False
    assert readme.read_text(encoding="utf-8") == page
    check_readme(readme, results)


def test_a_page_whose_table_is_old_or_was_edited_is_refused(results, readme, row):
    sync_readme(readme, results)
    good = readme.read_text(encoding="utf-8")
    readme.write_text(good.replace("79.0", "89.0"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the table in .*README.md is not that of .*results.csv; run"):
        check_readme(readme, results)
    readme.write_text(good, encoding="utf-8")
    append_results(results, row | {"ua_pooled": 0.5})
    with pytest.raises(ValueError, match="is not that of"):
        check_readme(readme, results)


@pytest.mark.parametrize(
    "page",
    ["# EmoDB\n", "<!-- results -->\n", "<!-- /results -->\n<!-- results -->\n", PAGE + "<!-- results -->\n"],
)
def test_a_page_without_its_two_markers_in_order_is_refused_and_kept(results, readme, page):
    readme.write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match=r"README.md must hold the lines <!-- results --> and <!-- /results -->"):
        sync_readme(readme, results)
    assert readme.read_text(encoding="utf-8") == page


def test_a_missing_page_is_refused(results, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no page"):
        check_readme(tmp_path / "nowhere.md", results)


@pytest.fixture
def ablated(tmp_path, invented, labels):
    """The folder of an ablation of two rows, with the results.csv that its runs have left."""
    folder = tmp_path / "run"
    rows = [
        {"title": "AKD", "against": None, "scores": invented(skill=2.0)},
        {"title": "no gate", "against": "AKD", "scores": invented(skill=1.0)},
    ]
    shared = {"student": "micro_cnn", "teachers": "a + b", "params": 163_000, "minutes": 12.34}
    rows = [row | shared | {"group": "without"} for row in rows]
    write_ablation(folder, rows, labels, title="EmoDB")
    for row in rows:
        kept = {name: row[name] for name in ("student", "params", "minutes")}
        summary = summarise(row["scores"], labels)
        named = {"corpus": "EmoDB", "recipe": "ablation", "system": row["title"], "teachers": ["a", "b"]}
        append_results(folder / "results.csv", results_row(summary, **named, **kept, commit="0a1b2c3"))
    return folder


@pytest.fixture
def recipe(tmp_path, results, readme, monkeypatch):
    """The folder of a recipe with two rows of results and a page; the working folder of the test."""
    readme.write_text(WITH_ABLATION, encoding="utf-8")
    sync_readme(readme, results)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(*arguments):
    spec = importlib.util.spec_from_file_location("publish_results_tool", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.main([str(argument) for argument in arguments])


def test_a_page_says_where_no_ablation_has_been_published(recipe):
    assert (
        "<!-- ablation -->\n\nNo ablation has been published.\n\n<!-- /ablation -->"
        in (recipe / "README.md").read_text()
    )


def test_an_ablation_is_published_into_its_own_block_and_the_other_rows_stay(recipe, ablated):
    main = results_table_markdown(recipe / "results.csv")
    assert publish(ablated / "results.csv", ablated) == 0
    page = (recipe / "README.md").read_text(encoding="utf-8")
    assert f"<!-- results -->\n\n{main}\n\n<!-- /results -->" in page
    block = f"![UA points of every row of the ablation](ablation.svg)\n\n{ablation_markdown(ablated / 'ablation.csv')}"
    assert f"<!-- ablation -->\n\n{block}\n\n<!-- /ablation -->\n\nThe end.\n" in page
    assert read_results(recipe / "results.csv")["system"].tolist() == ["akd", "teacher", "AKD", "no gate"]
    assert (recipe / "ablation.svg").is_file()
    check_readme(recipe / "README.md", recipe / "results.csv")
    assert publish(ablated / "results.csv", ablated) == 0  # twice is as good as once
    assert (recipe / "README.md").read_text(encoding="utf-8") == page


def test_a_later_ablation_replaces_all_rows_of_the_earlier_one(recipe, ablated, row):
    append_results(recipe / "results.csv", row | {"recipe": "ablation", "system": "of an earlier run"})
    assert publish(ablated / "results.csv", ablated) == 0
    assert "of an earlier run" not in set(read_results(recipe / "results.csv")["system"])


def test_rows_of_an_ablation_are_not_published_without_their_table(recipe, ablated, capsys):
    before = (recipe / "results.csv").read_bytes()
    assert publish(ablated / "results.csv") == 1
    assert "has rows of an ablation; give the folder with its ablation.csv as well" in capsys.readouterr().err
    assert (recipe / "results.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["params", "folds", "seeds", "wa_pooled", "ua_pooled", "ua_low", "ua_high"])
def test_tables_that_tell_another_figure_of_a_row_are_refused(recipe, ablated, name):
    publish(ablated / "results.csv", ablated)
    table = read_ablation(recipe / "ablation.csv")
    table.loc[1, name] = "99"
    table.to_csv(recipe / "ablation.csv", index=False)
    message = (
        rf"row 'no gate' has {name} '99' in .*ablation.csv but '[0-9.]+' in .*results.csv; publish both of one run"
    )
    with pytest.raises(ValueError, match=message):
        check_readme(recipe / "README.md", recipe / "results.csv")


def test_an_ablation_that_was_edited_on_the_page_is_refused(recipe, ablated):
    publish(ablated / "results.csv", ablated)
    page = (recipe / "README.md").read_text(encoding="utf-8")
    value = read_ablation(recipe / "ablation.csv").loc[1, "ua_ahead"]
    (recipe / "README.md").write_text(page.replace(f"| {value} [", "| +9.9 ["), encoding="utf-8")
    with pytest.raises(ValueError, match="never edit the table by hand"):
        check_readme(recipe / "README.md", recipe / "results.csv")


def test_a_row_in_only_one_of_the_tables_and_a_missing_picture_are_refused(recipe, ablated, row):
    publish(ablated / "results.csv", ablated)
    append_results(recipe / "results.csv", row | {"recipe": "ablation", "system": "forgotten"})
    with pytest.raises(ValueError, match=r"row 'forgotten' is in .*results.csv but not in .*ablation.csv; delete it"):
        check_readme(recipe / "README.md", recipe / "results.csv")
    publish_results(recipe / "results.csv", read_results(ablated / "results.csv").iloc[:1])
    with pytest.raises(ValueError, match=r"row 'no gate' is in .*ablation.csv but not in .*results.csv; run the abl"):
        check_readme(recipe / "README.md", recipe / "results.csv")
    publish(ablated / "results.csv", ablated)
    (recipe / "ablation.svg").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no picture .*ablation.svg; publish the ablation again"):
        check_readme(recipe / "README.md", recipe / "results.csv")


def test_a_page_without_a_place_for_the_ablation_is_refused(recipe, ablated, capsys):
    (recipe / "README.md").write_text(PAGE, encoding="utf-8")
    assert publish(ablated / "results.csv", ablated) == 1
    assert "must hold the lines <!-- ablation --> and <!-- /ablation -->" in capsys.readouterr().err
