"""What a page says of a file system that refuses: a sentence with the path and what to do, never an error number."""

from core.errors import InputError
from pages.ui.state import refused


def test_an_error_of_the_machine_is_a_sentence():
    said = refused(PermissionError(13, "Permission denied", "/data/ws/exports"))
    assert said.startswith("/data/ws/exports cannot be read or written: Permission denied.") and "Errno" not in said
    assert refused(InputError("As it is.")) == "As it is."
