"""Environment variables and library paths."""
