"""Being here puts `tests/` on the path, so that tests may import `builders`."""
