"""What a reproduction found as data: the content of `claims.json`, which `reproduce --json` prints, too."""

from typing import Any

from firstlight.experiments.headline import counts
from firstlight.experiments.results import Reproduction
from firstlight.report.claim_lines import paper_cells, repeat

CLAIMS_FORMAT = 2  # 1 is that of the first version of the criteria


def claims_data(found: Reproduction) -> dict[str, Any]:
    """The claims, the rows of the criteria that they are parts of, and the paper's cells, in JSON's types."""
    rows = found.rows
    return {
        "format": CLAIMS_FORMAT,
        "preset": found.about["preset"],
        "data": found.about["data"],
        "summary": found.summary,
        "counts": counts(rows),
        "claims": [claim.to_dict() for claim in found.claims],
        "rows": [
            {
                "id": row.criterion.id,
                "verdict": row.verdict,
                "claims": [claim.id for claim in row.claims],
                "command": repeat(row.criterion.experiment, found.about),
            }
            for row in rows
        ],
        "cells": paper_cells(found),
    }
