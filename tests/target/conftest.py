"""The independent model of the service's limits, for the tests of the budget."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def model() -> ModuleType:
    """The module limits_model.py beside this file."""
    file = Path(__file__).with_name("limits_model.py")
    spec = importlib.util.spec_from_file_location("limits_model", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["limits_model"] = module
    spec.loader.exec_module(module)
    return module
