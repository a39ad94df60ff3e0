import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from ctc_jax.data.pictures import is_color, opened, peculiarities, shown

COLORS = np.random.default_rng(0).integers(256, size=(4, 6, 3), dtype=np.uint8)
GREYS = COLORS[..., 0]


def read(image, form="PNG", use=lambda image: shown(image, color=is_color(image)), **options):
    """`use` of the picture as written to a file and opened again."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return opened(io.BytesIO(file.getvalue()), use)


def oriented(array, orientation):
    """The stored array that a viewer turns into `array`, by the table of the EXIF standard."""
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(undo[orientation](array))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(form, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    lossless = {"lossless": True} if form == "WEBP" else {}
    found = read(Image.fromarray(oriented(COLORS, orientation)), form, exif=exif, **lossless)
    np.testing.assert_array_equal(found, COLORS)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 1), ("RGBA", 3), ("CMYK", 3)])
def test_white_is_white_in_every_8_bit_mode(mode, channels):
    image = Image.new("RGB", (2, 3), (255, 255, 255)).convert(mode)
    np.testing.assert_array_equal(shown(image, color=is_color(image)), np.full((3, 2, channels), 255, np.uint8))


@pytest.mark.parametrize("background", [255, 0, 100])
def test_transparent_pixels_show_the_background_and_half_transparent_ones_half_of_it(background):
    alpha = np.tile(np.array([0, 128, 255], np.uint8), (4, 2))
    expected = np.rint((COLORS * (alpha / 255)[..., None]) + background * (1 - alpha / 255)[..., None])
    for stored, channel in ((COLORS, slice(None)), (GREYS[..., None], slice(1))):
        image = Image.fromarray(np.concatenate([stored, alpha[..., None]], -1))
        found = read(image, use=lambda image: shown(image, color=is_color(image), background=background))
        np.testing.assert_allclose(found.astype(int), expected[..., channel], atol=1)


def test_a_transparent_color_of_a_palette_shows_the_background():
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 0])
    for form in ("PNG", "GIF"):
        found = read(image, form, transparency=0)
        np.testing.assert_array_equal(found, np.array([[[255] * 3, [200, 100, 0]], [[200, 100, 0], [255] * 3]]))


def test_a_palette_is_colored_where_a_pixel_is():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([10, 10, 10, 200, 200, 200, 1, 2, 3])
    assert not is_color(image)
    np.testing.assert_array_equal(shown(image, color=False)[..., 0], [[10, 200]])
    image.putpalette([10, 10, 10, 200, 200, 201])
    assert is_color(image)


def test_of_16_bits_the_higher_8_are_shown_and_it_is_told():
    deep = GREYS.astype(np.uint16) * 256 + 77
    for form in ("PNG", "TIFF", "PPM"):
        np.testing.assert_array_equal(read(Image.fromarray(deep), form)[..., 0], GREYS)
        (words,) = read(Image.fromarray(deep), form, peculiarities)
        assert "have 16 bits per channel" in words
    # Pillow writes no colors of 16 bits.
    content = b"P6 6 4 65535\n" + (COLORS.astype(np.uint16) * 257).astype(">u2").tobytes()
    np.testing.assert_array_equal(opened(io.BytesIO(content), lambda image: shown(image, color=True)), COLORS)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pictures_of_32_bits_are_refused(dtype):
    with pytest.raises(ValueError, match="32 bits per pixel"):
        read(Image.fromarray(GREYS.astype(dtype)), "TIFF")


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animated_picture_the_first_frame_is_shown_and_it_is_told(form):
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (40, 80)]
    options = {"save_all": True, "append_images": frames[1:], **({"lossless": True} if form == "WEBP" else {})}
    np.testing.assert_array_equal(read(frames[0], form, **options)[..., 0], np.full((4, 4), 40))
    assert "the first is loaded" in read(frames[0], form, peculiarities, **options)[0]
    assert read(frames[0], form, peculiarities) == []


def test_a_profile_that_is_not_applied_is_told():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert read(Image.fromarray(COLORS), use=peculiarities, icc_profile=srgb) == []
    assert "color profile" in read(Image.fromarray(COLORS), use=peculiarities, icc_profile=other)[0]


def test_a_photograph_with_a_preview_in_it_is_one_picture():
    image = Image.fromarray(COLORS)
    options = {"save_all": True, "append_images": [image.resize((3, 2))]}
    assert read(image, "MPO", peculiarities, **options) == []


def test_the_central_square_is_scaled_by_area_means_after_turning():
    exif = Image.Exif()
    exif[0x112] = 6
    wide = np.random.default_rng(1).integers(256, size=(4, 10), dtype=np.uint8)
    found = read(Image.fromarray(oriented(wide, 6)), exif=exif, use=lambda image: shown(image, 2, color=False))
    expected = wide[:, 3:7].reshape(2, 2, 2, 2).mean((1, 3))
    np.testing.assert_allclose(found[..., 0], expected, atol=1)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(monkeypatch):
    image = Image.new("1", (30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 899)
    with pytest.raises(ValueError, match=r"900 pixels\) exceeds limit"):
        read(image)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(ValueError, match="900 pixels"):
        read(image)


def test_content_of_another_kind_is_not_handed_to_other_readers():
    with pytest.raises(ValueError, match=r"it is no PNG, JPEG, .* or PPM"):
        read(Image.fromarray(COLORS), "EPS")
