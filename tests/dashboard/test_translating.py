"""What the core says is Russian on a Russian page: every text of its source has a template, with all its values."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from modelyard.dashboard.texts.translating import catalogue, russian
from modelyard.models_registry import describe_all
from modelyard.models_registry.ensemble.ensemble import Ensemble
from modelyard.schemas.parsing import _WORDS
from tests.dashboard.said_by_the_core import templates

WHOLE = {
    "{} (and {}{} more error{})",
    "must be {} {}, got {}",
    "{} {} rows that {} was not fitted on; at least {} are due",
    "{} {} a single row: {} fitted but never held out, which the validation cannot judge",
    "evaluation '{}' needs two classes of at least two rows each, but {} {} a single row; the model is not validated",
}
"""Values stand side by side in them, so each of their few texts has a template of its own."""
SAID = {
    "name 'a b' must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit": "имя 'a b' должно",
    "column 'age', row 3: must be a number, got 'x' (and 4 more errors)": "число, получено 'x' (и ещё 4 ошибки)",
    "column 'age', row 3: must be a number, got 'x' (and at least 49 more errors)": "(и ещё не меньше 49 ошибок)",
    "hyperparam 'depth' must be a non-negative integer or null, got 'x'": "неотрицательное целое или null",
    "hyperparam 'foo' is unknown; did you mean 'food'? known are: 'food'": "неизвестен; может быть, 'food'? известны:",
    "field 'evaluation.method' must be 'holdout', 'cv' or 'none', got 'x'": "'holdout', 'cv' или 'none'",
    "class 'is' has a single row: it is fitted but never held out, which the validation cannot judge": "класс 'is'",
    "key 'a' may not use a model without a name; it is limited to: 'b*'": "ключу 'a' недоступно: модель без имени",
    "20260302-9f3c2a1b7d5e4f60, row 7": "20260302-9f3c2a1b7d5e4f60, строка 7",
    "'list_audit' needs the role 'admin', key 'a' has 'reader'": "«просмотр журнала» нужна роль «администрирование (",
    "not worse than m:1 by more than 0.01 of log_loss": "не хуже, чем m:1, больше чем на 0.01",
    "costs 0.25 a row less than answering by the most probable class (between 0.1 and 0.4)": "стоит на 0.25 на строку",
    "more than 64 MB (67108864 bytes) come out of file 'a.gz'; MODELYARD_MAX_BODY_MB sets the limit": "файл 'a.gz'",
}
"""Texts as users get them, and some words of what they become."""


def test_every_text_of_the_core_has_a_russian_one() -> None:
    known = WHOLE.union(catalogue())
    missing = {module: texts - known for module, texts in templates().items() if texts - known}
    assert not missing, "texts without a Russian one, by the module that says them"


def test_what_the_core_says_is_found_in_its_source() -> None:
    found = templates()
    assert "field '{}' is required" in found["schemas/parsing.py"]
    assert "must be text, a number or a boolean" in found["tables/cells.py"]  # by way of a constant
    assert "needs rows of two groups, but in column {} all are of one" in found["ml_core/training/role_splits.py"]
    assert sum(map(len, found.values())) > 400


def test_values_stay_in_a_russian_text() -> None:
    for english, said in catalogue().items():
        places, n = re.findall(r"{(\d*)(?::verb|:role)?}", said), english.count("{}")
        used = {int(place) if place else index for index, place in enumerate(places)}
        assert used <= set(range(n)), english
        assert len(used) == n, english


@pytest.mark.parametrize("text", SAID)
def test_texts_are_translated_with_their_values(text: str) -> None:
    assert SAID[text] in russian(text)


def test_a_text_that_nobody_knows_stays() -> None:
    assert russian("a plug-in's own words: 7") == "a plug-in's own words: 7"


def test_the_words_for_wrong_fields_are_translated() -> None:
    for words in _WORDS.values():
        template = " " + re.sub(r"{[^}]*}", "{}", words)
        assert template in catalogue(), words


def test_model_classes_are_described_in_russian() -> None:
    missing = set(_described()) - set(catalogue())
    assert not missing


def _described() -> Iterator[str]:
    yield from (Ensemble.title, Ensemble.description)
    for info in describe_all():
        yield from (info.title, info.description)
        yield from (field["description"] for field in info.hyperparams["properties"].values())
