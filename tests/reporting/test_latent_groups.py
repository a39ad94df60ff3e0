from ctc_jax.reporting.latent_groups import by_resolution, grouped, natural, together


def test_what_agrees_up_to_the_last_dot_is_of_one_resolution():
    names = ["1x1.1", "8x8.1", "8x8.2", "top", "level_1"]
    assert by_resolution(names) == {
        "1x1": ["1x1.1"],
        "8x8": ["8x8.1", "8x8.2"],
        "top": ["top"],
        "level_1": ["level_1"],
    }


def test_numbers_in_names_are_in_the_order_of_their_size():
    names = ["1x1.1", "8x8.2", "8x8.10", "16x16.1", "level_2", "level_10", "z_2", "z_10"]
    assert sorted(["8x8.10", *names[1:2], *names[:1], *names[3:]], key=natural) == names


def test_a_few_latents_stay_alone_and_many_are_those_of_a_resolution_or_neighbors():
    few = [f"8x8.{number}" for number in range(12)]
    assert together(few) == {name: [name] for name in few}
    many = sorted([*(f"8x8.{number + 1}" for number in range(12)), "1x1.1"])
    assert together(many) == {"1x1.1": ["1x1.1"], "8x8, 12 latents": [f"8x8.{number + 1}" for number in range(12)]}
    steps = [f"z_{step + 1:02}" for step in range(64)]
    found = together(steps)
    assert [name for some in found.values() for name in some] == steps
    assert next(iter(found)) == "z_01 to z_08"
    assert len(found) == 8


def test_sums_are_told_as_sums_and_other_numbers_from_the_least_to_the_greatest():
    kl = {f"kl_nats/z_{step:02}": 0.5 * step for step in range(16)}
    entropy = {f"mask_entropy_nats/z_{step:02}": 1.0 + step for step in range(16)}
    numbers = {"elbo_nats": -3.0, **kl, **entropy, "aggregate/one": 2.0, "data/name": "text"}
    found = grouped(numbers)
    assert list(found)[:2] == ["elbo_nats", "kl_nats/z_00 to z_01"]
    costs = [value for name, value in found.items() if name.startswith("kl_nats/")]
    assert (len(costs), sum(costs), costs[1]) == (8, sum(kl.values()), 0.5 * (2 + 3))
    assert found["mask_entropy_nats/z_02 to z_03"] == "3.000 to 4.000"
    assert {name: found[name] for name in ("aggregate/one", "data/name")} == {"aggregate/one": 2.0, "data/name": "text"}


def test_few_numbers_are_as_they_were():
    numbers = {"kl_nats/b": 1.0, "kl_nats/a": 2.0, "images": 5}
    assert list(grouped(numbers).items()) == list(numbers.items())
