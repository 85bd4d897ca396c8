"""A small real registrar: digest authentication, a location table, and faults on demand."""
