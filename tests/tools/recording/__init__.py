"""Records what real signing tools write to a registry; driven by `tests/tools/record`."""
