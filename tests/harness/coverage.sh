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
status=0
PYTHONPATH=. python -m coverage run --source=fastlr -m pytest -q -p no:cacheprovider "$@" || status=$?
python -m coverage report --show-missing --skip-covered
# Lines of Cython are counted where the C that comes of them runs; the C files themselves are left out, and so is what
# gcov says of Cython's own code, which lies in no file.
python -m gcovr --root . --filter fastlr/_kernels/ --exclude 'fastlr/_kernels/[a-z]*\.c' --txt-metric line \
    --merge-lines --include-internal-functions \
    --gcov-ignore-errors=source_not_found --gcov-ignore-errors=no_working_dir_found \
    --gcov-ignore-parse-errors=suspicious_hits.warn_once_per_file
exit $status
