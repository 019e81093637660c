"""`python -m flows.cli` is the `nada` command."""

from flows.cli.main import main

main()
