"""The public names of glocal: listed in one place, found without a further import, loaded only when used."""

import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest

import glocal

PUBLIC_NAMES = {
    "glocal": """
        AGGREGATES Attribution ClipSpec DATASETS EXPORTS Edit ExplainConfig Explainer Explanation
        GlocalError InputError MEASURES METHODS MODELS Model REFINEMENTS Registry Sample TABLES TokenGrid
        UsageError Video __version__ as_model attribute classify compare evaluate explain layers
        load_attention load_model localize model_names read_video write_page write_report write_video
    """,
    "glocal.attribution": """
        AGGREGATES Attribution AttributionRequest IntrinsicAttention IntrinsicAttentionNetwork Layer
        METHODS Method TokenGrid attribute exclusive explainable_layers input_method method
    """,
    "glocal.benchmark": """
        CONTROLS Cache Comparison Evaluation ExplainedSample Explainer Footage MEASURES Measure
        MeasureConfig Sample Table TableRow compare evaluate open_samples parse_explainers puppet_samples
        video_samples
    """,
    "glocal.datasets": """
        DATASETS Dataset Record register
    """,
    "glocal.datasets.puppets": """
        ACTIONS ActionSegment Actor ActorAction DISTRACTORS PAIRS PuppetClip PuppetVideo Puppets
        QUESTIONS SPLITS Shot TASKS TransitionClip TransitionPuppets UntrimmedPuppets contact_sheet
        export
    """,
    "glocal.evaluation": """
        AUROC Accuracy BoxAccuracy BoxAndClassAccuracy FrameLabelMAP FrameMAP HitPoint MaxBoxAcc MaxBoxAccV2 Metric
        PointingGame TemporalMAP VideoMAP inclusive_boxes
    """,
    "glocal.evaluation.faithfulness": """
        AverageDrop BASELINES BlockDrops EndScores REMOVAL_UNITS RemovalCurve RoadScores average_drop block_drops
        class_score impute road
        deletion end_scores infidelity insertion sensitivity_max
    """,
    "glocal.evaluation.sanity": """
        ExplainFunction RandomisationStep hog_correlation label_check randomisation_check randomised
        similarities similarity ssim survives_randomisation weight_parts
    """,
    "glocal.explanation": """
        Edit ExplainConfig ExplainedClass Explanation Prediction VideoFacts Volume classify explain
        load_attention
    """,
    "glocal.localization": """
        ClassLocalization Localization REFINEMENTS ScoredBox Segment Threshold Tube auto_threshold boxes
        explained_video iou localize overlaps refine refine_explanation segments select tubes
    """,
    "glocal.localization.exports": """
        EXPORTS Export
    """,
    "glocal.models": """
        LABEL_LISTS MODELS Model ModelEntry as_model find_entry label_list load_model model_names
        register_model summary
    """,
    "glocal.papers": """
        PaperTable TABLES TableContext paper_table tables
    """,
    "glocal.report": """
        COLORMAPS OverlayStyle TimeSpan VideoBoxes overlay overlay_frames page_html write_overlay
        write_page write_report
    """,
    "glocal.training": """
        Recipe read_recipe train
    """,
    "glocal.video": """
        ClipSpec Geometry Video Window read_video windows write_video
    """,
}
"""Package → its public names; a change here is a change for users."""


def subpackages() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(glocal.__path__) if module.ispkg}


@pytest.mark.parametrize("package", PUBLIC_NAMES)
def test_the_public_names_are_these(package: str) -> None:
    modules = subpackages() | {"errors", "registry", "types"} if package == "glocal" else set()
    assert set(import_module(package).__all__) - modules == set(PUBLIC_NAMES[package].split())


def public_functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every public function, and every public method of a public class, once."""
    for package, names in PUBLIC_NAMES.items():
        for name in names.split():
            value = getattr(import_module(package), name)
            if inspect.isfunction(value):
                yield f"{package}.{name}", value
            elif inspect.isclass(value) and value.__module__.startswith("glocal"):
                methods = inspect.getmembers(value, inspect.isfunction)
                yield from ((f"{package}.{name}.{key}", method) for key, method in methods if key[0] != "_")


def test_what_follows_the_first_arguments_is_keyword_only() -> None:
    """Three arguments may be given by position; four where all are data."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for name, function in public_functions():
        parameters = [
            p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")
        ]
        positional = [p for p in parameters if p.kind in kinds]
        most = 4 if all(p.default is inspect.Parameter.empty for p in positional) else 3
        assert len(positional) <= most, f"{name}({', '.join(p.name for p in positional)})"


def test_every_subpackage_is_reachable_without_a_further_import() -> None:
    assert subpackages() <= set(glocal.__all__)
    names = ", ".join(f"glocal.{name}.__name__" for name in sorted(subpackages()))
    python(f"import glocal; print({names})")


def test_tab_completion_lists_every_public_name() -> None:
    assert dir(glocal) == sorted(glocal.__all__)


@pytest.mark.parametrize("name", sorted(glocal.__all__))
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(glocal, name) is not None


@pytest.mark.parametrize("statement", ["import glocal; dir(glocal)", "import glocal.errors"])
def test_importing_glocal_loads_neither_torch_nor_numpy(statement: str) -> None:
    loaded = python(f"import sys; {statement}; print(*sys.modules)").split()
    assert {"torch", "numpy", "cv2", "av"}.isdisjoint(loaded)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'glocal' has no attribute 'explian'"):
        getattr(glocal, "explian")  # noqa: B009 (mypy knows that there is no such name)


def test_a_former_name_still_works_and_says_what_it_is_called_now() -> None:
    with pytest.warns(DeprecationWarning, match=r"glocal\.ClipForm is now glocal\.ClipSpec"):
        assert getattr(glocal, "ClipForm") is glocal.ClipSpec  # noqa: B009 (the stub does not list it)


def python(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
