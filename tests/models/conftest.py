"""What the tests of networks share."""

import pytest

from longderm.threads import one_thread


@pytest.fixture(autouse=True)
def on_one_thread():
    """Networks this small are quicker so."""
    with one_thread():
        yield
