"""Self-contained HTML pages from Jinja2 templates with a shared style; no scripts or external resources."""

from __future__ import annotations

from typing import Any

from edge.errors import require

HINT = "pip install 'emotion-edge[export]' or 'emotion-edge[bench]'"


def render(package: str, template: str, **values: Any) -> str:
    """The HTML of ``template``, in the ``templates`` folder of ``package``, which extends ``base.html.j2``.

    Values are escaped unless they are ``markupsafe.Markup``; a missing value raises. DependencyError without
    Jinja2.
    """
    jinja2 = require("jinja2", HINT)
    loaders = [jinja2.PackageLoader(package), jinja2.PackageLoader("edge.report")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page: str = environment.get_template(template).render(**values)
    return page
