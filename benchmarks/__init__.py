"""Measurements against NumPy and scikit-learn; start with `python -m benchmarks.ratios --help`."""
