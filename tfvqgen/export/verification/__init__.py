"""Checks an export in a process that has TensorFlow and nothing of this project.

The folder is also a program, ``python -I <folder> <export>``: there its modules import
each other by their bare names. None of them imports anything of this project.
"""
