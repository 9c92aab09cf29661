"""What generated ops call: written beside them as `_runtime.py`, or into each with `--standalone`.

Law: these modules import torch and the standard library only; the generator reads their text and
never imports them.
"""
