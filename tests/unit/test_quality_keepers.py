"""Keepers that readers chose by hand count in what the scorecard says of duplicates."""

import numpy as np
import pytest

from core.actions.standing import standing
from core.quality import duplicates
from tests.quality_data import embedded, make_dataset, make_inputs, make_result


@pytest.fixture
def found(tmp_path):
    """Records 0, 1, 2 are one group, 3 and 4 another, 5 alone."""
    dataset = make_dataset(tmp_path / "d", [{"prompt": f"p{i}", "response": "r"} for i in range(6)])
    angles = np.radians([0, 1, 2, 90, 91, 200])
    embed = embedded(tmp_path / "e", dataset, np.stack([np.cos(angles), np.sin(angles)], axis=1))
    inputs = make_inputs(tmp_path / "i", {"training": dataset}, {"embed": embed})
    return dataset, make_result(tmp_path / "r", "duplicates", duplicates.run(inputs), inputs.files)


def test_hand_chosen_keepers_count_in_the_ratio(found):
    dataset, result = found
    ids = dataset.ids()
    assert (result.info["removable"], result.info["ratio"]) == (3, 0.5)
    assert standing(result, dataset, set()) is result.info
    both = standing(result, dataset, set(), [ids[3], ids[4], ids[1]])
    assert (both["removable"], both["ratio"], both["by_hand"]) == (2, pytest.approx(2 / 6), 3)
    assert standing(result, dataset, set(), ids[:5])["removable"] == 0
    # One of the chosen is removed since: the other stays, and is no duplicate of anything.
    assert standing(result, dataset, {ids[3]}, [ids[3], ids[4]])["removable"] == 2
    assert standing(result, dataset, set(), ["gone-1"])["removable"] == 3
