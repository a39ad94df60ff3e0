from ctc_jax.models.resolutions import by_resolution


def test_what_agrees_up_to_the_last_dot_is_of_one_resolution():
    names = ["1x1.1", "8x8.1", "8x8.2", "top", "level_1"]
    assert by_resolution(names) == {
        "1x1": ["1x1.1"],
        "8x8": ["8x8.1", "8x8.2"],
        "top": ["top"],
        "level_1": ["level_1"],
    }
