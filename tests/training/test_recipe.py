"""Recipes: what they hold, what they refuse, and how that is said."""

from pathlib import Path

import pytest
import yaml

from glocal.errors import InputError, UsageError
from glocal.models.card import packaged_cards
from glocal.models.names import packaged_models
from glocal.training import Recipe, read_recipe
from glocal.training.optimization import PlateauRule, learning_rate_factor
from glocal.training.recipe import AugmentationConfig, RunConfig, ScheduleConfig, changed_keys
from glocal.training.run import clip_spec_of
from glocal.utils.structure import construct, to_plain

RECIPES = Path(__file__).parents[2] / "recipes"
TEXT = """
model: {name: gated/resnext3d-small, clip: {frames: 8}}
data:
  train: {source: folder, root: clips}
optimizer: {lr: 1e-3}
run: {epochs: 4}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXT)
    return path


def test_a_recipe_is_read_with_its_defaults_and_changes(file: Path) -> None:
    recipe = read_recipe(file, ["optimizer.clip_norm=5", "schedule.name=step", "data.val.source=puppets"])
    assert (recipe.optimizer.lr, recipe.optimizer.momentum, recipe.optimizer.clip_norm) == (0.001, 0.9, 5.0)
    assert (recipe.schedule.every, recipe.schedule.factor) == (50, 0.1)
    assert recipe.data.val == {"source": "puppets"}
    assert clip_spec_of(recipe).frames == 8
    assert clip_spec_of(recipe).size == 112


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_recipes_of_the_project_are_valid(path: Path) -> None:
    clip_spec_of(read_recipe(path))


@pytest.mark.parametrize("name", sorted(packaged_models()))
def test_a_packaged_network_was_trained_by_the_recipe_of_its_name(name: str) -> None:
    card = construct(Recipe, packaged_cards()[name].recipe, "card")
    assert (
        changed_keys(to_plain(card), to_plain(read_recipe(RECIPES / f"{name.replace('/', '-')}.yaml"))) == []
    )


def test_a_written_recipe_is_the_same_recipe(file: Path, tmp_path: Path) -> None:
    recipe = read_recipe(file, ["augmentation.area=[0.3, 1]"])
    recipe.write(tmp_path / "copy.yaml")
    copy = read_recipe(tmp_path / "copy.yaml")
    assert copy == recipe
    assert changed_keys(to_plain(copy), to_plain(recipe)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "optimizer.lrr=1",
            r"recipe\.yaml: optimizer has no key 'lrr', only name, lr, .*Did you mean 'lr'\?",
        ),
        ("optimiser.lr=1", r"recipe\.yaml: has no key 'optimiser'.*Did you mean 'optimizer'\?"),
        ("run.epochs=ten", r"run\.epochs must be a whole number, not 'ten'"),
        ("run.epochs=2.5", r"run\.epochs must be a whole number, not 2\.5"),
        ("run.epochs=true", r"run\.epochs must be a whole number, not True"),
        ("run.epochs=0", "run: epochs must be at least 1, not 0"),
        ("run.batch=0", "run: batch must be at least 1"),
        ("run.clips_per_epoch=0", "run: clips_per_epoch must be at least 1"),
        ("run.devices=3", "run: batch must be a multiple of the 3 devices, not 16"),
        ("optimizer.lr=-1", "optimizer: lr must be positive, and at most 1e30, not -1"),
        ("optimizer.lr=1e+39", r"optimizer: lr must be positive, and at most 1e30, not 1e\+39"),
        ("optimizer.lr=fast", r"optimizer\.lr must be a number, not 'fast'"),
        ("optimizer.lr=.nan", "optimizer: lr must be positive, and at most 1e30, not nan"),
        ("optimizer.clip_norm=big", r"optimizer\.clip_norm must be a number, not 'big'"),
        (
            "schedule.name=cosin",
            r"one of step, plateau, cosine, constant, not 'cosin'\. Did you mean 'cosine'",
        ),
        ("run.precision=bf16", r"run\.precision must be one of 32-true, bf16-mixed, 16-mixed"),
        ("augmentation.area=1", r"augmentation\.area must be a list of 2 items, not 1"),
        ("augmentation.area=[1, 0.5]", "area must be two shares of the frame"),
        ("augmentation.flip=2", "flip must be a probability, not 2"),
        ("model=resnext3d-small", "recipe.yaml: model must be a table of keys and values"),
        ("model.name=resnext", "unknown model 'resnext'"),
        ("model.clip.frame=8", r"model\.clip has no key 'frame'.*Did you mean 'frames'"),
        ("model.clip.frames=0", r"model\.clip: frames must be at least 1"),
        ("model.name=i3d-two-stream", "has two streams"),
        ("nonsense", "'nonsense' changes nothing; write key=value"),
        ("run.epochs.x=1", r"'run\.epochs\.x' cannot be set: epochs is no table but 4"),
        ("run.epochs=[", "not valid YAML"),
    ],
)
def test_what_a_recipe_cannot_have_is_named_in_one_sentence(file: Path, change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        clip_spec_of(read_recipe(file, [change]))
    assert "\n" not in str(caught.value)


def test_a_missing_key_and_a_broken_file_are_named(file: Path, tmp_path: Path) -> None:
    file.write_text("model: {name: slow-50}\nrun: {epochs: 1}")
    with pytest.raises(UsageError, match="lacks the key 'data'"):
        read_recipe(file)
    for text in ("[1, 2", "- 1", "", "\t"):
        file.write_text(text)
        with pytest.raises(InputError, match=r"recipe\.yaml (is not valid YAML|must hold a table)"):
            read_recipe(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def test_learning_rates_follow_the_schedules() -> None:
    step = ScheduleConfig("step", every=50, factor=0.1)
    assert [learning_rate_factor(step, epoch, 150) for epoch in (0, 49.9, 50, 99.9, 100)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )
    cosine = ScheduleConfig("cosine", warmup=2)
    assert [learning_rate_factor(cosine, epoch, 8) for epoch in (0, 1, 4, 8)] == pytest.approx(
        [0, 0.4809699, 0.5, 0]
    )
    assert learning_rate_factor(ScheduleConfig("constant"), 3.5, 4) == 1
    assert learning_rate_factor(ScheduleConfig("plateau"), 3.5, 4) == 1


def test_a_plateau_shrinks_the_rate_when_the_loss_stays() -> None:
    plateau = PlateauRule(ScheduleConfig("plateau", patience=2, factor=0.5))
    seen = []
    for loss in (3.0, 2.0, 2.0, 2.5, 2.1, 1.0, 1.0, 1.0, 1.0):
        plateau.update(loss)
        seen.append(plateau.factor)
    assert seen == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    again = PlateauRule(plateau.config)
    again.restore(plateau.state())
    assert vars(again) == vars(plateau)


def test_recipes_are_told_apart_by_their_keys(file: Path) -> None:
    one, other = read_recipe(file), read_recipe(file, ["run.epochs=5", "data.val.source=puppets"])
    assert isinstance(one, Recipe)
    assert changed_keys(to_plain(one), to_plain(other)) == ["data.val", "run.epochs"]


def test_the_documented_recipe_has_every_key_with_its_default(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    path = tmp_path / "documented.yaml"
    path.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    documented = yaml.safe_load(path.read_text())
    recipe = read_recipe(path)
    least = Recipe(
        recipe.model, recipe.data, RunConfig(recipe.run.epochs), AugmentationConfig(ratio=(0.75, 1.333))
    )
    assert to_plain(recipe) == to_plain(least)
    assert all(documented[name].keys() == to_plain(recipe)[name].keys() for name in documented)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 50_000,
        "a: " + "{b: " * 5_000,
        "&a [*a]",
        "a: &a [1]\n"
        + "\n".join(
            f"b{i}: &b{i} [*{'a' if i == 0 else f'b{i - 1}'}, *{'a' if i == 0 else f'b{i - 1}'}]"
            for i in range(40)
        ),
        "\0",
        b"\xff\xfe",
        "x" * (1 << 21),
    ],
    ids=["deep list", "deep table", "inside itself", "aliases", "zero", "encoding", "large"],
)
def test_hostile_yaml_is_one_sentence(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert len(str(caught.value)) < 600
