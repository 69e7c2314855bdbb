"""``histoscale models`` at the command line."""

from pathlib import Path

from typer.testing import CliRunner

from histoscale.cli import app

SHIPPED = Path(__file__).resolve().parents[2] / "src" / "histoscale" / "shipped"


def test_models_lists_what_ships() -> None:
    result = CliRunner().invoke(app, ["models"])
    shipped = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    assert result.exit_code == (0 if shipped else 1)
    assert all(name in result.stdout for name in shipped)
