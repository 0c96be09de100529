"""Look up networks by name, their `gated/` and `st-abn/` variants and the packaged models included."""

from dataclasses import asdict, replace
from typing import Any

from glocal.errors import UsageError, unknown
from glocal.models.backbone import is_backbone
from glocal.models.card import packaged_cards
from glocal.models.download import installed_path
from glocal.models.entry import MODELS, ModelEntry
from glocal.models.gated import gated_entry
from glocal.models.initialization import structure_only
from glocal.models.labels import describe_classes, label_list
from glocal.models.names import VARIANTS, packaged_models
from glocal.models.stabn import PAPER_FORM, parse_form, stabn_entry
from glocal.video.clip_spec import ClipSpec


def network_names() -> list[str]:
    """The registered networks, and the gated networks and ST-ABNs that can be built on them."""
    variants = [
        f"{variant}/{name}"
        for variant in VARIANTS
        for name, entry in MODELS.items()
        if _supports(entry, variant)
    ]
    return [*MODELS, *variants]


def _supports(entry: ModelEntry, variant: str) -> bool:
    return bool(entry.gates) if variant == "gated" else is_backbone(entry.build)


def networks_with_installed_weights() -> list[str]:
    """Names of the networks whose default weights are in a package that is installed."""
    return [
        name
        for name, entry in MODELS.items()
        if entry.default_weights
        and all(installed_path(file) is not None for file in entry.weights[entry.default_weights])
    ]


def model_names() -> list[str]:
    """Every name that `load_model` takes: networks, then packaged models such as `puppets/gated`.

    Gated networks with some of their gates, `gated/<backbone>:<gate>+<gate>`, are not listed.
    """
    return [*network_names(), *packaged_models()]


def find_entry(name: str, clip_spec: ClipSpec | None = None) -> ModelEntry:
    """Return the entry of a network or of a variant.

    Args:
        name: a name in `MODELS`; `gated/<backbone>` with all gates of the backbone, or
            `gated/<backbone>:<gate>+<gate>` with some of them; `st-abn/<backbone>`,
            `st-abn/<backbone>:non-negative` for an M_s that rises with the evidence of every class, or
            `st-abn/<backbone>:<module>` to split the backbone before a module of its last stage.
        clip_spec: by default that of the published weights.

    Raises:
        UsageError: the name is unknown, or the network has no such gate, form or module.
    """
    base, colon, details = name.partition(":")
    variant, _, backbone = base.partition("/")
    if variant not in VARIANTS:
        variant, backbone = "", base
    if backbone not in MODELS or (variant and not _supports(MODELS[backbone], variant)):
        raise unknown("model", base, model_names())
    if colon and not variant:
        raise UsageError(
            f"{base} has no gates to choose from; name a gated network, such as gated/resnext3d-101."
        )
    entry = MODELS[backbone]
    if clip_spec is None:
        clip_spec = (entry.stabn_clip if variant == "st-abn" else None) or entry.clip_spec
    if variant == "gated":
        return gated_entry(entry, clip_spec, _chosen_gates(entry, details) if colon else tuple(entry.gates))
    if variant == "st-abn":
        return stabn_entry(entry, clip_spec, form=parse_form(entry, details) if colon else PAPER_FORM)
    return entry if clip_spec == entry.clip_spec else replace(entry, clip_spec=clip_spec)


def _chosen_gates(backbone: ModelEntry, names: str) -> tuple[str, ...]:
    """Split `layer4+layer3` into the names of gates, and sort them from the stem up."""
    chosen = names.split("+")
    for gate in chosen:
        if gate not in backbone.gates:
            raise unknown("gate", gate, list(backbone.gates))
    return tuple(gate for gate in backbone.gates if gate in chosen)


def summary() -> list[dict[str, Any]]:
    """A row for each model: name, title, classes, labels, parameters, clip, weights, layers, paper."""
    entries = [find_entry(name) for name in network_names()]
    rows = [_row(entry, _count_parameters(entry)) for entry in entries]
    for name, card in packaged_cards().items():
        row = _row(find_entry(card.model, card.clip), card.parameters)
        trained = {
            "name": name,
            "title": f"{row['title']}, trained on {name.partition('/')[0]}",
            "classes": len(card.labels),
            "labels": None,
            "weights": ["packaged"],
        }
        rows.append(row | trained)
    return rows


def describe(name: str) -> dict[str, Any]:
    """What is known of one model: its row of `summary()`, classes, weights, licence, measures and notes.

    Raises:
        UsageError: the name is unknown.
    """
    card = packaged_cards().get(name)
    entry = find_entry(card.model, card.clip) if card else find_entry(name)
    row = next((row for row in summary() if row["name"] == name), _row(entry, _count_parameters(entry)))
    files = {} if card else entry.weights
    known = entry.labels and describe_classes(label_list(entry.labels))
    return row | {
        "knows": card.classes if card else known or f"{entry.num_classes} classes",
        "gates": list(entry.gates),
        "sources": {
            weights: [file.package or file.url or file.page for file in files[weights]] for weights in files
        },
        "licence": "" if card else entry.licence,
        "measures": dict(card.measures) if card else {},
        "notes": card.notes if card else "",
    }


def _row(entry: ModelEntry, parameters: int) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "classes": entry.num_classes,
        "labels": entry.labels,
        "parameters": parameters,
        "clip": asdict(entry.clip_spec),
        "weights": list(entry.weights),
        "layers": list(entry.layers),
        "paper": entry.paper,
    }


def _count_parameters(entry: ModelEntry) -> int:
    with structure_only():
        return sum(parameter.numel() for parameter in entry.build(entry.num_classes).parameters())
