import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def closed_figures():
    """Close the figures of a test."""
    yield
    plt.close("all")
