"""Fingerprints: another teacher, another fingerprint; another comment, the same."""

import importlib.util

from akd_toolkit.teachers.base import code_hash

CODE = '''
class Plugin:
    """What it does."""
    def features(self, x):
        # why
        if x is None:
            raise ValueError("one sentence")
        return x + 1
'''


def hash_of(text, tmp_path, name):
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return code_hash(module.Plugin)
    finally:
        del sys.modules[name]


def test_new_arithmetic_changes_the_hash_of_the_code(tmp_path):
    assert hash_of(CODE, tmp_path, "one") != hash_of(CODE.replace("x + 1", "x + 2"), tmp_path, "two")


def test_comments_docstrings_and_messages_do_not_change_the_hash_of_the_code(tmp_path):
    reworded = CODE.replace("What it does", "Other words").replace("# why", "").replace("one sentence", "another")
    assert hash_of(CODE, tmp_path, "one") == hash_of(reworded, tmp_path, "two")


def test_fingerprint_changes_with_the_options(counting):
    assert counting("a").fingerprint == counting("a").fingerprint != counting("b").fingerprint
