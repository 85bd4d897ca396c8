"""The API of what happens, one module per resource. Thin: load, call, answer."""
