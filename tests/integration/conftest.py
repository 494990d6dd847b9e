# SPDX-License-Identifier: MIT
"""The fixtures are in tests/support, which the suites share."""

pytest_plugins = ["support.fixtures"]
