"""What all channels share: how long one may take, and how it says that nothing was sent."""

SEND_S = 10.0
"""How long one attempt may take."""


class NotSent(Exception):
    """The message was not taken; its text says why. `is_final`: trying again is of no use."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final
