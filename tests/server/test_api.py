"""The JSON API: a clip goes in, its explanation comes out, and everything else is refused in a sentence."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import torch
from httpx import Client, Response
from PIL import Image

import glocal
from helpers.serving import MODEL, ask, folders, follow, serving, write_clip

HOSTILE = '../../etc/"><img src=x onerror=alert(1)>.mp4'


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def client(out: Path) -> Iterator[Client]:
    with serving(out) as found:
        yield found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "square.mp4")


@pytest.fixture(scope="module")
def done(client: Client, clip: Path) -> list[dict[str, Any]]:
    """Every answer about a job, from the first to the last."""
    answer = ask(client, clip, HOSTILE, target="7", layers="layer1,layer2", aggregate="max")
    assert answer.status_code == 202, answer.text
    return [answer.json(), *follow(client, answer.json())]


def sentence(answer: Response) -> str:
    """The one sentence of a refusal."""
    assert list(answer.json()) == ["error"]
    found = answer.json()["error"]
    assert found.endswith((".", "?"))
    assert "\n" not in found
    assert not re.search(r"Traceback|File \"|site-packages|/\w+/\w+/", found)
    return found


def test_the_result_is_what_the_library_finds(client: Any, done: Any, clip: Any) -> None:
    assert done[-1]["state"] == "done", done[-1]
    base = f"/api/jobs/{done[-1]['id']}/report"
    torch.manual_seed(0)
    expected = glocal.explain(
        glocal.load_model(MODEL), clip, target=7, layers=["layer1", "layer2"], aggregate="max"
    )
    facts = client.get(f"{base}.json").json()
    assert facts["target"] == {"label": expected.target.label, "index": 7, "counterfactual": False}
    assert [p["index"] for p in facts["predictions"]] == [p.index for p in expected.predictions]
    assert facts["layers"] == ["layer1", "layer2"]
    assert done[-1]["prediction"]["label"] == expected.predictions[0].label
    assert done[-1]["prediction"]["unsure"] == expected.is_unsure
    np.testing.assert_allclose([f["relevance"] for f in facts["frames"]], expected.relevance, atol=0.02)
    assert client.get(f"{base}.mp4").content[4:8] == b"ftyp"
    assert len(np.load(io.BytesIO(client.get(f"{base}.npz").content)).files) > 1
    assert Image.open(io.BytesIO(client.get(f"{base}.jpg").content)).size == (40, 32)
    assert client.get(f"{base}.mp4", headers={"Range": "bytes=4-7"}).content == b"ftyp"


def test_progress_goes_forward(done: Any) -> None:
    states = list(dict.fromkeys(job["state"] for job in done))
    assert states == [state for state in ("queued", "running", "done") if state in states]
    assert states[-1] == "done"
    stages = [job["stage"] for job in done if job["stage"]]
    assert len(set(stages)) >= 2
    assert all(job["done"] <= job["total"] for job in done)


def test_a_files_name_is_shown_and_used_for_nothing_else(client: Any, done: Any, out: Any) -> None:
    assert done[-1]["name"] == '"><img src=x onerror=alert(1)>.mp4'
    page = client.get(f"/api/jobs/{done[-1]['id']}/report.html").text
    assert "<img src=x" not in page
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", done[-1]["id"])
    assert {p.name for p in (out / done[-1]["id"]).iterdir()} == {"job.json", *done[-1]["files"]}


def test_nothing_tells_where_the_server_keeps_its_files(client: Any, done: Any, out: Any) -> None:
    for suffix in ("html", "json", "npz", "mp4", "jpg"):
        content = client.get(f"/api/jobs/{done[-1]['id']}/report.{suffix}").content
        assert str(out).encode() not in content
        assert str(Path.home()).encode() + b"/" not in content
        assert b"the file" not in content
    for address in ("/api/models", "/api/methods", "/api/limits", "/api/openapi.json", "/api/samples"):
        assert str(out.parent) not in client.get(address).text


def test_every_answer_is_guarded(client: Any, done: Any) -> None:
    for address in ("/", "/page.js", "/api/models", "/nowhere", f"/api/jobs/{done[-1]['id']}/report.html"):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script>|style=|\son[a-z]+=|https?://", page.text)
    report = client.get(f"/api/jobs/{done[-1]['id']}/report.html")
    assert "allow-same-origin" not in report.headers["content-security-policy"]
    assert report.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize(
    ("content", "fields", "status", "word"),
    [
        (b"<html>" + b"x" * 300, {}, 415, "neither a video nor an image"),
        (b"#EXTM3U\nfile:///etc/passwd\n", {}, 415, "neither a video nor an image"),
        (b"", {}, 422, "empty"),
        (None, {"target": "top1"}, 422, "Give either"),
        (None, {"sample": "../../job"}, 422, "no such sample"),
        (b"\x89PNG\r\n\x1a\n", {"sample": "walk"}, 422, "Give either"),
        (None, {"sample": "walk", "model": "resnext3d-smal"}, 422, "Did you mean 'resnext3d-small'?"),
        (None, {"sample": "walk", "method": "3dkam"}, 422, "Did you mean '3dcam'?"),
        (None, {"sample": "walk", "target": "archry"}, 422, "Did you mean 'archery'?"),
        (None, {"sample": "walk", "target": "400"}, 422, "no class '400'"),
        (None, {"sample": "walk", "target": "top6"}, 422, "no class 'top6'"),
        (None, {"sample": "walk", "layers": "layer1,layer9"}, 422, "no layer 'layer9'"),
        (None, {"sample": "walk", "aggregate": "median"}, 422, "no aggregate 'median'"),
        (None, {"sample": "walk", "counterfactual": "perhaps"}, 422, "counterfactual"),
        (None, {"sample": "walk", "counterfactual": "1"}, 422, "true or false"),
        (None, {"sample": "walk", "weights": "/etc/passwd"}, 422, "weights"),
        (None, {"sample": "x" * 5000}, 422, "form cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    client: Client, out: Path, tmp_path: Path, content: None, fields: dict[str, str], status: int, word: str
) -> None:
    before = folders(out)
    path = None
    if content is not None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
    answer = ask(client, path, **fields)
    assert answer.status_code == status
    assert word in sentence(answer)
    assert folders(out) == before


def test_a_malformed_form_leaves_nothing_on_the_console_of_the_server(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anyone could fill its log."""
    form = {"Content-Type": "multipart/form-data; boundary=XX"}
    answer = client.post("/api/jobs", content=b"--X?\r\n", headers=form)
    assert (answer.status_code, capsys.readouterr().err) == (422, "")


def test_an_upload_is_cut_off_at_the_limit(client: Client, out: Path) -> None:
    """The sender says nothing of the size, and would go on for ever."""
    sent = []

    def body() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n\0\0\0\x20ftypisom'
        while len(sent) < 100_000:
            sent.append(1)
            yield b"\0" * 10_000

    before = folders(out)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with contextlib.suppress(httpx.WriteError):  # the answer came while the client still sent
        assert client.post("/api/jobs", content=body(), headers=headers).status_code == 413
    assert 30 <= len(sent) < 2000
    assert folders(out) == before


def test_too_large_a_file_is_told_so(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 500_000)
    answer = ask(client, path)
    assert answer.status_code == 413
    assert "larger than the 0.286102 MB" in sentence(answer)


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"width": 400, "height": 300}, "400×300 pixels"),
        ({"frames": 45}, "longer than the 3 seconds"),
        ("cut", ""),
        ("noise", ""),
    ],
)
def test_what_only_the_decoder_sees_fails_in_a_sentence(
    client: Client, out: Path, clip: Path, tmp_path: Path, form: dict[str, int] | str, word: str
) -> None:
    path = tmp_path / "clip.mp4"
    if isinstance(form, dict):
        write_clip(path, **form)
    else:
        whole = clip.read_bytes()
        noise = np.random.default_rng(0).bytes(len(whole))
        path.write_bytes(whole[:600] if form == "cut" else whole[:40] + noise)
    answer = ask(client, path)
    assert answer.status_code == 202
    job = follow(client, answer.json())[-1]
    assert job["state"] == "failed"
    assert word in job["error"]
    assert job["error"].startswith("The file ")
    assert str(out) not in job["error"]
    assert [path.name for path in (out / job["id"]).iterdir()] == ["job.json"]
    assert client.get(f"/api/jobs/{job['id']}/report.html").status_code == 404


def test_a_picture_is_explained_too(client: Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 32), (200, 30, 30)).save(buffer, "png")
    answer = client.post(
        "/api/jobs", files={"video": ("a.png", buffer.getvalue())}, data={"layers": "layer2"}
    )
    job = follow(client, answer.json())[-1]
    assert "report.png" in job["files"]
    assert client.get(f"/api/jobs/{job['id']}/report.png").headers["content-type"] == "image/png"


def test_a_running_job_is_cancelled(client: Client, out: Path) -> None:
    job = ask(client, sample="walk", method="rise").json()
    follow(client, job, until=("running", "done", "failed"))
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    waiting = ask(client, sample="kick", layers="layer4").json()
    assert client.get(f"/api/jobs/{waiting['id']}").json()["state"] == "queued"
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert client.get(f"/api/jobs/{job['id']}").status_code == 404
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 404
    assert follow(client, waiting)[-1]["state"] == "done"
    assert job["id"] not in folders(out)
    assert waiting["id"] in folders(out)
    assert client.delete(f"/api/jobs/{waiting['id']}").status_code == 204
    assert waiting["id"] not in folders(out)
    assert before  # there was a process, and those that are left are no job's
    assert len(psutil.Process().children(recursive=True)) <= len(before)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Origin": "https://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
        ("DELETE", {"Origin": "https://evil.example"}, 403),
        ("GET", {"Host": "evil.example"}, 421),
        ("GET", {"Host": "127.0.0.1.evil.example:80"}, 421),
        ("GET", {"Host": "[::1"}, 421),
        ("GET", {"Host": "evil.example@127.0.0.1"}, 421),
        ("GET", {"Host": "127.0.0.1:80@evil.example"}, 421),
        ("GET", {"Host": "127.0.0.1/evil.example"}, 421),
        ("GET", {"Host": "127.0.0.1?evil.example"}, 421),
        ("GET", {"Host": "127.0.0.1:port"}, 421),
        ("GET", {"Host": "localhost."}, 421),
        ("GET", {"Host": ""}, 421),
        ("GET", {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1"}, 421),
        ("GET", {"Host": "[::1]:80"}, 200),
        ("GET", {"Host": "LOCALHOST:"}, 200),
        ("GET", {"Host": "localhost:1234"}, 200),
        ("GET", {"Origin": "https://evil.example"}, 200),
    ],
)
def test_other_sites_are_kept_out(
    client: Client, done: list[dict[str, Any]], method: str, headers: dict[str, str], status: int
) -> None:
    address = "/api/jobs" if method == "POST" else f"/api/jobs/{done[-1]['id']}"
    answer = client.request(method, address, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    if status != 200:
        sentence(answer)


def test_a_page_of_its_own_may_ask(client: Client) -> None:
    origin = str(client.base_url).rstrip("/")
    answer = client.post("/api/jobs", headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "address", ["/api/jobs", "/api/jobs/", "/out", "/samples/job.json", "/api/jobs/..%2F..%2Fjob.json"]
)
def test_results_cannot_be_listed_or_guessed(client: Client, address: str) -> None:
    assert client.get(address).status_code in (404, 405)


def test_only_results_are_served(client: Client, done: list[dict[str, Any]]) -> None:
    for name in ("job.json", "report.exe", "report.html.json", "..%2Fjob.json"):
        assert client.get(f"/api/jobs/{done[-1]['id']}/{name}").status_code == 404


def test_results_outlive_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        kept = ask(client, sample="walk", layers="layer4").json()
        follow(client, kept)
        stopped = ask(client, sample="kick", layers="layer4").json()
        waiting = ask(client, sample="throw", layers="layer4").json()
        follow(client, stopped, until=("running",))
    assert folders(tmp_path) == sorted(job["id"] for job in (kept, stopped, waiting))
    with serving(tmp_path) as client:
        assert client.get(f"/api/jobs/{kept['id']}").json()["state"] == "done"
        assert client.get(f"/api/jobs/{kept['id']}/report.html").status_code == 200
        for job in (stopped, waiting):
            assert follow(client, job)[-1]["state"] == "done"


def test_head_returns_the_headers_of_get(client: Client, done: list[dict[str, Any]]) -> None:
    for address in (
        "/",
        "/api/models",
        f"/api/jobs/{done[-1]['id']}",
        f"/api/jobs/{done[-1]['id']}/report.mp4",
    ):
        get, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
    assert client.head("/nowhere").status_code == 404


def test_the_queue_and_the_rate_are_bounded(tmp_path: Path) -> None:
    with serving(tmp_path, waiting=1, rate=3) as client:
        first = ask(client, sample="walk", method="rise").json()
        follow(client, first, until=("running",))
        assert ask(client, sample="walk").status_code == 202
        full = ask(client, sample="walk")
        assert (full.status_code, full.headers["retry-after"]) == (503, "60")
        assert "wait already" in sentence(full)
        often = ask(client, sample="walk")
        assert often.status_code == 429
        assert 0 < int(often.headers["retry-after"]) <= 60
        assert "more than 3 clips a minute" in sentence(often)


def test_the_description_of_the_api_is_complete(client: Client) -> None:
    described = client.get("/api/openapi.json").json()
    assert set(described["paths"]) == {
        "/api/jobs",
        "/api/jobs/{identity}",
        "/api/jobs/{identity}/report.{kind}",
        "/api/limits",
        "/api/methods",
        "/api/models",
        "/api/samples",
    }
    responses = described["paths"]["/api/jobs"]["post"]["responses"]
    assert [code for code in responses if "Retry-After" in responses[code].get("headers", {})] == [
        "429",
        "503",
    ]
    form = described["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["video"]["format"] == "binary"
    assert set(form["properties"]) - {"video"} == {
        "sample", "model", "target", "method", "layers", "aggregate", "counterfactual",
    }  # fmt: skip
    assert form["properties"]["model"]["enum"] == [MODEL]
    assert "archery" in form["properties"]["target"]["enum"]
    assert re.fullmatch(form["properties"]["layers"]["pattern"], "layer1,layer2")
    assert client.patch("/api/jobs/x").headers["allow"] == "DELETE, GET, HEAD"
    assert {"202", "413", "415", "422", "429", "503"} <= set(
        described["paths"]["/api/jobs"]["post"]["responses"]
    )


def test_models_and_methods_are_listed(client: Client) -> None:
    models = client.get("/api/models").json()
    assert [(m["name"], m["weights"], len(m["labels"])) for m in models] == [(MODEL, "random", 400)]
    assert "offer" not in models[0]
    names = [m["name"] for m in client.get("/api/methods").json()]
    assert names[0] == "layercam", "the default comes first"
    assert sorted(names) == sorted(glocal.attribution.METHODS)
