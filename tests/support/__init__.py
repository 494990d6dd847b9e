# SPDX-License-Identifier: MIT
"""What the integration tests are made of: daemon, clients, certificates, origins. Nothing here is a test."""
