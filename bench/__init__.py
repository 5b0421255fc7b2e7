"""Measurements, apart from the tests: `make bench`. Peers run in the same run, ratios are taken pairwise."""
