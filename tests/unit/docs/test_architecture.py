"""The picture of the layers in docs/architecture.md is the one of the import contract."""

from tests.support.layer_picture import layers, picture, shown


def test_the_picture_of_the_layers_is_today_s() -> None:
    assert shown() == picture(), "run `make layers`"


def test_every_layer_is_in_the_picture_once() -> None:
    for layer in layers():
        for name in layer:
            assert picture().count(f"**`{name}`**") == 1


def test_every_line_says_what_its_package_does() -> None:
    assert [line for line in picture().splitlines() if line.endswith("`**")] == []
