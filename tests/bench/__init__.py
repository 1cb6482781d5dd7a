"""Measurements: functions `bench_*() -> list[float]`, each the samples of one figure that `make bench` prints."""
