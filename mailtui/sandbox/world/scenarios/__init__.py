"""Scenarios: what goes wrong on the platform, and when. One module each."""
