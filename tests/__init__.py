"""The tests, in the shape of the tree they test. `fleet` makes the real nodes; `fleet_tests` tests that it does."""
