"""Claims that the 3DCAM paper makes in words and pictures, as experiments on puppets."""

from glocal.papers.claims import discriminative, early_late, order, sensitivity
from glocal.papers.claims.scenes import DATA
from glocal.papers.table import Table

METHODS = "3dcam,gradcam,gradcam@layer4"

TABLES = (
    Table("claims/order", "Actions that are each other backwards: are they told apart?", DATA, order.run),
    Table(
        "claims/early-late",
        "Early frames show appearance, later ones motion (3DCAM, fig. 3)",
        DATA,
        early_late.run,
        {"methods": METHODS},
    ),
    Table(
        "claims/sensitivity",
        "Layers added one by one: how much decisive evidence is missed (3DCAM, section 3.4.1)",
        DATA,
        sensitivity.run,
        {"method": "3dcam"},
    ),
    Table(
        "claims/discriminative",
        "Two figures, two actions: is the right one shown? Top three and counterfactual (3DCAM, fig. 6)",
        DATA,
        discriminative.run,
        {"methods": METHODS},
    ),
)
