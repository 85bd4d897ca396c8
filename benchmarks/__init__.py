"""What this machine does per second on the hot paths: `make bench`."""
