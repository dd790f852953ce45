"""A program in C++ that loads an export as TensorFlow Serving does."""
