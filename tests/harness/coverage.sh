#!/usr/bin/env bash
# Lines of the kernels and of the package that the tests reach, in a copy that is thrown away:
# bash tests/harness/coverage.sh [pytest's arguments]. Needs coverage and gcovr beside the extra "test".
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z | xargs -0 -I{} cp --parents {} "$work"
cd "$work"
FASTLR_DEBUG=coverage python setup.py -q build_clib build_ext --inplace
PYTHONPATH=. python -m coverage run --source=fastlr -m pytest -q -p no:cacheprovider "$@"
python -m coverage report --show-missing --skip-covered
# The C files that Cython writes are left out; what they do for a line of Cython counts for that line.
python -m gcovr --root . --filter fastlr/_kernels/ --exclude 'fastlr/_kernels/[a-z]*\.c' --txt --txt-metric line
