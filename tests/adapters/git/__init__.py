"""The git adapter: contract suites on real repositories and in memory, and what only the real one can meet."""
