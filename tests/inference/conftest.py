from tests.models.conftest import binary_images, make_model, randomize

__all__ = ["binary_images", "make_model", "randomize"]
