"""The losses of a training, as a table."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from skorch.history import History

from skdistill.utils._optional import require
from skdistill.utils._text import aligned, html_table

# Of how many epochs a longer table shows the beginning and the end.
_N_SHOWN = 5


class TrainingHistory(History):
    """A row for each epoch, without the batches: it prints as a table.

    Columns are read as from any :class:`skorch.history.History`, such as
    ``history[:, "train_loss"]``.
    """

    @classmethod
    def of(cls, net: Any) -> TrainingHistory:
        """Return the history of a net."""
        return cls(
            {name: value for name, value in epoch.items() if name != "batches"}
            for epoch in net.history
        )

    def to_frame(self) -> Any:
        """Return the losses and other numbers as a data frame of pandas.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each epoch. The index is the number of the epoch, from 1.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = require("pandas", "history_.to_frame", "pandas")
        frame = pandas.DataFrame(list(self), columns=["epoch", *self._columns])
        return frame.set_index("epoch")

    def __repr__(self) -> str:
        return aligned(self._table())

    def _repr_html_(self) -> str:
        return html_table(self._table())

    @property
    def _columns(self) -> list[str]:
        """Return the names of the losses and other fractions."""
        return list(
            dict.fromkeys(
                name
                for epoch in self.to_list()
                for name, value in epoch.items()
                if isinstance(value, Real) and not isinstance(value, Integral)
            )
        )

    def _table(self) -> list[list[str]]:
        rows = [
            [str(epoch["epoch"]), *(_cell(epoch.get(name)) for name in self._columns)]
            for epoch in self.to_list()
        ]
        if len(rows) > 2 * _N_SHOWN:
            between = ["..."] * (len(self._columns) + 1)
            rows = [*rows[:_N_SHOWN], between, *rows[-_N_SHOWN:]]
        return [["epoch", *self._columns], *rows]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
