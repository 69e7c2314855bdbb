"""``python -m histoscale.cli``, as torchrun calls it."""

from histoscale.cli import main

main()
