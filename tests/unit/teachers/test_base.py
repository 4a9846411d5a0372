"""Fingerprints: other options or another version, another fingerprint."""


def test_fingerprint_changes_with_the_options_and_the_version(counting):
    one, same, other, newer = counting("a"), counting("a"), counting("b"), counting("a")
    newer.version = 2
    assert one.fingerprint == same.fingerprint
    assert len({one.fingerprint, other.fingerprint, newer.fingerprint}) == 3
