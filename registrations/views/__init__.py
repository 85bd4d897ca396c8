"""The pages, one module each: ask queries and services, render. No rule lives here."""
