"""Evaluation of the models of a workdir: metrics, and a page that shows them."""
