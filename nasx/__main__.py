"""``python -m nasx`` is the command ``nasx``."""

from nasx.cli import main

main()
