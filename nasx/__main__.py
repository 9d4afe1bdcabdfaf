"""The command ``nasx``, also as ``python -m nasx``."""

import sys


def main() -> None:
    """Imports the command line and runs it; an interrupt has nothing to say while that is being imported."""
    try:
        from nasx.cli import main as run
    except KeyboardInterrupt:
        sys.exit("nasx: interrupted")
    run()


if __name__ == "__main__":
    main()
