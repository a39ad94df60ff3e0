import numpy as np

from ctc_jax.data.digest import digest_of

ARRAY = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


def test_equal_content_has_one_digest_however_it_lies_in_memory(monkeypatch, tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(ARRAY))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    expected = digest_of(ARRAY)
    monkeypatch.setattr("ctc_jax.data.digest.CHUNK", 7)
    assert digest_of(mapped) == digest_of(ARRAY.copy()) == expected


def test_values_types_shapes_order_and_texts_tell_apart():
    changed = ARRAY.copy()
    changed[3, 2, 1] ^= 1
    others = [
        (changed,),
        (ARRAY.astype(np.int8),),
        (ARRAY.reshape(4, 6),),
        (ARRAY[:2], ARRAY[2:]),
        (ARRAY[2:], ARRAY[:2]),
        (ARRAY[:0],),
        ("a", ARRAY),
        ("b", ARRAY),
        (),
    ]
    assert len({digest_of(*parts) for parts in [(ARRAY,), *others]}) == 1 + len(others)
