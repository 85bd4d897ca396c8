"""The only sockets and the only event loop of a worker process."""
