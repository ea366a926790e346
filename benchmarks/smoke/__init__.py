"""The tasks of the smoke benchmark, one module each, from easy to hard.

A module is read as text, never imported, and cut in three:

- What the model sees is all above the line ``# solution``: imports and helpers that a solution may use, then the
  signature and docstring of the function or class to write.
- The reference solution is what follows.
- The tests are ``check``, which is called with what the model wrote.
"""
