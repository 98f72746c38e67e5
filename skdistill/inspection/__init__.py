"""Find out what distilling has brought.

:func:`compare` scores a student beside its teacher, and beside the same net trained on
the labels alone.
"""

from skdistill.inspection._compare import compare
from skdistill.inspection._comparison import Comparison

__all__ = ["Comparison", "compare"]
