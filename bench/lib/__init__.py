# SPDX-License-Identifier: PostgreSQL
"""What the programs in bench/ share: servers, runs, statistics, reports."""
