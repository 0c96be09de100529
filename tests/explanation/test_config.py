"""The options of `explain`: declared once, they appear in Python, on the command line, in batches and the server."""

import inspect
import pickle
import subprocess
import sys
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import pytest
from click.testing import CliRunner

import glocal
from glocal.batch.ledger import key_of
from glocal.cli.batch import batch as batch_command
from glocal.cli.classify import classify as classify_command
from glocal.cli.explain import explain as explain_command
from glocal.cli.localize import localize as localize_command
from glocal.cli.options import config_from, config_options
from glocal.errors import UsageError
from glocal.explanation.config import ExplainConfig, config_as_dict, configured_by, option, options_of
from helpers.scene_model import bleeding_model

FRAMES = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), np.uint8)
FIELDS = [field.name for field in fields(ExplainConfig)]


@dataclass(frozen=True)
class ExtendedConfig(ExplainConfig):
    """Options as a contributor would add them: one field each."""

    _: KW_ONLY
    smoothing: float = option(0.5, help="Width of the smoothing, in frames.", minimum=0, below=9, server=True)
    tone: Literal["warm", "cold"] = option(
        "warm", help="Tone of the maps.", choices=("warm", "cold"), server=True
    )
    stages: tuple[str, ...] | None = option(
        None, help="Names of stages.", kind="names", default_text="all", server=True
    )
    passes: int = option(3, help="Number of passes.", minimum=1, server=True)
    mirrored: bool = option(False, help="Average over mirrored clips.", server=True)
    seed_text: str = option("x", help="Text that seeds the method.", cli=False)


NEW = ["smoothing", "tone", "stages", "passes", "mirrored", "seed_text"]


def names_of(command: click.Command) -> set[str]:
    return {str(parameter.name) for parameter in command.params}


def test_python_lists_exactly_the_fields_with_their_help_texts() -> None:
    signature = inspect.signature(glocal.explain)
    assert list(signature.parameters) == ["model", "video", *FIELDS]
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    assert [name for name in FIELDS if kinds[name] != inspect.Parameter.KEYWORD_ONLY] == ["target"]
    documentation = " ".join(str(glocal.explain.__doc__).split())
    for name, (_, info) in options_of(ExplainConfig).items():
        assert f"{name}: {info.help}" in documentation


def test_the_command_line_lists_exactly_the_fields() -> None:
    on_command_line = {name for name, (_, info) in options_of(ExplainConfig).items() if info.cli}
    assert on_command_line == set(FIELDS) - {"progress"}
    for command in (explain_command, batch_command):
        assert names_of(command) >= on_command_line
    assert names_of(localize_command) & set(FIELDS) == on_command_line - {"edit"}
    assert names_of(classify_command) & set(FIELDS) == {"crop", "cuts"}
    for parameter in explain_command.params:
        if parameter.name in on_command_line:
            assert isinstance(parameter, click.Option)
            assert str(parameter.help).startswith(options_of(ExplainConfig)[parameter.name][1].help)


def test_the_server_lists_exactly_the_fields_marked_for_it() -> None:
    pytest.importorskip("fastapi")
    from glocal.server.schemas import JobRequest

    offered = {name for name, (_, info) in options_of(ExplainConfig).items() if info.server}
    assert set(JobRequest.model_fields) == {"sample", "model", *offered}
    for name in offered:
        assert str(JobRequest.model_fields[name].description).startswith(
            options_of(ExplainConfig)[name][1].help
        )


def test_a_new_field_appears_in_python() -> None:
    @configured_by(ExtendedConfig)
    def describe(model: Any, video: Any, config: ExtendedConfig) -> tuple[float, str]:
        """Describe.

        Args:
            model: the model.
            **config: the fields.
        """
        return config.smoothing, config.tone

    assert describe(None, None, smoothing=2.0, tone="cold") == (2.0, "cold")  # type: ignore[arg-type]
    assert set(NEW) <= set(inspect.signature(describe).parameters)
    assert "    smoothing: Width of the smoothing, in frames." in str(describe.__doc__).splitlines()
    with pytest.raises(UsageError, match="tone 'hot' is neither 'warm' nor 'cold'"):
        ExtendedConfig(tone="hot")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"smoothing must be less than 9, not 9\.0"):
        ExtendedConfig(smoothing=9.0)


def test_a_new_field_appears_on_the_command_line() -> None:
    @click.command()
    @config_options(ExtendedConfig)
    def show(**values: Any) -> None:
        config = config_from(values, ExtendedConfig)
        assert not values
        click.echo(repr((config.smoothing, config.tone, config.stages, config.passes, config.mirrored)))

    arguments = ["--smoothing", "2", "--tone", "cold", "--stages", "a, b", "--passes", "5", "--mirrored"]
    assert CliRunner().invoke(show, arguments).output == "(2.0, 'cold', ['a', 'b'], 5, True)\n"
    assert CliRunner().invoke(show, []).output == "(0.5, 'warm', None, 3, False)\n"
    help_text = " ".join(CliRunner().invoke(show, ["--help"]).output.split())
    assert "Width of the smoothing, in frames. [default: 0.5; 0<=x<9]" in help_text
    assert "Names of stages. [default: all]" in help_text
    assert "--tone [warm|cold] Tone of the maps. [default: warm]" in help_text
    assert "Number of passes. [default: 3; x>=1]" in help_text
    assert "seed" not in help_text


def test_a_new_field_is_part_of_the_key_of_a_batch(tmp_path: Path) -> None:
    values = config_as_dict(ExtendedConfig())
    assert set(values) == {*FIELDS, *NEW} - {"progress", "batch_size"}
    keys = {key_of("a.mp4", config_as_dict(ExtendedConfig(smoothing=width))) for width in (1.0, 2.0)}
    assert len(keys) == 2
    assert pickle.loads(pickle.dumps(ExtendedConfig(smoothing=3.0))) == ExtendedConfig(smoothing=3.0)


def test_a_new_field_appears_in_the_form_of_the_server() -> None:
    pytest.importorskip("fastapi")
    from pydantic import ValidationError

    from glocal.server.schemas import request_model

    form = request_model(ExtendedConfig)
    request: Any = form.model_validate({"smoothing": "2", "tone": "cold", "mirrored": "true"})
    assert (request.smoothing, request.tone, request.stages, request.mirrored) == (2.0, "cold", "", True)
    properties = form.model_json_schema()["properties"]
    assert (
        properties["stages"]["description"] == "Names of stages. Names are joined by commas. By default all."
    )
    assert "seed_text" not in properties
    for wrong in (
        {"smoothing": "9"},
        {"passes": "0"},
        {"passes": "1.5"},
        {"tone": "hot"},
        {"seed_text": "y"},
    ):
        with pytest.raises(ValidationError):
            form.model_validate(wrong)


def test_progress_takes_no_part_in_comparison_and_keys() -> None:
    quiet, loud = ExplainConfig("walk"), ExplainConfig("walk", progress=True)
    assert quiet == loud
    assert "progress" not in config_as_dict(loud)
    assert "progress" not in repr(loud)
    with pytest.raises(FrozenInstanceError):
        quiet.target = "run"  # type: ignore[misc]


def test_a_config_and_its_fields_are_the_same_question() -> None:
    model = bleeding_model()
    config = ExplainConfig("bright", method="gradcam", weighting="none", cuts="none")
    one = glocal.explain(model, FRAMES, config=config)
    other = glocal.explain(model, FRAMES, "bright", method="gradcam", weighting="none", cuts="none")
    assert np.array_equal(one.attention, other.attention)
    with pytest.raises(UsageError, match="either the arguments or a config"):
        glocal.explain(model, FRAMES, "bright", config=config)  # type: ignore[call-overload]


def test_by_default_layercam_weighs_the_layers_and_other_methods_sum_them() -> None:
    assert (ExplainConfig().method, ExplainConfig().combined_by) == ("layercam", "auto")
    assert ExplainConfig(method="3dcam").combined_by == ExplainConfig(method="rise").combined_by == "sum"
    assert ExplainConfig(aggregate="max").combined_by == "max"
    explanation = glocal.explain(bleeding_model(), FRAMES, "bright")
    assert (explanation.method, explanation.aggregate) == ("layercam", "auto")
    published = glocal.explain(bleeding_model(), FRAMES, "bright", method="3dcam")
    assert published.aggregate == "sum"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "gradcan"}, "Did you mean 'gradcam'"),
        ({"method": "rise", "options": {"sample": 3}}, "Did you mean 'samples'"),
        ({"aggregate": "median"}, "Aggregates: sum, mean, max"),
        ({"score": "loss"}, "score 'loss' is neither 'logit' nor 'centred' nor 'probability'"),
        ({"crop": "left"}, "crop 'left' is neither 'full' nor 'center'"),
        ({"overlap": -0.5}, "overlap must be at least 0, not -0.5"),
    ],
)
def test_a_config_refuses_a_wrong_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ExplainConfig(**values)


@pytest.mark.parametrize("module", ["glocal.explanation.config", "glocal.server.schemas"])
def test_the_options_are_known_without_loading_torch(module: str) -> None:
    pytest.importorskip("fastapi")
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
