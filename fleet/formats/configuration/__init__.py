"""The handset's own configuration files: Spectralink 84-Series and Polycom UCS, no ORM."""
