"""Parquet files of a batch, read back by pyarrow and DuckDB."""

import json
from pathlib import Path

import numpy as np
import pytest

from glocal.batch.ledger import Outcome
from glocal.batch.overview import write_overview
from glocal.batch.worker import Worker
from glocal.explanation.config import ExplainConfig
from glocal.models.source import ModelSource
from glocal.report.explain_to_files import ReportConfig
from glocal.video import write_video

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome]]:
    """The folder of a batch of two videos, one of them in a folder, and a broken one; and the outcomes."""
    folder = tmp_path_factory.mktemp("batch")
    frames = np.random.default_rng(0).integers(0, 256, (12, 32, 40, 3), dtype=np.uint8)
    for name in ("a.mp4", "b.mp4"):
        write_video(folder / name, list(frames), 8)
    (folder / "c.mp4").write_bytes(b"nonsense")
    report = ReportConfig(outputs=(), thumbnail=True)
    worker = Worker(
        ModelSource("puppets/gated", None, None), ExplainConfig("top2"), report, folder / "out", threads=1
    )
    worker.start()
    outcomes = [
        worker.explain(str(folder / video), name, "k")
        for video, name in (("a.mp4", "a"), ("b.mp4", "deep/b"), ("c.mp4", "c"))
    ]
    write_overview(outcomes, 3, folder / "out" / "batch.csv", "puppets/gated", "3dcam")
    return folder / "out", outcomes


def test_pyarrow_reads_one_row_a_video(results: tuple[Path, list[Outcome]]) -> None:
    folder, outcomes = results
    rows = {row["name"]: row for row in parquet.read_table(folder / "batch.parquet").to_pylist()}
    assert set(rows) == {"a", "deep/b", "c"}
    assert rows["c"]["error"] == outcomes[2].error
    assert rows["c"]["label"] is None
    assert (rows["a"]["label"], rows["a"]["duration"]) == (outcomes[0].label, 1.5)
    assert rows["deep/b"]["thumbnail"] == "deep/b.thumb.jpg"
    assert (folder / "deep" / "b.thumb.jpg").stat().st_size > 0


def test_pyarrow_reads_one_row_a_segment_and_box(results: tuple[Path, list[Outcome]]) -> None:
    folder, _ = results
    rows = parquet.read_table(folder / "a.regions.parquet").to_pylist()
    for stem in ("a", "a-top2"):
        facts = json.loads((folder / f"{stem}.json").read_text())
        of_class = [row for row in rows if row["class"] == facts["target"]["index"]]
        assert {row["label"] for row in of_class} == {facts["target"]["label"]}
        boxes = [
            (frame["frame"], *box["box"])
            for frame in facts["frames"]
            if frame["relevant"]
            for box in frame["boxes"]
        ]
        assert boxes
        stored = [row for row in of_class if row["kind"] == "box"]
        assert [tuple(row[key] for key in ("first", "x0", "y0", "x1", "y1")) for row in stored] == boxes
        assert all(row["end"] - row["start"] == pytest.approx(0.125) for row in stored)
        assert all(
            row["stop"] > row["first"] and row["x0"] is None for row in of_class if row["kind"] == "segment"
        )


def test_duckdb_joins_what_was_found_with_the_videos(results: tuple[Path, list[Outcome]]) -> None:
    duckdb = pytest.importorskip("duckdb")
    folder, _ = results
    counts = duckdb.sql(
        f"""SELECT v.name, count(*) FROM '{folder}/**/*.regions.parquet' r JOIN '{folder}/batch.parquet' v
        ON v.video = r.video AND v.label = r.label WHERE r.kind = 'box' GROUP BY v.name ORDER BY v.name"""
    ).fetchall()
    rows = [
        row
        for name in ("a", "deep/b")
        for row in parquet.read_table(folder / f"{name}.regions.parquet").to_pylist()
    ]
    labels = {row["name"]: row["label"] for row in parquet.read_table(folder / "batch.parquet").to_pylist()}
    assert counts == [
        (name, sum(r["name"] == name and r["kind"] == "box" and r["label"] == labels[name] for r in rows))
        for name in ("a", "deep/b")
    ]
