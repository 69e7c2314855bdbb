"""HTML pages from jinja2 templates beside the code; every value is escaped."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from histoscale.errors import printable

ENVIRONMENT = Environment(
    autoescape=True,
    undefined=StrictUndefined,  # a value that the template needs and does not get is an error
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    finalize=lambda value: printable(value) if type(value) is str else value,  # markup is left as it is
)


def render(package: str, template: str, **values: object) -> str:
    """Fill in a template.

    Args:
        package: package of the template, such as ``histoscale.upscaling``.
        template: its file name.
        values: what the template uses: numbers, texts, or functions that format them.
    """
    return _template(package, template).render(values)


@cache
def _template(package: str, name: str) -> Template:
    return ENVIRONMENT.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))
