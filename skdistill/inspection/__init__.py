"""See what distilling has brought.

:func:`compare` scores a student beside its teacher, and beside the same net trained on
the labels alone. The displays need matplotlib (``pip install "skdistill[plot]"``). As
those of scikit-learn, they draw into axes of your own with ``ax=``, keep what they have
drawn in ``ax_`` and ``figure_``, and draw again with ``plot``. ``alt_text`` describes a
picture for those who cannot see it.
"""

from skdistill.inspection._compare import compare
from skdistill.inspection._comparison import Comparison
from skdistill.inspection._comparison_display import ComparisonDisplay
from skdistill.inspection._fidelity import FidelityDisplay
from skdistill.inspection._pareto import ParetoDisplay
from skdistill.inspection._temperature_alpha import TemperatureAlphaDisplay
from skdistill.inspection._training import TrainingDisplay

__all__ = [
    "Comparison",
    "ComparisonDisplay",
    "FidelityDisplay",
    "ParetoDisplay",
    "TemperatureAlphaDisplay",
    "TrainingDisplay",
    "compare",
]
