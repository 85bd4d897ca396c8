"""Pages of fleet: what users set for themselves, and what admins see of users."""
