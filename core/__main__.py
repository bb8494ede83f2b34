"""`python -m core …`: every step of the app without a browser."""

from core.cli.main import main

main()
