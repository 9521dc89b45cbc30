"""The page of a report: what the model is, how good it is in a few lines, then the charts and the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelyard.dashboard import formats
from modelyard.dashboard.as_decided import as_decided
from modelyard.dashboard.head import always, baseline_of, told_of
from modelyard.dashboard.notices import in_words
from modelyard.dashboard.report import headlines, judged_by, metric_title
from modelyard.dashboard.report_file import sections
from modelyard.dashboard.report_file.elements import Markup, element, joined, plain, table
from modelyard.dashboard.texts import said, speaking, t
from modelyard.schemas import DecisionReport, ModelMetadata, Report, meaning

_STYLE = Path(__file__).parent / "style.css"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing is loaded and no script runs, whatever a name holds that was not escaped."""


def html_report(
    model: ModelMetadata, report: Report, *, kind: str, language: str, decided: DecisionReport | None = None
) -> str:
    """Return a whole file of HTML.

    `kind` is the title of the model class; `decided` is what the model's decision does, None if it has none.
    """
    with speaking(language):
        title = f"{model.name} · v{model.version}"
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", f"{title} · Modelyard"),
            element("style", Markup(_STYLE.read_text(encoding="utf-8"))),
        )
        body = element("body", *_body(title, model, report, said(kind), decided))
        return f"<!DOCTYPE html>\n{element('html', head, body, lang=language)}\n"


def _body(
    title: str, model: ModelMetadata, report: Report, kind: str, decided: DecisionReport | None
) -> Iterator[Markup]:
    report = as_decided(report, decided)
    yield element("header", *_head(title, model, kind))
    yield element("div", *_cards(model, report), class_="cards")
    for line in told_of(model, report, decided):
        yield element("p", plain(line))
    yield element("p", judged_by(model), class_="faint")
    if report.warnings:
        notes = [element("li", plain(in_words(warning))) for warning in report.warnings]
        yield element("aside", element("b", t("warnings.title")), element("ul", *notes), class_="notes")
    yield element("div", *sections.charts(report), class_="pair")
    yield from sections.tables(model, report)
    yield element("section", element("h2", t("model.hyperparams")), _hyperparams(model))
    yield element("footer", *_origin(model), class_="faint")


def _head(title: str, model: ModelMetadata, kind: str) -> Iterator[Markup]:
    yield element("h1", title)
    made = f"{model.created_at:%Y-%m-%d %H:%M} UTC"
    target = formats.escaped(model.target or t("predict.prediction"))
    escaped_kind = formats.escaped(kind)
    words = t("head.predicts", target=target, columns=len(model.feature_names), kind=escaped_kind, made=made)
    yield element("p", plain(words))
    if model.tags:
        yield element("p", *(element("span", tag, class_="badge") for tag in model.tags))
    if model.description:
        yield element("p", model.description)


def _cards(model: ModelMetadata, report: Report) -> Iterator[Markup]:
    baseline = baseline_of(model, report)
    for name in headlines(model):
        between = formats.metric_interval(name, report.metrics)
        below = None if between is None else t("head.interval", interval=between)
        yield _card(metric_title(name), formats.metric_value(name, report.metrics.get(name)), below)
        if baseline is not None and meaning(name).measure == meaning(baseline).measure:
            value = formats.metric_value(baseline, report.metrics[baseline])
            yield _card(plain(always(model, report)), value, t("head.same_for_all"))


def _card(label: str, value: str, below: str | None) -> Markup:
    small = [] if below is None else [element("small", below)]
    return element("div", element("small", label), element("b", value), *small)


def _hyperparams(model: ModelMetadata) -> Markup:
    rows = [[name, "null" if value is None else formats.label(value)] for name, value in model.hyperparams.items()]
    return table([], rows)


def _origin(model: ModelMetadata) -> Iterator[Markup]:
    libraries = ", ".join(f"{name} {version}" for name, version in model.environment.items())
    yield element("p", joined(f"{t('model.id')}: {model.model_id} · {t('model.libraries')}: {libraries}"))
