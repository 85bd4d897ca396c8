"""The two ways SIP goes wrong here: a peer's bytes (theirs) and a call out of order (ours)."""


class SipParseError(ValueError):
    """A peer sent something that is not SIP. The only exception parsing ever raises."""


class SipUsageError(RuntimeError):
    """Our own code called a machine in a state that does not allow the call."""
