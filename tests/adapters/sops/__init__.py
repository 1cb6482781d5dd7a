"""SOPS files."""
