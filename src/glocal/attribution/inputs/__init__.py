"""How a network takes its inputs, and how the outputs of its layers lie over them."""
