"""What pages show: rows and rules told as words, charts and diagrams. Nothing is decided here."""
