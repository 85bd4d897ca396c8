"""Pure readers of fleet files and tables: bytes in, rows and faults out; no database, no clock."""
