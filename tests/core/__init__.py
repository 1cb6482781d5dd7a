"""Tests of the words that every capability speaks; `cases/` holds their data."""
