"""`python -m longderm` is the `longderm` command."""

from longderm.cli import main

if __name__ == "__main__":
    main()
