"""The catalogue: two languages with the same places, nothing visible outside of it, nothing in it that is not used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import modelyard.dashboard
from modelyard.dashboard.formats import bin_label, count
from modelyard.dashboard.texts import CATALOGUE, PARTS, first_language, speaking, t
from modelyard.dashboard.texts.translating import catalogue
from modelyard.errors import tree

FOLDER = Path(modelyard.dashboard.__file__).parent
SOURCES = [path for path in sorted(FOLDER.rglob("*.py")) if "texts" not in path.parts]

# Calls whose first text a visitor reads, and arguments that are read wherever they stand.
VISIBLE_CALLS = {
    "badge", "button", "caption", "dataframe", "download_button", "error", "expander", "file_uploader", "header",
    "info", "markdown", "metric", "multiselect", "number_input", "popover", "progress", "segmented_control",
    "selectbox", "slider", "spinner", "subheader", "success", "text_input", "title", "toggle", "warning", "write",
    "form_submit_button", "TextColumn", "NumberColumn", "ProgressColumn", "DatetimeColumn", "SelectboxColumn",
    "BarChartColumn",
}  # fmt: skip
VISIBLE_ARGUMENTS = {"help", "label", "placeholder", "title", "text"}
PRODUCT = {"Modelyard"}
PLURAL_OF_ONE = re.compile(r"\b1 (?!is\b|was\b|has\b|does\b|belongs\b|less\b|s\b|ms\b)[a-z]+s\b")
SAID_OF_SEVERAL = {
    "error.places", "error.first_places", "target.hopeless", "target.thin", "columns.from_head", "contest.title",
    "warning.constant", "warning.contradicting_rows", "report.by_holdout", "report.by_time", "report.by_cv",
    "errors.too_large", "predict.first_rows", "fix.ignore_all",
}  # fmt: skip
ENCODING = re.compile(r"\w+:[NOQ]")  # a chart's column


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def specs(text: str) -> list[str]:
    return [spec for _, _, spec, _ in Formatter().parse(text) if spec]


def used_keys() -> Iterator[str]:
    """Yield the keys of `t(…)` and `known(…)`; of a composed one, as a pattern."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("t", "known") and node.args:
                yield from keys_of(node.args[0])
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "key":
                yield from (key for key in keys_of(node.value) if "." in key)


def keys_of(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.IfExp):
        yield from keys_of(node.body)
        yield from keys_of(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+" for part in node.values)


def visible_literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        seen = [node.args[0]] if name in VISIBLE_CALLS and node.args else []
        seen += [keyword.value for keyword in node.keywords if keyword.arg in VISIBLE_ARGUMENTS]
        for argument in seen:
            for part in parts_of(argument):
                words = re.sub(r":[\w/]+:|:[\w-]+\[|&nbsp;|P\(|\\\w", "", part)
                if re.search(r"[^\W\d_]{2,}", words) and part not in PRODUCT and not ENCODING.fullmatch(part):
                    yield node.lineno, part


def parts_of(node: ast.expr) -> Iterator[str]:
    """Yield the literal texts of an argument; what stands in the places of an f-string is not literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from (str(part.value) for part in node.values if isinstance(part, ast.Constant))
    elif isinstance(node, ast.BinOp):
        yield from parts_of(node.left)
        yield from parts_of(node.right)
    elif isinstance(node, ast.IfExp):
        yield from parts_of(node.body)
        yield from parts_of(node.orelse)


@pytest.mark.parametrize("key", CATALOGUE)
def test_both_languages_say_it_with_the_same_places(key: str) -> None:
    english, russian = CATALOGUE[key]
    assert english.strip()
    assert russian.strip()
    assert placeholders(english) == placeholders(russian)
    assert not re.search("[\u0400-\u04ff]", english)


@pytest.mark.parametrize("key", [key for key in CATALOGUE if "|" in "".join(CATALOGUE[key])])
def test_each_language_has_all_forms_of_a_word_that_goes_with_a_count(key: str) -> None:
    english, russian = CATALOGUE[key]
    assert {spec.count("|") for spec in specs(english)} <= {1}
    assert {spec.count("|") for spec in specs(russian)} <= {1, 2}


@pytest.mark.parametrize(
    ("n", "english", "russian"),
    [
        (1, "1 row · 1 column", "1 строка · 1 столбец"),
        (3, "3 rows · 3 columns", "3 строки · 3 столбца"),
        (0, "0 rows · 0 columns", "0 строк · 0 столбцов"),
        (11, "11 rows · 11 columns", "11 строк · 11 столбцов"),
        (114, "114 rows · 114 columns", "114 строк · 114 столбцов"),
        (21, "21 rows · 21 columns", "21 строка · 21 столбец"),
        (
            12_321,
            f"{count(12_321)} rows · {count(12_321)} columns",
            f"{count(12_321)} строка · {count(12_321)} столбец",
        ),
    ],
)
def test_a_word_has_the_form_of_its_count(n: int, english: str, russian: str) -> None:
    for language, due in {"en": english, "ru": russian}.items():
        with speaking(language):
            assert f"{t('upload.rows', n=count(n))} · {t('upload.columns', n=count(n))}" == due


def test_of_two_forms_russian_takes_the_first_for_21_too_and_of_three_the_second_for_a_fraction() -> None:
    told = {"target": "y", "kind": "k", "made": "m"}
    with speaking("ru"):
        found = [t("head.predicts", columns=n, **told).split(" · ")[0].split("**")[-1] for n in (1, 2, 11, 21)]
        assert found == [" по 1 столбцу", " по 2 столбцам", " по 11 столбцам", " по 21 столбцу"]
        assert "в 2.5 раза больше" in t("gain.says", share="10 %", found="25 %", label="да", lift="2.5")


def test_what_may_be_said_of_one_has_its_singular() -> None:
    with speaking("en"):
        told = {key: t(key, **dict.fromkeys(placeholders(text), "1")) for key, (text, _) in CATALOGUE.items()}
    assert {key for key, text in told.items() if PLURAL_OF_ONE.search(text)} == SAID_OF_SEVERAL


def test_russian_writes_numbers_with_a_point_too() -> None:
    texts = {key: russian for key, (_, russian) in CATALOGUE.items()} | dict(catalogue())
    assert [key for key, text in texts.items() if re.search(r"\d,\d", text)] == []


def test_no_column_of_numbers_goes_by_the_browsers_language() -> None:
    used = {
        keyword.value.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "format" and isinstance(keyword.value, ast.Constant)
    }
    assert used & {"percent", "localized", "compact", "accounting", "euro", "dollar", "scientific"} == set()


def test_no_key_stands_in_two_parts_of_the_catalogue() -> None:
    assert len(CATALOGUE) == sum(map(len, PARTS))


def test_every_key_that_is_used_exists() -> None:
    for pattern in used_keys():
        assert any(re.fullmatch(pattern, key) for key in CATALOGUE), pattern


def test_every_text_is_used() -> None:
    patterns = [re.compile(pattern) for pattern in used_keys()]
    unused = [key for key in CATALOGUE if not any(pattern.fullmatch(key) for pattern in patterns)]
    assert unused == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_visible_text_is_outside_of_the_catalogue(path: Path) -> None:
    assert list(visible_literals(ast.parse(path.read_text()))) == []


def test_a_visible_text_outside_of_the_catalogue_would_be_found() -> None:
    found = visible_literals(ast.parse("st.button('Press me'); st.metric(t('a'), 1, help=f'so many {n}')"))
    assert [text for _, text in found] == ["Press me", "so many "]


def test_every_code_word_of_an_error_has_its_words() -> None:
    assert {f"error.{kind.code}" for kind in tree()} <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("said", "locale", "language"),
    [
        (None, "ru-RU", "ru"),
        (None, "ru", "ru"),
        (None, "de-DE", "en"),
        (None, None, "en"),
        ("en", "ru", "en"),
        ("ru", "en-US", "ru"),
        ("Русский", "en-US", "ru"),  # as the switch writes it into the address
        ("nonsense", "ru", "ru"),
    ],
)
def test_the_first_language_is_the_addresss_then_the_browsers(
    said: str | None, locale: str | None, language: str
) -> None:
    assert first_language(said, locale) == language


@pytest.mark.parametrize("drawing", sorted((FOLDER / "art").glob("*.svg")), ids=lambda path: path.name)
def test_a_drawing_needs_no_font_that_a_browser_may_not_have(drawing: Path) -> None:
    assert "<path" in drawing.read_text()
    assert "<text" not in drawing.read_text()


def test_categories_are_written_as_they_are_whatever_they_mean_to_the_core() -> None:
    with speaking("ru"):
        assert [bin_label(label) for label in ("more", "numeric")] == ["more", "numeric"]
        assert not {bin_label(label) for label in ("others", "missing")} & {"others", "missing"}
