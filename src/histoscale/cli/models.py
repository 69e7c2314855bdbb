"""``histoscale models``."""

from histoscale.cli.console import show_table
from histoscale.errors import HistoscaleError


def models() -> None:
    """List the models that ship with this package: size, scales, data, licence, quality.

    Examples:
        histoscale models
        histoscale models | grep iste
    """
    from histoscale.info import ModelRow, metric_table, model_row, shipped_cards

    cards = shipped_cards()
    if not cards:
        raise HistoscaleError("This copy of the package ships no weights: give --model a .safetensors path.")
    show_table([[name.capitalize() for name in ModelRow._fields], *(model_row(card) for card in cards)])
    if len(gains := metric_table(cards)) > 1:
        show_table(gains)
