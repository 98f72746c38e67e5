"""Judge a distilled student.

:func:`compare` scores a student beside its teacher, and beside the same net trained on
the labels alone. The displays need matplotlib (``pip install "skdistill[plot]"``). Like
the displays of scikit-learn, they draw into the axes passed as ``ax=``, store these as
``ax_`` and their figure as ``figure_``, and draw again with ``plot``. ``alt_text``
describes a picture for those who cannot see it.
"""

from skdistill.inspection._compare import compare
from skdistill.inspection._comparison import Comparison
from skdistill.inspection._comparison_display import ComparisonDisplay
from skdistill.inspection._fidelity import FidelityDisplay
from skdistill.inspection._pareto import ParetoDisplay
from skdistill.inspection._predictions import PredictionDisplay
from skdistill.inspection._temperature_alpha import TemperatureAlphaDisplay
from skdistill.inspection._training import TrainingDisplay

__all__ = [
    "Comparison",
    "ComparisonDisplay",
    "FidelityDisplay",
    "ParetoDisplay",
    "PredictionDisplay",
    "TemperatureAlphaDisplay",
    "TrainingDisplay",
    "compare",
]
