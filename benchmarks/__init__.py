"""Benchmarks: reproducible comparisons, run by `make bench`. Nothing of the product imports them."""
