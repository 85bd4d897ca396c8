#!/usr/bin/env python
"""Django's command line, with Rollcall's settings."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.config.settings")
    from fleet.config.command_line import run

    run(sys.argv)
