"""What one line's agent sent and heard, without its secrets: recorded, told as a ladder, compared.

Pure. One *try* is what an agent did under one claim: some transactions at one or more servers.
"""

from registrations.trace.ladder import Answer, Transaction, Try, as_try
from registrations.trace.record import Ended, Event, Kind, Record, endings, pack, unpack

__all__ = [
    "Answer",
    "Ended",
    "Event",
    "Kind",
    "Record",
    "Transaction",
    "Try",
    "as_try",
    "endings",
    "pack",
    "unpack",
]
