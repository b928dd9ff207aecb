"""The report as HTML: a page in one file (:func:`html_report`), or a piece of another page (:func:`fragment`).

``markup`` is the one place where text becomes HTML; ``parts`` are pieces that sections share, ``svg`` plots, ``window``
the picture of what fits; ``verdict``, ``sections``, ``jobs`` and ``everything`` are the sections, ``page`` puts them
together with the style (``*.css``) and the script (``page.js``).
"""

from gpudoctor.render.html.page import fragment, html_report

__all__ = ["fragment", "html_report"]
