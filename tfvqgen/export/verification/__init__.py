"""Checks an export in a process that has TensorFlow, without Keras and this project.

The folder is also a program, ``python -I <folder> <export>``, in which the modules
import each other by their bare names.
"""
