"""Exporters: a trained ticket becomes a file or folder that something else runs."""
