"""What a release promises: the oldest dependencies are those that are tested."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())


def test_floor_is_the_oldest_that_is_admitted():
    lines = (line.partition("#")[0].strip() for line in (HERE / "floor.txt").read_text().splitlines())
    pins = [Requirement(line) for line in lines if line]
    floor = {pin.name: Version(str(pin.specifier).removeprefix("==")) for pin in pins}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["build-system"]["requires"] + PROJECT["project"]["dependencies"]
    for extra in ("plots", "tables", "test"):
        wanted += extras[extra]
    assert len(wanted) > 8
    for requirement in map(Requirement, wanted):
        oldest = Version(str(requirement.specifier).removeprefix(">="))
        assert floor[requirement.name].release[: len(oldest.release)] == oldest.release, requirement
