"""The store's contract on SQLite and in memory, that both say the same, and what is SQLite's own."""
