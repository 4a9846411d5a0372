"""How findings are told."""

from akd_toolkit.data.verdicts import Finding, as_dict, as_text, has_leak, shortened


def test_leaks_come_first_and_the_verdict_counts_them():
    findings = [
        Finding("proved", "speakers", "nobody is on both sides."),
        Finding("warning", "sentences", "two are shared."),
        Finding("leak", "identical", "a and b hold the same samples."),
        Finding("not_proved", "provenance", "that nothing was heard."),
    ]
    lines = as_text("toy", findings).splitlines()
    assert [line.split()[0] for line in lines] == ["toy", "LEAK", "WARNING", "COULD", "PROVED", "verdict:"]
    assert lines[-1] == "verdict: 1 leak found (1 proved, 1 warning, 1 could not be proved)."
    assert has_leak(findings) and not has_leak(findings[:2])


def test_many_of_a_kind_are_counted_in_the_text_and_kept_for_programs():
    findings = [Finding("leak", "identical", f"pair {number}.") for number in range(8)]
    assert [f.sentence for f in shortened(findings)][4:] == ["pair 4.", "... and 3 more findings of this kind."]
    assert "8 leaks found" in as_text("toy", findings)
    assert len(as_dict("toy", findings)["findings"]) == 8 and as_dict("toy", findings)["leak"] is True
