from firstlight.utils.cores import cores


def test_there_is_at_least_one():
    assert cores() >= 1
