"""What bench/check.py calls slower. No time is measured here."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import check  # noqa: E402


def test_slower_names_what_fell_by_more_than_the_tolerance():
    expected = {"a": 1.0, "b": 2.0, "c": 3.0, "gone": 1.0}
    assert check.slower(expected, {"a": 0.81, "b": 1.59, "c": 9.0}, 0.2) == ["b", "gone"]


def test_ratios_are_of_times_side_by_side(monkeypatch):
    ops = "# heading\nkernel\tms\treference_ms\ttimes_faster\tof_roofline\nproduct, forward\t2.0\t9.0\t4.5\t0.90\nnb\t0.5\t2.0\t4.0\t0.3\n"

    def output(_, *words):
        if words[:2] == ("bench", "ops"):
            return ops
        return f"part\tms\nstep\t{12.0 if words[words.index('--threads') + 1] == '1' else 8.0}\t\t1\n"

    monkeypatch.setattr(check, "output", output)
    ratios = check.measure("isolario")
    assert ratios == {"product, forward: share of the rate of a large one": 0.9, "nb: times faster than plain C": 4.0,
                      "step, nb: share of products": 0.167, "step, zinb: share of products": 0.333,
                      "step, nb: 2 threads against 1": 1.5, "step, zinb: 2 threads against 1": 1.5}
