"""Measurements against NumPy, scikit-learn and others; start with `python -m benchmarks.ratios --help`,
and the same with `benchmarks.certified` and `benchmarks.growth`."""
