"""How a file is read, said by every door, kept with the model, inherited by its next version and by its predictions."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidTable
from modelyard.schemas import PredictRequest, Reading, RetrainRequest, TrainRequest, parse
from modelyard.verbs import Verbs
from tests.tables.workbooks import Failed, write_workbook
from tests.test_contract import name, yard

__all__ = ["name", "yard"]

ROWS: list[list[Any]] = [
    [20 + row, "Köln" if row % 2 else "Åbo", f"id{row}", "yes" if row > 14 else "no"] for row in range(30)
]
HEADER = ["age", "city", "id", "bought"]
ENDS = [ROWS[0], ROWS[-1]]


def text(rows: list[list[Any]], delimiter: str = ";") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def order(name: str, X: Path, **fields: Any) -> TrainRequest:
    common = {"model_class_key": "logistic_regression", "name": name, "X": X, "target": "bought"}
    return parse(TrainRequest, {**common, "evaluation": {"method": "none"}, **fields})


def answers(yard: Verbs, name: str, X: Path, **fields: Any) -> list[Any]:
    return yard.predict(parse(PredictRequest, {"model_id": name, "X": X, **fields})).predictions


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_all_that_is_said_of_a_csv_is_kept_and_inherited(yard: Verbs, name: str, tmp_path: Path) -> None:
    said = {"encoding": "latin-1", "delimiter": "~", "skip_rows": 2, "exclude": ["id"]}
    content = "title\n\n" + text([HEADER, *ROWS], "~")
    X = write(tmp_path / "t.csv", content.encode("latin-1"))
    model = yard.train(order(name, X, **said))
    assert model.reading is not None
    assert {field: getattr(model.reading, field) for field in said} == said
    assert (model.reading.header, model.reading.names, model.reading.sheet) == (True, None, None)
    assert model.feature_names == ["age", "city"]
    assert yard.get_report(name).columns["city"]["top"][0]["value"] == "Köln"
    assert yard.get_model(name).reading == model.reading
    assert yard.retrain(RetrainRequest(model_id=name, X=X)).reading == model.reading
    assert answers(yard, name, X)[::29] == ["no", "yes"]
    plain = write(tmp_path / "plain.csv", text([HEADER, *ENDS], ","))
    assert answers(yard, name, plain, delimiter=",", skip_rows=0) == ["no", "yes"]
    other = yard.retrain(
        parse(RetrainRequest, {"model_id": name, "X": plain, "delimiter": ",", "skip_rows": 0, "exclude": []})
    )
    assert other.reading is not None
    assert (other.reading.delimiter, other.reading.skip_rows, other.reading.exclude) == (",", 0, [])
    assert other.reading.encoding == "latin-1"
    assert other.feature_names == ["age", "city", "id"]


def test_a_csv_without_a_header_is_named_by_the_request(yard: Verbs, name: str, tmp_path: Path) -> None:
    X = write(tmp_path / "t.csv", text(ROWS))
    model = yard.train(order(name, X, names=HEADER, exclude=["id"]))
    assert model.reading is not None
    assert (model.reading.header, model.reading.names) == (False, HEADER)
    assert answers(yard, name, X) == answers(yard, name, write(tmp_path / "h.csv", text([HEADER, *ROWS])), header=True)
    few = write(tmp_path / "few.csv", text([row[:2] for row in ENDS]))
    assert answers(yard, name, few) == ["no", "yes"]
    again = yard.retrain(RetrainRequest(model_id=name, X=X))
    assert (again.reading, again.n_rows) == (model.reading, 30)
    numbered = yard.train(order(f"{name}-numbered", X, header=False, target="f3"))
    assert numbered.reading is not None
    assert (numbered.feature_names, numbered.reading.names) == (["f0", "f1", "f2"], ["f0", "f1", "f2", "f3"])


def test_names_outlive_a_retraining_on_a_table_that_has_its_own(yard: Verbs, name: str, tmp_path: Path) -> None:
    X = write(tmp_path / "t.csv", text(ROWS))
    model = yard.train(order(name, X, names=HEADER))
    records = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    again = yard.retrain(RetrainRequest(model_id=name, X=records))
    assert again.reading == model.reading
    assert answers(yard, name, X)[::29] == ["no", "yes"]
    headed = write(tmp_path / "h.csv", text([HEADER, *ROWS]))
    other = yard.retrain(parse(RetrainRequest, {"model_id": name, "X": headed, "header": True}))
    assert other.reading is not None
    assert (other.reading.header, other.reading.names) == (True, None)


def test_what_a_retraining_speaks_of_is_excluded_no_longer(yard: Verbs, name: str, tmp_path: Path) -> None:
    X = write(tmp_path / "t.csv", text([HEADER, *ROWS]))
    yard.train(order(name, X, exclude=["id", "city"]))
    typed = yard.retrain(parse(RetrainRequest, {"model_id": name, "X": X, "feature_types": {"id": "categorical"}}))
    assert typed.feature_names == ["age", "id"]
    target = yard.retrain(parse(RetrainRequest, {"model_id": name, "X": X, "target": "city"}))
    assert (target.feature_names, target.classes) == (["age", "id", "bought"], ["Köln", "Åbo"])
    assert target.reading is not None
    assert target.reading.exclude == []


def test_a_workbook_trains_and_predicts_by_its_sheet(yard: Verbs, name: str, tmp_path: Path) -> None:
    X = write_workbook(tmp_path / "t.xlsx", {"notes": [["not this"]], "data": [HEADER, *ROWS]})
    model = yard.train(order(name, X, sheet="data", exclude=["id"]))
    assert model.reading == Reading(
        missing_markers=model.reading.missing_markers if model.reading else [], sheet="data", exclude=["id"]
    )
    assert model.feature_types == {"age": "numeric", "city": "categorical"}
    assert answers(yard, name, X)[::29] == ["no", "yes"]
    failed = write_workbook(tmp_path / "f.xlsx", {"data": [HEADER, [Failed("#DIV/0!"), "Åbo", "x", "no"]]})
    with pytest.raises(
        InvalidTable, match=r"column 'age', row 0: must be a number, got Excel's error #DIV/0! in cell A2"
    ):
        answers(yard, name, failed)
    with pytest.raises(InvalidTable, match="has no sheet 'gone'; it has 'notes', 'data'"):
        answers(yard, name, X, sheet="gone")


def test_what_gzip_packed_trains_and_predicts(yard: Verbs, name: str, tmp_path: Path) -> None:
    content = text([HEADER, *ROWS]).encode()
    packed = write(tmp_path / "t.csv.gz", gzip.compress(content))
    model = yard.train(order(name, packed))
    plain = yard.train(order(f"{name}-plain", write(tmp_path / "t.csv", content)))
    assert model.fingerprint == plain.fingerprint
    assert answers(yard, name, packed) == answers(yard, name, write(tmp_path / "t.csv", content))


def test_what_is_excluded_must_be_there_in_training_and_need_not_in_the_next(
    yard: Verbs, name: str, tmp_path: Path
) -> None:
    X = write(tmp_path / "t.csv", text([HEADER, *ROWS]))
    with pytest.raises(
        InvalidTable, match="exclude: column 'gone' is not in X; it has 'age', 'city', 'id', 'bought'"
    ) as caught:
        yard.train(order(name, X, exclude=["gone"]))
    assert caught.value.errors[0].loc == ("exclude",)
    yard.train(order(name, X, exclude=["id"]))
    without = write(tmp_path / "w.csv", text([[row[0], row[1], row[3]] for row in (HEADER, *ROWS)]))
    again = yard.retrain(RetrainRequest(model_id=name, X=without))
    assert again.feature_names == ["age", "city"]
    assert again.reading is not None
    assert again.reading.exclude == ["id"]
    rows = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    by_records = yard.train(parse(TrainRequest, {**order(name, X).model_dump(), "X": rows, "exclude": ["id", "city"]}))
    assert by_records.feature_names == ["age"]
