"""Draws synthetic cells: wells -> cells -> tissue -> markers, protein -> picture.

=================  ==================================================================
wells              what the cells of a well share; how many wells of which labels
cells              places and outlines
tissue             the cells on a canvas of pixels: whose is it, how far is the border
markers            microtubules, chromatin, reticulum
*_proteins         one function a localization; `proteins` lists them
camera, defects    from light to pixels, and what may go wrong before
scene, fields      crops and whole fields with their true masks
=================  ==================================================================

numpy draws, scipy blurs; noise, canvas and paths are the tools.
"""
