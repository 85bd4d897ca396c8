"""The fleets of the integration tests: addresses, fleet files, and what every look must show."""

HARNESS_PORT = 5083
