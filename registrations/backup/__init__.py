"""All that an installation is, in one file: fleet, history, users. Its keys are kept apart.

An archive is the same whichever database it comes from, so moving from one to another is a backup
and a restore. A restored installation knows where nobody is until it has heard of them: see
`awakening`.
"""

from registrations.backup.archive import Refused
from registrations.backup.making import Made, back_up
from registrations.backup.restoring import Restored, move_from, restore

__all__ = ["Made", "Refused", "Restored", "back_up", "move_from", "restore"]
