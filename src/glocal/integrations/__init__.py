"""Hand attribution and localizations to other tools, one module a tool."""
