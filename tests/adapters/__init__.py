"""Contract suites: each port, its real adapter and its in-memory one, the same tests."""
