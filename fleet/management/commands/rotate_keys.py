"""`manage.py rotate_keys`: everything stored under CREDENTIALS_KEY, anew under its first key."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fleet import rotation


class Command(BaseCommand):
    help = (
        "Encrypts SIP passwords and other stored secrets anew under the first of the keys in "
        "CREDENTIALS_KEY, while Rollcall runs. Then the other keys can be taken out."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        ended: dict[str, rotation.Progress] = {}
        for progress in rotation.rotate():
            ended[progress.name] = progress
            left = max(0, progress.total - progress.looked_at)
            self.stdout.write(
                f"{progress.name}: {progress.looked_at} of {progress.total} looked at, "
                f"{progress.rotated} encrypted anew, {left} left"
            )
            self.stdout.flush()
        closed = {name: each.closed for name, each in ended.items() if each.closed}
        if closed:
            told = ", ".join(f"{count} of {name}" for name, count in closed.items())
            raise CommandError(
                f"These open with none of the keys in CREDENTIALS_KEY: {told}. Add the key they "
                "were encrypted under, or type them in again; take no key out before."
            )
        others = (
            ": no other needs to stay in CREDENTIALS_KEY" if settings.CREDENTIALS_KEYS[1:] else ""
        )
        self.stdout.write(f"All is under the first key{others}.")
