"""The user's cache is an empty folder in all tests: no fetched detector, no remembered choice."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory):
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before
