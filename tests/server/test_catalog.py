"""What the server offers by default."""

from glocal.models.names import packaged_models
from glocal.models.registry import networks_with_installed_weights
from glocal.server.catalog import load_catalog


def test_packaged_models_and_networks_with_installed_weights_are_offered() -> None:
    rows = {row["name"]: row for row in load_catalog((), "cpu")["models"]}
    assert list(rows) == [*networks_with_installed_weights(), *packaged_models()]
    if "efficientnet-lite0" in rows:
        row = rows["efficientnet-lite0"]
        assert "ImageNet" in row["knows"]
        assert (row["weights"], row["image"], len(row["labels"])) == ("imagenet", True, 1000)
    assert all(row["weights"] != "random" for row in rows.values())
