"""Super-resolution models behind one promise (`base.py`); torch only."""
