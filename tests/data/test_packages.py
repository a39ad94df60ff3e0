import tarfile

import pytest

from ctc_jax.data.packages import debian_package, npm_package
from ctc_jax.data.source import Unavailable


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Puts a shell script of that name in place of a package manager."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


def test_an_npm_package_is_unpacked_for_the_moment(tmp_path, command):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "answer").write_text("42")
    with tarfile.open(tmp_path / "kept.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    command("npm", f'[ "$1 $2" = "pack numbers@1.2.3" ] && cp {tmp_path}/kept.tgz numbers-1.2.3.tgz')
    with npm_package("numbers", "1.2.3") as folder:
        assert (folder / "answer").read_text() == "42"
    assert not folder.exists()


def test_a_debian_package_is_unpacked_for_the_moment(command):
    command("apt-get", '[ "$1 $2" = "download numbers" ] && touch numbers_1_all.deb')
    command("dpkg-deb", '[ "$1 $2" = "-x numbers_1_all.deb" ] || mkdir -p "$3" && echo 42 > "$3/answer"')
    with debian_package("numbers") as root:
        assert (root / "answer").read_text() == "42\n"
    assert not root.exists()


def test_a_missing_package_manager_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm is not installed"), npm_package("numbers", "1.2.3"):
        pass


def test_a_failing_package_manager_is_quoted(command):
    command("npm", "echo 'npm error code E404' >&2; exit 1")
    with (
        pytest.raises(Unavailable, match=r"npm pack numbers@1\.2\.3 failed: npm error code E404"),
        npm_package("numbers", "1.2.3"),
    ):
        pass


def test_an_archive_that_is_none_is_refused(command):
    command("npm", "echo nothing > numbers.tgz")
    with pytest.raises(Unavailable, match=r"numbers\.tgz cannot be unpacked"), npm_package("numbers", "1.2.3"):
        pass


def test_no_archive_is_refused(command):
    command("npm", "true")
    with pytest.raises(Unavailable, match="gave no archive"), npm_package("numbers", "1.2.3"):
        pass
