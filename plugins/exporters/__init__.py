"""Exporters, which write a trained ticket to a file or folder that another program runs."""
