"""What callgrind writes is read, counts are kept as they are, and changes are those of the counts."""

import pytest

from benchmarks import instructions

DUMP = """# callgrind format
version: 1
creator: callgrind-3.19.0
part: 1

desc: I1 cache:
desc: Timerange: Basic block 0 - 4711
desc: Trigger: {trigger}

positions: line
events: Ir
summary: 1234567

fn=(1) scores_avx2_float
16 400
"""


def test_parse(tmp_path):
    path = tmp_path / "counts.1"
    path.write_text(DUMP.format(trigger="Client Request: scores, float32, 256 x 784, K = 2"))
    assert instructions.parse(path) == ("scores, float32, 256 x 784, K = 2", 1234567)
    path.write_text(DUMP.format(trigger="Program termination"))
    assert instructions.parse(path)[0] is None


def test_counts_are_kept(tmp_path):
    path = tmp_path / "kept.toml"
    found = {"avx2": {"scores, K = 2": 12, "Hessian": 5}, "baseline": {"scores, K = 2": 40}}
    assert instructions.read(path) == ("unknown", {})
    instructions.write("GCC: (Some Linux 1-2) 12.2.0", found, path)
    assert instructions.read(path) == ("GCC: (Some Linux 1-2) 12.2.0", found)


def test_changes():
    kept = {"avx2": {"old": 7, "scores": 100}}
    found = {"avx2": {"scores": 103, "new": 5}}
    assert list(instructions.changes(kept, found)) == [
        ("old", "avx2", 7, None, None),
        ("scores", "avx2", 100, 103, pytest.approx(0.03)),
        ("new", "avx2", None, 5, None),
    ]


def test_kept_counts_are_those_of_all_cases():
    compiler, kept = instructions.read()
    assert compiler != "unknown"
    names = [name for name, _ in instructions.cases()]
    assert len(names) == len(set(names))
    assert {isa: sorted(counts) for isa, counts in kept.items()} == dict.fromkeys(
        instructions.LEVELS, sorted(names)
    )
