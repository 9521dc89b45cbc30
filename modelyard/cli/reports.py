"""A model's report as one file of HTML, which the dashboard makes, written by `show --html`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.cli import screen
from modelyard.cli.files import write_whole
from modelyard.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from modelyard.schemas import ModelMetadata
    from modelyard.verbs import Verbs


def write_html(path: Path, yard: Verbs, model: ModelMetadata, language: str) -> None:
    """Write a model's report and say so.

    Raises InvalidRequest for a language that there is not, Unavailable if this installation lacks the dashboard.
    """
    # It warns of caches that are made without a server.
    logging.getLogger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)
    try:
        from modelyard.dashboard.as_decided import decided_by
        from modelyard.dashboard.report_file import html_report
        from modelyard.dashboard.texts import LANGUAGES
    except ModuleNotFoundError:
        words = "reports as HTML are not part of this installation; install modelyard[dashboard]"
        raise Unavailable(words) from None
    if language not in LANGUAGES:
        raise InvalidRequest(f"--language must be {' or '.join(LANGUAGES)}, got {language!r}")
    titles = {info.key: info.title for info in yard.list_model_classes()}
    kind = titles.get(model.model_class_key, model.model_class_key)
    report, decided = yard.get_report(model.model_id), decided_by(yard, model)
    text = html_report(model, report, kind=kind, language=language, decided=decided)
    write_whole(path, text.encode())
    screen.show(f"The report of {model.name}:{model.version} is in {path}.")
