"""How good the models of a workdir are: the measures, and a page that shows them."""
