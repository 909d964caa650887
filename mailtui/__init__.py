"""mailtui: the operator's console for an organisation's own mail platform."""

__version__ = "0.1.0"
