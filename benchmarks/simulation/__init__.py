"""A fleet in virtual time: the real agents and the real pacer, scripted servers, no sockets."""
