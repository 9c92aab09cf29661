"""Reference functions, one module a group of `specs/`."""
